package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// plain is a model of text with random weights; pooled says how its outputs become embeddings.
func plainModel(t testing.TB, pooling uint32) string {
	t.Helper()
	f := family{name: "plain", arch: "llama", layers: 2, embedding: 1, eos: "</s>", addBOS: true,
		template: "{{ messages[0].content }}", language: func(m *maker) {
			m.set("pooling_type", pooling)
		}}
	path := filepath.Join(t.TempDir(), "plain.gguf")
	if err := f.languageModel(t).WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// bert is an encoder with random weights, of the kind that only makes embeddings.
func bert(t testing.TB, pooling uint32) string {
	t.Helper()
	m := &maker{Writer: gguf.NewWriter("bert"), rand: rand.New(rand.NewPCG(3, 7)), arch: "bert"}
	m.Set("general.name", "random bert")
	for _, kv := range []number{{"context_length", 128}, {"embedding_length", famWidth},
		{"block_count", 2}, {"feed_forward_length", famFF}, {"attention.head_count", famHeads},
		{"pooling_type", pooling}} {
		m.set(kv.key, kv.value)
	}
	m.set("attention.layer_norm_epsilon", float32(1e-12))
	m.set("attention.causal", false)
	tokens := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	for _, w := range strings.Fields("the cat dog sat on mat red circle blue square and of what") {
		tokens = append(tokens, "▁"+w)
	}
	for c := 'a'; c <= 'z'; c++ {
		tokens = append(tokens, string(c), "▁"+string(c))
	}
	types := make([]int32, len(tokens))
	for i := range types {
		types[i] = 1
		if i < 5 {
			types[i] = 3
		}
	}
	m.Set("tokenizer.ggml.model", "bert")
	m.Set("tokenizer.ggml.tokens", tokens)
	m.Set("tokenizer.ggml.token_type", types)
	m.Set("tokenizer.ggml.token_type_count", uint32(2))
	for _, kv := range []number{{"padding_token_id", 0}, {"unknown_token_id", 1},
		{"cls_token_id", 2}, {"bos_token_id", 2}, {"seperator_token_id", 3}, {"eos_token_id", 3},
		{"mask_token_id", 4}} {
		m.Set("tokenizer.ggml."+kv.key, kv.value)
	}
	m.random("token_embd.weight", 1, nil, famWidth, uint64(len(tokens)))
	m.random("token_types.weight", 0.3, nil, famWidth, 2)
	m.random("position_embd.weight", 0.5, nil, famWidth, 128)
	norm := func(name string) {
		m.scale(name+".weight", 1, famWidth)
		m.random(name+".bias", 0.1, nil, famWidth)
	}
	norm("token_embd_norm")
	for i := range 2 {
		block := fmt.Sprintf("blk.%d.", i)
		for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
			m.matrix(block+name+".weight", 1, famWidth, famWidth)
			m.random(block+name+".bias", 0.1, nil, famWidth)
		}
		norm(block + "attn_output_norm")
		m.matrix(block+"ffn_up.weight", 1, famWidth, famFF)
		m.random(block+"ffn_up.bias", 0.1, nil, famFF)
		m.matrix(block+"ffn_down.weight", 1, famFF, famWidth)
		m.random(block+"ffn_down.bias", 0.1, nil, famWidth)
		norm(block + "layer_output_norm")
	}
	path := filepath.Join(t.TempDir(), "bert.gguf")
	if err := m.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFile(t testing.TB, path string) *Model {
	return open(t, func(s *ModelSpec) { s.Model, s.Projector, s.Context = path, "", 512 })
}

func mustEmbed(t testing.TB, m *Model, texts ...string) *Embeddings {
	t.Helper()
	e, err := m.Embed(t.Context(), EmbedRequest{Texts: texts})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func cosine(a, b []float32) float64 {
	dot, x, y := 0.0, 0.0, 0.0
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
		x += float64(a[i]) * float64(a[i])
		y += float64(b[i]) * float64(b[i])
	}
	return dot / math.Sqrt(x*y)
}

var embedTexts = []string{"the cat sat on the mat", "a red circle",
	"what of the blue square and the dog", strings.Repeat("the dog and the cat ", 15)}

// TestEmbeddingsAreThoseOfLlamaServer compares each way of pooling, for a model that reads forwards
// and for an encoder.
func TestEmbeddingsAreThoseOfLlamaServer(t *testing.T) {
	peers.Require(t, "llama-server")
	for name, path := range map[string]string{
		"mean": plainModel(t, 1), "cls": plainModel(t, 2), "last": plainModel(t, 3),
		"bert mean": bert(t, 1), "bert cls": bert(t, 2),
	} {
		t.Run(name, func(t *testing.T) {
			want := serverEmbeddings(t, path, embedTexts)
			got := mustEmbed(t, openFile(t, path), embedTexts...)
			for i := range want {
				if c := cosine(got.Vectors[i], want[i]); c < 0.9999 {
					t.Errorf("text %d: cosine %.6f", i+1, c)
				}
				if length := cosine(got.Vectors[i], got.Vectors[i]); math.Abs(length-1) > 1e-5 ||
					len(got.Vectors[i]) != famWidth {
					t.Errorf("text %d: %d numbers of length %v", i+1, len(got.Vectors[i]), length)
				}
			}
			// the first token, which sees nothing else, is the same
			if c := cosine(got.Vectors[0], got.Vectors[1]); c > 0.999 && name != "cls" {

				t.Errorf("different texts have cosine %v", c)
			}
		})
	}
}

// serverEmbeddings asks llama-server.
func serverEmbeddings(t *testing.T, model string, texts []string) [][]float32 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd, err := peers.Command(ctx, "llama-server", "-m", model, "--embeddings", "-c", "512",
		"--host", "127.0.0.1", "--port", port, "-np", "1", "-t", "2")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	defer func() { cancel(); _ = cmd.Wait() }()
	body, _ := json.Marshal(map[string]any{"input": texts})
	for {
		resp, err := client.Post("http://"+address+"/v1/embeddings", "application/json",
			bytes.NewReader(body))
		if err == nil && resp.StatusCode == http.StatusOK {
			var out struct {
				Data []struct{ Embedding []float32 }
			}
			if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			var vectors [][]float32
			for _, d := range out.Data {
				vectors = append(vectors, d.Embedding)
			}
			return vectors
		}
		if err == nil {
			resp.Body.Close()
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no answer from llama-server: %v\n%s", err, log.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func TestEmbeddingsDoNotDependOnHowTextsAreCut(t *testing.T) {
	for name, path := range map[string]string{"mean": plainModel(t, 1), "cls": plainModel(t, 2),
		"last": plainModel(t, 3), "nothing said": seedModel} {
		t.Run(name, func(t *testing.T) {
			cut := func(gap time.Duration) *Model {
				return open(t, func(s *ModelSpec) {
					s.Model, s.Projector, s.Context, s.MaxGap = path, "", 512, gap
				})
			}
			large, small := cut(time.Hour), cut(time.Nanosecond)
			many := make([]string, 0, 40)
			for i := range 40 {
				many = append(many, fmt.Sprintf("%s %d", embedTexts[i%len(embedTexts)], i))
			}
			together := mustEmbed(t, large, many...)
			mustEmbed(t, small, many[0]) // after it portions are as small as they get
			for i, text := range many {
				alone := mustEmbed(t, small, text)
				// The built-in model's weights have 8 bits, and so have activations that they are
				// multiplied with: in groups of other rows, where the accelerator takes them, they
				// are rounded otherwise.
				if c := cosine(alone.Vectors[0], together.Vectors[i]); c <
					map[bool]float64{true: 0.995, false: 0.9999}[path == seedModel] {
					t.Errorf("text %d: cosine %.6f", i, c)
				}
			}
		})
	}
}

func TestRunningAnswersGoOnBesideEmbeddings(t *testing.T) {
	m := open(t)
	before := mustAsk(t, m, Request{Messages: question, MaxTokens: 8, Fresh: true})
	done := make(chan error, 1)
	go func() {
		_, err := m.Embed(context.Background(),
			EmbedRequest{Texts: []string{strings.Repeat("many words ", 150),
				strings.Repeat("other words ", 150)}})
		done <- err
	}()
	after := mustAsk(t, m, Request{Messages: question, MaxTokens: 8, Fresh: true})
	if err := <-done; err != nil || before.text != after.text {
		t.Errorf("%q, beside embeddings %q, %v", before.text, after.text, err)
	}
}

func TestBadEmbedRequests(t *testing.T) {
	m := openFile(t, plainModel(t, 1))
	long := strings.Repeat("many words ", 2000)
	for name, c := range map[string]struct {
		r    EmbedRequest
		want error
		says string
	}{
		"no text":      {EmbedRequest{}, ErrRequest, "no text"},
		"a long text":  {EmbedRequest{Texts: []string{"a", long}}, ErrContextLength, "text 2 has"},
		"a cut text":   {EmbedRequest{Texts: []string{long}, Truncate: true}, nil, ""},
		"a blank text": {EmbedRequest{Texts: []string{" "}}, nil, ""},
	} {
		_, err := m.Embed(t.Context(), c.r)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Embed(ctx, EmbedRequest{Texts: []string{"a"}}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Embed(t.Context(), EmbedRequest{Texts: []string{"a"}}); !errors.Is(err,
		ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestAnEncoderDoesNotAnswer(t *testing.T) {
	m := openFile(t, bert(t, 1))
	if _, err := collect(t.Context(), m, Request{Prompt: "the cat"}); !errors.Is(err, ErrRequest) ||
		!strings.Contains(err.Error(), "embeddings") {
		t.Errorf("%v", err)
	}
	if _, err := m.Embed(t.Context(),
		EmbedRequest{Texts: []string{strings.Repeat("the cat ", 300)}}); !errors.Is(err,
		ErrContextLength) {
		t.Errorf("%v", err)
	}
	if e, err := m.Embed(t.Context(), EmbedRequest{Texts: []string{strings.Repeat("the cat ", 300)},
		Truncate: true}); err != nil || e.Tokens[0] != 128 {
		t.Errorf("%v %v", e, err)
	}
}
