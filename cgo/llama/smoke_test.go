package llama

import (
	"context"
	"testing"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	m, err := LoadModel(ctx, "../../models/builtin/eyelet-seed-q8_0.gguf", ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(m.Description(), m.NParams(), m.FileType(), m.Vocab().N())
	lc, err := NewContext(m, ContextParams{NCtx: 512})
	if err != nil {
		t.Fatal(err)
	}
	toks, err := m.Vocab().Tokenize("USER: What color is the background? ASSISTANT:", true, false)
	if err != nil {
		t.Fatal(err)
	}
	b := NewTokenBatch(512, 1)
	for i, x := range toks {
		if err := b.Add(x, Pos(i), i == len(toks)-1, 0); err != nil {
			t.Fatal(err)
		}
	}
	s, err := NewSampler(m, Grammar("root ::= \" \" [a-z]+", "root"), Greedy())
	if err != nil {
		t.Fatal(err)
	}
	d := Decoder{Vocab: m.Vocab()}
	n := len(toks)
	text := ""
	i := n - 1
	for range 20 {
		if err := lc.Decode(ctx, b); err != nil {
			t.Fatal(err)
		}
		tok, err := s.Sample(lc, i)
		if err != nil {
			t.Fatal(err)
		}
		if m.Vocab().IsEOG(tok) {
			break
		}
		text += d.Push(tok)
		b.Clear()
		b.Add(tok, Pos(n), true, 0)
		n++
		i = 0
	}
	t.Logf("%q", text)
	t.Log(m.Close())
	b.Close()
	s.Close()
	lc.Close()
	t.Log(m.Close())
}
