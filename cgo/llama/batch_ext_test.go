package llama_test

import (
	"context"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

func newBatchExt(t *testing.T, c *llama.Context) *llama.BatchExt {
	t.Helper()
	b, err := llama.NewBatchExt(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestProcessEqualsDecode(t *testing.T) {
	tokens := tokenize(t, prompt)
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 512, NSeqMax: 2})
	b := newBatchExt(t, c)
	for i, token := range tokens {
		if err := b.Add(token, llama.Pos(i), i == len(tokens)-1, 0); err != nil {
			t.Fatal(err)
		}
		if err := b.Share(i, 1); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() != len(tokens) {
		t.Errorf("Len is %d", b.Len())
	}
	if err := c.Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	same(t, "tokens", logits(t, c, len(tokens)-1), fresh(t, tokens))
	if c.Memory().SeqPosMax(1) != llama.Pos(len(tokens))-1 {
		t.Errorf("the shared sequence stands at %d", c.Memory().SeqPosMax(1))
	}
	b.Clear()
	c.Memory().Clear(false)
	for i, row := range embeddingRows(t, tokens) {
		if err := b.AddEmbedding(row, []llama.Pos{llama.Pos(i)}, i == len(tokens)-1,
			0); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	same(t, "embeddings", logits(t, c, len(tokens)-1), fresh(t, tokens))
}

// libllama 0.7 mixes tokens and embeddings only for families that ask for it; whatever it does with
// a plain Llama model, it must be either an error that leaves the context usable or the right
// logits.
func TestProcessOfTokensBesideEmbeddings(t *testing.T) {
	tokens := tokenize(t, prompt)
	rows := embeddingRows(t, tokens)
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	b := newBatchExt(t, c)
	var err error
	for i, token := range tokens {
		if i%2 == 0 {
			err = b.Add(token, llama.Pos(i), i == len(tokens)-1, 0)
		} else {
			err = b.AddEmbedding(rows[i], []llama.Pos{llama.Pos(i)}, i == len(tokens)-1, 0)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = c.Process(context.Background(), b)
	}
	if err == nil {
		same(t, "a mixed batch", logits(t, c, len(tokens)-1), fresh(t, tokens))
		return
	}
	t.Logf("a mixed batch: %v", err)
	c.Memory().Clear(false)
	same(t, "after a refused batch", decode(t, c, tokens, 0, 0), fresh(t, tokens))
}

func TestExtendedBatchMisuse(t *testing.T) {
	m := seedModel(t)
	c := newContext(t, m, llama.ContextParams{NCtx: 256, NBatch: 8, NSeqMax: 2})
	b := newBatchExt(t, c)
	row := make([]float32, m.NEmbdInp())
	ctx := context.Background()
	for name, err := range map[string]error{
		"an empty batch":          c.Process(ctx, b),
		"no batch":                c.Process(ctx, nil),
		"a token out of range":    b.Add(vocabulary, 0, true, 0),
		"a negative token":        b.Add(-1, 0, true, 0),
		"a sequence out of range": b.Add(5, 0, true, 2),
		"a negative sequence":     b.Add(5, 0, true, -1),
		"a narrow embedding":      b.AddEmbedding(row[1:], []llama.Pos{0}, true, 0),
		"two positions":           b.AddEmbedding(row, []llama.Pos{0, 1}, true, 0),
		"no position":             b.AddEmbedding(row, nil, true, 0),
		"sharing nothing":         b.Share(0, 1),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, positions := range map[string][]llama.Pos{"a gap": {0, 1, 3}, "going back": {0, 1, 0},
		"a negative position": {-1}} {
		b.Clear()
		var err error
		for _, p := range positions {
			if err = b.Add(5, p, true, 0); err != nil {
				break
			}
		}
		if err == nil {
			err = c.Process(ctx, b)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if c.Memory().SeqPosMax(0) != -1 {
			t.Errorf("%s: something was computed", name)
		}
	}
	b.Clear()
	for i := range 8 {
		if err := b.Add(5, llama.Pos(i), false, 0); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, b.Add(5, 8, false, 0), llama.ErrInvalidBatch)
	other := newContext(t, m, llama.ContextParams{NCtx: 64})
	wantError(t, other.Process(ctx, b), llama.ErrInvalidBatch)
	if err := c.Process(ctx, b); err != nil {
		t.Error(err)
	}
	b.Close()
	b.Close()
	b.Clear()
	wantError(t, b.Add(5, 0, true, 0), llama.ErrClosed)
	wantError(t, b.Share(0, 0), llama.ErrClosed)
	wantError(t, c.Process(ctx, b), llama.ErrClosed)

	late := newBatchExt(t, other)
	other.Close()
	wantError(t, late.Add(5, 0, true, 0), llama.ErrClosed)
	_, err := llama.NewBatchExt(other)
	wantError(t, err, llama.ErrClosed)
}
