package llama_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// adapterFile writes a LoRA adapter of rank 4 for one matrix of the built-in model, [width, rows]
// in ggml's order.
func adapterFile(t *testing.T, arch, tensor string, width, rows int) string {
	t.Helper()
	const rank = 4
	w := gguf.NewWriter(arch)
	w.Set("general.type", "adapter")
	w.Set("adapter.type", "lora")
	w.Set("adapter.lora.alpha", float32(8))
	w.Set("note", strings.Repeat("long ", 100))
	wave := func(n int) []byte {
		var b []byte
		for i := range n {
			b = binary.LittleEndian.AppendUint32(b,
				math.Float32bits(float32(0.5*math.Sin(float64(i)))))
		}
		return b
	}
	w.AddTensor(tensor+".lora_a", gguf.F32, []uint64{uint64(width), rank}, wave(width*rank))
	w.AddTensor(tensor+".lora_b", gguf.F32, []uint64{rank, uint64(rows)}, wave(rank*rows))
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnAdapterChangesTheModelAndCanBeTakenOff(t *testing.T) {
	m := seedModel(t)
	a, err := llama.LoadAdapter(m, adapterFile(t, "llama", "blk.3.attn_output.weight", 256, 256))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if v, ok := a.Meta("note"); !ok || v != strings.Repeat("long ", 100) {
		t.Errorf("metadata %q, %v", v, ok)
	}
	if _, ok := a.Meta("nonesuch"); ok {
		t.Error("metadata that is not there was found")
	}
	tokens := tokenize(t, prompt)
	want := fresh(t, tokens)
	c := newContext(t, m, llama.ContextParams{NCtx: 256})
	run := func(adapters []*llama.Adapter, scales []float32) []float32 {
		if err := c.SetAdapters(adapters, scales); err != nil {
			t.Fatal(err)
		}
		c.Memory().Clear(false)
		return decode(t, c, tokens, 0, 0)
	}
	full := run([]*llama.Adapter{a}, []float32{1})
	differ(t, "with the adapter", full, want)
	same(t, "at scale 0", run([]*llama.Adapter{a}, []float32{0}), want)
	half := run([]*llama.Adapter{a}, []float32{0.1})
	if distance(half, want) >= distance(full, want) {
		t.Error("a tenth of the adapter changes as much as all of it")
	}
	wantError(t, a.Close(), llama.ErrInUse)
	same(t, "without it", run(nil, nil), want)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error("the second Close:", err)
	}
	wantError(t, c.SetAdapters([]*llama.Adapter{a}, []float32{1}), llama.ErrClosed)
	if _, ok := a.Meta("note"); ok {
		t.Error("a closed adapter has metadata")
	}
}

func TestClosingAContextLetsGoOfItsAdapters(t *testing.T) {
	m := loadModel(t, seedPath, llama.ModelParams{})
	a, err := llama.LoadAdapter(m, adapterFile(t, "llama", "blk.0.attn_q.weight", 256, 256))
	if err != nil {
		t.Fatal(err)
	}
	c := newContext(t, m, llama.ContextParams{NCtx: 256})
	if err := c.SetAdapters([]*llama.Adapter{a}, []float32{1}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	wantError(t, m.Close(), llama.ErrInUse)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestAdaptersThatDoNotFitAreErrors(t *testing.T) {
	m := seedModel(t)
	fits := adapterFile(t, "llama", "blk.0.attn_q.weight", 256, 256)
	whole, err := os.ReadFile(fits)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.gguf")
	if err := os.WriteFile(cut, whole[:len(whole)-100], 0o644); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"another shape":        adapterFile(t, "llama", "blk.0.attn_q.weight", 128, 256),
		"another architecture": adapterFile(t, "qwen2", "blk.0.attn_q.weight", 256, 256),
		"an unknown tensor":    adapterFile(t, "llama", "blk.77.attn_q.weight", 256, 256),
		"a model":              seedPath,
		"a missing file":       filepath.Join(t.TempDir(), "missing"),
		"a truncated file":     cut,
	} {
		if a, err := llama.LoadAdapter(m, path); err == nil {
			a.Close()
			t.Errorf("%s: no error", name)
		}
	}
	a, err := llama.LoadAdapter(m, fits)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	other := loadModel(t, seedPath, llama.ModelParams{})
	c := newContext(t, other, llama.ContextParams{NCtx: 64})
	defer c.Close()
	mine := newContext(t, m, llama.ContextParams{NCtx: 64})
	for name, err := range map[string]error{
		"of another model": c.SetAdapters([]*llama.Adapter{a}, []float32{1}),
		"without a scale":  mine.SetAdapters([]*llama.Adapter{a}, nil),
		"given twice":      mine.SetAdapters([]*llama.Adapter{a, a}, []float32{1, 1}),
		"nil":              mine.SetAdapters([]*llama.Adapter{nil}, []float32{1}),
		"with a scale of NaN": mine.SetAdapters([]*llama.Adapter{a},
			[]float32{float32(math.NaN())}),
	} {
		if err == nil {
			t.Errorf("an adapter %s: no error", name)
		}
	}
}
