package llama_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

func TestStateRoundTrip(t *testing.T) {
	for name, p := range map[string]llama.ContextParams{"one pool": {},
		"a part for each sequence": {SplitKV: true},
		"no flash attention":       {FlashAttention: llama.FlashOff},
		"a quantized cache": {TypeK: ggml.Q8_0, TypeV: ggml.Q8_0,
			FlashAttention: llama.FlashOn}} {
		c, tokens := filled(t, p)
		state, err := c.SeqState(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if size, err := c.StateSize(0, 0); err != nil || size != len(state) {
			t.Errorf("%s: StateSize is %d, the state has %d bytes, %v", name, size, len(state), err)
		}
		next := tokenize(t, " red")[1:]
		want := decode(t, c, next, llama.Pos(len(tokens)), 0)

		other, _ := filled(t, p) // into a sequence that is in use, beside another one
		decode(t, other, tokens[:3], 0, 1)
		if err := other.SetSeqState(1, state, 0); err != nil {
			t.Fatal(err)
		}
		if got := other.Memory().SeqPosMax(1); got != llama.Pos(len(tokens))-1 {
			t.Errorf("%s: the sequence stands at %d", name, got)
		}
		same(t, name, decode(t, other, next, llama.Pos(len(tokens)), 1), want)
		same(t, name+": the other sequence", decode(t, other, next, llama.Pos(len(tokens)), 0),
			want)
	}
}

func TestDamagedStateIsRefused(t *testing.T) {
	c, tokens := filled(t, llama.ContextParams{})
	state, err := c.SeqState(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(what string, data []byte) {
		t.Helper()
		if err := c.SetSeqState(1, data, 0); err == nil {
			t.Errorf("%s: no error", what)
		}
		if got := c.Memory().SeqPosMax(1); got != -1 {
			t.Errorf("%s: the sequence stands at %d", what, got)
		}
	}
	refuse("nothing", nil)
	for _, n := range []int{1, 3, 4, 5, 8, 12, 16, 20, 24, 40, 100, 300, 1000, len(state) / 2,
		len(state) - 1} {
		refuse("a cut state", state[:n])
	}
	refuse("a state with more behind it", append(slices.Clone(state), 0))
	refuse("noise", bytes.Repeat([]byte{0xff}, 4096))
	refuse("zeros", make([]byte, 4096)[:4095])

	for at := range 64 + 16*len(tokens) {
		flipped := slices.Clone(state)
		flipped[at] ^= 1 << (at % 8)
		refuse("a flipped bit", flipped)
	}
	same(t, "the other sequence", decode(t, c, tokens[:1], llama.Pos(len(tokens)), 0),
		fresh(t, slices.Concat(tokens, tokens[:1])))

	small := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256, TypeK: ggml.BF16,
		TypeV: ggml.BF16})
	wantError(t, small.SetSeqState(0, state, 0), nil)
	_, err = c.SeqState(0, 99)
	wantError(t, err, nil)
	_, err = c.SeqState(7, 0)
	wantError(t, err, nil)
}

func TestStateOfAnEmptySequence(t *testing.T) {
	c, _ := filled(t, llama.ContextParams{})
	state, err := c.SeqState(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetSeqState(0, state, 0); err != nil {
		t.Fatal(err)
	}
	if got := c.Memory().SeqPosMax(0); got != -1 {
		t.Errorf("the sequence stands at %d", got)
	}
}

func TestSaveAndLoadASequence(t *testing.T) {
	c, tokens := filled(t, llama.ContextParams{})
	dir := t.TempDir()
	path := filepath.Join(dir, "sequence")
	if err := c.SaveSeq(path, 0, tokens); err != nil {
		t.Fatal(err)
	}
	got, err := c.LoadSeq(path, 1, 1000)
	if err != nil || !slices.Equal(got, tokens) {
		t.Fatalf("tokens %v, %v", got, err)
	}
	next := tokenize(t, " red")[1:]
	same(t, "a loaded sequence", decode(t, c, next, llama.Pos(len(tokens)), 1),
		fresh(t, slices.Concat(tokens, next)))

	if _, err := c.LoadSeq(path, 1, len(tokens)-1); err == nil {
		t.Error("more tokens than asked for were loaded")
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut")
	for _, n := range []int{0, 1, 4, 8, 12, 16, 60, 12 + 4*len(tokens), 13 + 4*len(tokens),
		len(whole) / 2, len(whole) - 1} {
		if err := os.WriteFile(cut, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := c.LoadSeq(cut, 1, 1000); err == nil {
			t.Errorf("the first %d bytes were loaded", n)
		}
		if c.Memory().SeqPosMax(1) != -1 {
			t.Errorf("after the first %d bytes the sequence is not empty", n)
		}
	}
	huge := slices.Clone(whole)
	copy(huge, "\xff\xff\xff\xff")
	os.WriteFile(cut, huge, 0o644)
	_, err = c.LoadSeq(cut, 1, 1<<31-1)
	wantError(t, err, nil)

	for _, path := range []string{dir, filepath.Join(dir, "missing"),
		filepath.Join(dir, "no", "folder")} {
		_, err := c.LoadSeq(path, 1, 10)
		wantError(t, err, nil)
	}
	wantError(t, c.SaveSeq(filepath.Join(dir, "no", "folder"), 0, tokens), nil)
	wantError(t, c.SaveSeq(path, 9, tokens), nil)
	if err := c.SaveSeq(filepath.Join(dir, "bare"), 0, nil); err != nil {
		t.Errorf("without tokens: %v", err)
	}
	if got, err := c.LoadSeq(filepath.Join(dir, "bare"), 1, 0); err != nil || len(got) != 0 {
		t.Errorf("without tokens: %v, %v", got, err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.tmp*")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// FuzzLoadSeq looks at files that no SaveSeq wrote: none may crash, or leave anything in the
// sequence after an error.
func FuzzLoadSeq(f *testing.F) {
	c := newContext(f, seedModel(f), llama.ContextParams{NCtx: 256, NSeqMax: 2})
	path := filepath.Join(f.TempDir(), "sequence")
	// of an empty sequence, to be small
	if err := c.SaveSeq(path, 0, tokenize(f, "red")); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:20])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := c.LoadSeq(path, 1, 100); err != nil && c.Memory().SeqPosMax(1) != -1 {
			t.Error("the sequence is not empty after an error")
		}
	})
}
