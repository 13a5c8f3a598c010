package llama_test

import (
	"errors"
	"math"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

func TestACollectorSeesTheInputsOfMatrices(t *testing.T) {
	col, err := llama.NewCollector()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		col.Close()
		if _, err := col.Sums(); !errors.Is(err, llama.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := llama.NewContext(seedModel(t), llama.ContextParams{NCtx: 256,
			Collector: col}); !errors.Is(err, llama.ErrClosed) {
			t.Errorf("a context with a closed collector: %v", err)
		}
	})
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256, Collector: col})
	tokens := tokenize(t, prompt)
	b := newBatch(t, len(tokens), 1)
	for i, token := range tokens {
		if err := b.Add(token, llama.Pos(i), true, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Decode(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	same(t, "watched by a collector", logits(t, c, len(tokens)-1), fresh(t, tokens))
	sums, err := col.Sums()
	if err != nil {
		t.Fatal(err)
	}
	if len(sums) != 6*7 {
		t.Errorf("%d matrices", len(sums))
	}
	for name, s := range sums {
		columns := 256
		if name[6:] == "ffn_down.weight" {
			columns = 768
		}
		if len(s.Squares) != columns || len(s.Counts) != 1 || s.Counts[0] != float32(len(tokens)) {
			t.Errorf("%s: %d columns, %v rows", name, len(s.Squares), s.Counts)
		}
		for i, x := range s.Squares {
			if !(x >= 0) || math.IsInf(float64(x), 0) {
				t.Errorf("%s: sum %d is %v", name, i, x)
			}
		}
	}
	// Query, key and value read the same.
	q, v := sums["blk.2.attn_q.weight"], sums["blk.2.attn_v.weight"]
	for i := range q.Squares {
		if q.Squares[i] != v.Squares[i] || q.Squares[i] == 0 {
			t.Fatalf("column %d: %v and %v", i, q.Squares[i], v.Squares[i])
		}
	}
}
