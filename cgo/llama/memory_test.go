package llama_test

import (
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// filled is a context of two sequences whose sequence 0 holds the prompt.
func filled(t *testing.T, p llama.ContextParams) (*llama.Context, []llama.Token) {
	t.Helper()
	p.NCtx, p.NSeqMax = 512, 2
	c := newContext(t, seedModel(t), p)
	tokens := tokenize(t, prompt)
	decode(t, c, tokens, 0, 0)
	return c, tokens
}

func TestRemovingTheEndRewinds(t *testing.T) {
	c, tokens := filled(t, llama.ContextParams{})
	m := c.Memory()
	if err := m.SeqRemove(0, 10, -1); err != nil {
		t.Fatal(err)
	}
	if m.SeqPosMin(0) != 0 || m.SeqPosMax(0) != 9 {
		t.Errorf("positions %d to %d", m.SeqPosMin(0), m.SeqPosMax(0))
	}
	same(t, "decoding the end again", decode(t, c, tokens[10:], 10, 0), fresh(t, tokens))
}

func TestCopyingSharesAPrefix(t *testing.T) {
	c, tokens := filled(t, llama.ContextParams{})
	m := c.Memory()
	if err := m.SeqCopy(0, 1, 0, 12); err != nil {
		t.Fatal(err)
	}
	if m.SeqPosMax(1) != 11 {
		t.Errorf("sequence 1 stands at %d", m.SeqPosMax(1))
	}
	other := tokenize(t, " red square")[1:]
	same(t, "going on elsewhere", decode(t, c, other, 12, 1),
		fresh(t, slices.Concat(tokens[:12], other)))
	same(t, "the original", decode(t, c, other, llama.Pos(len(tokens)), 0),
		fresh(t, slices.Concat(tokens, other)))
}

func TestCopyingAWholeSequenceBetweenParts(t *testing.T) {
	c, tokens := filled(t, llama.ContextParams{SplitKV: true})
	if err := c.Memory().SeqCopy(0, 1, -1, -1); err != nil {
		t.Fatal(err)
	}
	other := tokenize(t, " red")[1:]
	same(t, "the copy", decode(t, c, other, llama.Pos(len(tokens)), 1),
		fresh(t, slices.Concat(tokens, other)))
}

func TestClearForgetsEverything(t *testing.T) {
	for _, zero := range []bool{false, true} {
		c, tokens := filled(t, llama.ContextParams{})
		if err := c.Memory().Clear(zero); err != nil {
			t.Fatal(err)
		}
		if c.Memory().SeqPosMax(0) != -1 {
			t.Error("the sequence is still there")
		}
		same(t, "after Clear", decode(t, c, tokens, 0, 0), fresh(t, tokens))
	}
}

// Keys carry their position by rotation: a sequence moved by d must look like one that was decoded
// d later.
func TestAddingMovesPositions(t *testing.T) {
	c, tokens := filled(t, llama.ContextParams{})
	m := c.Memory()
	if !m.CanShift() {
		t.Fatal("a Llama cache cannot shift")
	}
	if err := m.SeqAdd(0, 0, -1, 7); err != nil {
		t.Fatal(err)
	}
	if m.SeqPosMin(0) != 7 || m.SeqPosMax(0) != llama.Pos(len(tokens))+6 {
		t.Errorf("positions %d to %d", m.SeqPosMin(0), m.SeqPosMax(0))
	}
	next := tokenize(t, " red")[1:]
	later := newContext(t, seedModel(t), llama.ContextParams{NCtx: 512})
	decode(t, later, tokens, 7, 0)
	at := llama.Pos(len(tokens)) + 7
	same(t, "moved by 7", decode(t, c, next, at, 0), decode(t, later, next, at, 0))
}

// Context shift: cutting a hole and closing it leaves a sequence that goes on without a gap.
func TestClosingAHole(t *testing.T) {
	c, tokens := filled(t, llama.ContextParams{})
	m := c.Memory()
	if err := m.SeqRemove(0, 4, 8); err != nil {
		t.Fatal(err)
	}
	if err := m.SeqAdd(0, 8, -1, -4); err != nil {
		t.Fatal(err)
	}
	if got, want := m.SeqPosMax(0), llama.Pos(len(tokens))-5; got != want {
		t.Errorf("the sequence stands at %d, want %d", got, want)
	}
	decode(t, c, tokens[:1], llama.Pos(len(tokens))-4, 0)
}

func TestMemoryChecksItsArguments(t *testing.T) {
	c, _ := filled(t, llama.ContextParams{})
	m := c.Memory()
	for name, err := range map[string]error{
		"removing from a sequence out of range": m.SeqRemove(2, -1, -1),
		"removing from a negative sequence":     m.SeqRemove(-1, -1, -1),
		"copying from out of range":             m.SeqCopy(9, 0, -1, -1),
		"copying to out of range":               m.SeqCopy(0, 9, -1, -1),
		"adding out of range":                   m.SeqAdd(9, -1, -1, 1),
		"adding past the last position":         m.SeqAdd(0, -1, -1, 1<<31-1),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if m.SeqPosMax(9) != -1 || m.SeqPosMin(-1) != -1 {
		t.Error("a sequence out of range has positions")
	}
	// Odd ranges are empty, not errors.
	for _, r := range [][2]llama.Pos{{5, 3}, {1000, 2000}, {3, 3}} {
		if err := m.SeqRemove(0, r[0], r[1]); err != nil {
			t.Errorf("removing %v: %v", r, err)
		}
		if err := m.SeqCopy(0, 1, r[0], r[1]); err != nil {
			t.Errorf("copying %v: %v", r, err)
		}
	}
	if err := m.SeqAdd(0, -1, -1, -1<<31); err != nil {
		t.Errorf("moving everything below zero: %v", err)
	}
	if err := (llama.Memory{}).Clear(false); err == nil {
		t.Error("the zero Memory can be cleared")
	}
}

func TestPartOfASequenceIsNotCopiedBetweenParts(t *testing.T) {
	c, _ := filled(t, llama.ContextParams{SplitKV: true})
	for _, r := range [][2]llama.Pos{{0, 5}, {3, -1}, {3, 7}} {
		wantError(t, c.Memory().SeqCopy(0, 1, r[0], r[1]), nil)
	}
}
