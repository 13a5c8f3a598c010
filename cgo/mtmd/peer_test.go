package mtmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// TestAnswersEqualLlamaMtmdCli takes pictures through this package and a language model, and wants
// llama.cpp's own answer.
func TestAnswersEqualLlamaMtmdCli(t *testing.T) {
	peers.Require(t, "llama-mtmd-cli")
	m := open(t, Params{})
	const tokens = 16
	disc := func(inside, outside [3]byte) func(x, y int) [3]byte {
		return func(x, y int) [3]byte {
			if (x-40)*(x-40)+(y-32)*(y-32) < 400 {
				return inside
			}
			return outside
		}
	}
	pictures := map[string]func(x, y int) [3]byte{
		"red on white":   disc([3]byte{220, 30, 30}, [3]byte{255, 255, 255}),
		"blue on yellow": disc([3]byte{30, 60, 220}, [3]byte{240, 220, 40}),
		"green on black": disc([3]byte{30, 160, 60}, [3]byte{0, 0, 0}),
		"a wild gradient": func(x, y int) [3]byte {
			return [3]byte{byte(3 * x), byte(3 * y), byte(x * y)}
		},
	}
	answers := map[string]bool{}
	for name, pixel := range pictures {
		t.Run(name, func(t *testing.T) {
			const w, h = 80, 64
			rgb := make([]byte, 0, 3*w*h)
			for y := range h {
				for x := range w {
					p := pixel(x, y)
					rgb = append(rgb, p[:]...)
				}
			}
			picture, err := Image("", w, h, rgb)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "picture.ppm")
			if err := os.WriteFile(file, append(fmt.Appendf(nil, "P6 %d %d 255\n", w, h), rgb...),
				0o600); err != nil {
				t.Fatal(err)
			}
			question := m.Marker() + "\nWhat color is the background?"
			want := askPeer(t, file, question, tokens)
			got := ask(t, m, "USER: "+question+" ASSISTANT:", picture, tokens)
			if got != want || got == "" {
				t.Errorf("answered %q, llama-mtmd-cli %q", got, want)
			}
			answers[got] = true
		})
	}
	if len(answers) < 2 {
		t.Errorf("all pictures get the same answer: %v", answers)
	}
}

// askPeer returns llama-mtmd-cli's answer. The program prints from a thread of its own that it does
// not wait for at its end, so that the end of its output is sometimes missing: an answer counts
// once the empty lines after it are there.
func askPeer(t *testing.T, file, question string, tokens int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 20 {
		cmd, err := peers.Command(ctx, "llama-mtmd-cli", "-m", seedModel, "--mmproj", seedMmproj,
			"--image", file, "-p", question,
			"--temp", "0", "-n", fmt.Sprint(tokens), "-t", "2", "-c", "512", "--jinja")
		if err != nil {
			t.Fatal(err)
		}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr.String())
		}
		if answer := strings.TrimSpace(string(out)); answer != "" && strings.HasSuffix(string(out),
			"\n\n") {
			return answer
		}
	}
	t.Fatal("llama-mtmd-cli printed no whole answer in 20 runs")
	return ""
}

// ask decodes the chunks of a prompt and up to n tokens of the likeliest answer.
func ask(t *testing.T, m *Context, prompt string, picture Bitmap, n int) string {
	t.Helper()
	lctx, err := llama.NewContext(m.model, llama.ContextParams{NCtx: 512})
	if err != nil {
		t.Fatal(err)
	}
	defer lctx.Close()
	pos := llama.Pos(0)
	decode := func(b *llama.Batch) {
		t.Helper()
		if err := lctx.Decode(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	text := llama.NewTokenBatch(256, 1)
	defer text.Close()
	last := 0
	decodeTokens := func(tokens ...llama.Token) {
		t.Helper()
		text.Clear()
		for i, token := range tokens {
			if err := text.Add(token, pos, i == len(tokens)-1, 0); err != nil {
				t.Fatal(err)
			}
			pos++
		}
		last = len(tokens) - 1
		decode(text)
	}
	for _, c := range tokenize(t, m, prompt, picture).List() {
		if c.Kind == Text {
			decodeTokens(c.Tokens...)
			continue
		}
		rows, err := m.EncodeChunk(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		positions, err := c.Positions(pos)
		if err != nil {
			t.Fatal(err)
		}
		batch := llama.NewEmbeddingBatch(c.NTokens, 1, m.NEmbd(), 1)
		defer batch.Close()
		for i := range c.NTokens {
			if err := batch.AddEmbedding(rows[i*m.NEmbd():(i+1)*m.NEmbd()], positions[i][:1], false,
				0); err != nil {
				t.Fatal(err)
			}
		}
		decode(batch)
		pos += llama.Pos(c.NPos)
	}
	var answer []byte
	for range n {
		logits, err := lctx.Logits(last)
		if err != nil {
			t.Fatal(err)
		}
		token := llama.Token(slices.Index(logits, slices.Max(logits)))
		if m.model.Vocab().IsEOG(token) {
			break
		}
		answer = m.model.Vocab().AppendPiece(answer, token, false)
		decodeTokens(token)
	}
	return strings.TrimSpace(string(answer))
}
