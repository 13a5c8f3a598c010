package llama_test

import (
	"bytes"
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

// FuzzSetSeqState looks at states that no SeqState made: none may crash, or leave anything in the
// sequence after an error.
func FuzzSetSeqState(f *testing.F) {
	c := newContext(f, seedModel(f), llama.ContextParams{NCtx: 256, NSeqMax: 2})
	whole, err := c.SeqState(0, 0) // of an empty sequence, to be small
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:20])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if c.SetSeqState(1, data, 0) != nil && c.Memory().SeqPosMax(1) != -1 {
			t.Error("the sequence is not empty after an error")
		}
	})
}
