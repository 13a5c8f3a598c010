package llama_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// longTokens are more than a few nodes' work.
func longTokens(t *testing.T) []llama.Token {
	return tokenize(t, strings.Repeat("What color is the background, and what is in the picture? ",
		12))
}

func begin(t *testing.T, ctx context.Context, c *llama.Context,
	tokens []llama.Token) *llama.Stepwise {
	t.Helper()
	b := newBatch(t, len(tokens), 1)
	for i, token := range tokens {
		if err := b.Add(token, llama.Pos(i), i == len(tokens)-1, 0); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Begin(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestADecodeInStepsIsTheSameDecode(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tokens := longTokens(t)
	p := llama.ContextParams{NCtx: 1024, NSeqMax: 2}
	want := decode(t, newContext(t, seedModel(t), p), tokens, 0, 0)
	p.Steps = true
	c, other := newContext(t, seedModel(t), p), newContext(t, seedModel(t),
		llama.ContextParams{NCtx: 256})
	s := begin(t, context.Background(), c, tokens)
	if _, err := c.SeqState(0, 0); err == nil {
		t.Error("the state of a context in the middle of a decode")
	}
	if err := c.Memory().SeqRemove(0, -1, -1); err == nil {
		t.Error("cells were removed in the middle of a decode")
	}
	pauses, pos := 0, llama.Pos(0)
	for {
		done, err := s.Advance(0)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			break
		}
		pauses++
		decode(t, other, []llama.Token{5}, pos, 0) // others compute meanwhile
		pos++
	}
	if pauses < 3 || s.Longest() <= 0 {
		t.Errorf("%d pauses, the longest piece took %v", pauses, s.Longest())
	}
	same(t, "in steps", logits(t, c, len(tokens)-1), want)
	same(t, "at once, by a context that can do steps", decode(t, newContext(t, seedModel(t), p),
		tokens, 0, 0), want)
	if done, err := s.Advance(0); !done || err != nil {
		t.Errorf("after the end: %v, %v", done, err)
	}
}

func TestADecodeInStepsCanBeGivenUp(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tokens := longTokens(t)
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 1024, Steps: true})
	ctx, cancel := context.WithCancel(context.Background())
	s := begin(t, ctx, c, tokens)
	if done, err := s.Advance(0); done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	cancel()
	done, err := s.Advance(time.Hour)
	if !done || !errors.Is(err, llama.ErrAborted) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", done, err)
	}
	s = begin(t, context.Background(), c, tokens)
	_, _ = s.Advance(0)
	s.Stop()
	s.Stop()
	if err := c.Memory().SeqRemove(0, -1, -1); err != nil {
		t.Error(err)
	}
	decode(t, c, tokens, 0, 0) // it can be used again
	if err := c.Memory().SeqRemove(0, -1, -1); err != nil {
		t.Error(err)
	}
	s = begin(t, context.Background(), c, tokens)
	_, _ = s.Advance(0)
	if err := c.Close(); err != nil { // in the middle of a decode
		t.Error(err)
	}
	if done, err := s.Advance(0); !done || !errors.Is(err, llama.ErrAborted) {
		t.Errorf("after Close: %v, %v", done, err)
	}
}

func TestADecodeInStepsStaysOnItsThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 1024, Steps: true})
	s := begin(t, context.Background(), c, longTokens(t))
	_, _ = s.Advance(0)
	other := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_, err := s.Advance(time.Hour)
		other <- err
	}()
	if err := <-other; err == nil {
		t.Error("another thread went on with it")
	}
	if done, err := s.Advance(time.Hour); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	if _, err := newContext(t, seedModel(t),
		llama.ContextParams{NCtx: 256}).Begin(context.Background(), newBatch(t, 1, 1)); err == nil {
		t.Error("a context without Steps, and an empty batch")
	}
}
