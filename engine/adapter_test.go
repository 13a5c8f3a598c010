package engine

import (
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// adapterFile writes a LoRA adapter of rank 4 for one matrix of the built-in model.
func adapterFile(t *testing.T, arch, kind string) string {
	t.Helper()
	const rank, width = 4, 256
	w := gguf.NewWriter(arch)
	w.Set("general.type", kind)
	w.Set("adapter.type", "lora")
	w.Set("adapter.lora.alpha", float32(8))
	wave := func(n int) []byte {
		var b []byte
		for i := range n {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(math.Sin(float64(i)))))
		}
		return b
	}
	w.AddTensor("blk.3.attn_output.weight.lora_a", gguf.F32, []uint64{width, rank},
		wave(width*rank))
	w.AddTensor("blk.3.attn_output.weight.lora_b", gguf.F32, []uint64{rank, width},
		wave(rank*width))
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnAdapterChangesAnswersAndEmbeddings(t *testing.T) {
	path := adapterFile(t, "llama", "adapter")
	r := Request{Messages: []Message{User(Text("What can you do?"))}, MaxTokens: 1, Logprobs: true,
		Sampling: Sampling{IgnoreEnd: true}}
	logprob := func(m *Model) float64 { return mustAsk(t, m, r).logprobs[0].Logprob }
	plain := open(t, textOnly)
	none := open(t, textOnly, func(s *ModelSpec) {
		s.Adapters = []Adapter{{Path: path, Scale: 1e-30}}
	})
	full := open(t, textOnly, func(s *ModelSpec) { s.Adapters = []Adapter{{Path: path}} })
	want := logprob(plain)
	if got := logprob(none); math.Abs(got-want) > 1e-3 {
		t.Errorf("an adapter that counts nothing makes %v of %v", got, want)
	}
	if got := logprob(full); math.Abs(got-want) < 0.05 {
		t.Errorf("an adapter makes %v of %v", got, want)
	}
	a, b := mustEmbed(t, plain, "a text").Vectors[0], mustEmbed(t, full, "a text").Vectors[0]
	dot := 0.0
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
	}
	if dot > 0.999 {
		t.Errorf("embeddings are alike with and without the adapter: cosine %v", dot)
	}
}

func TestAnAdapterThatDoesNotFitIsRefused(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, c := range map[string]struct {
		adapter Adapter
		want    error
	}{
		"another architecture": {Adapter{Path: adapterFile(t, "qwen2", "adapter")}, ErrMismatch},
		"no adapter":           {Adapter{Path: adapterFile(t, "llama", "model")}, ErrModelFile},
		"a model":              {Adapter{Path: seedModel}, ErrModelFile},
		"missing":              {Adapter{Path: "nonesuch.gguf"}, ErrModelFile},
		"damaged": {Adapter{Path: damaged(t, adapterFile(t, "llama", "adapter"),
			4000)}, ErrModelFile},
		"not a number": {Adapter{Path: adapterFile(t, "llama", "adapter"),
			Scale: float32(math.NaN())}, ErrRequest},
	} {
		if _, err := e.Load(t.Context(), ModelSpec{Model: seedModel,
			Adapters: []Adapter{c.adapter}}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}
