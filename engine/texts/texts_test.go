package texts

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/sampling"
)

func TestTheQueueOfEmbeddingsHasAnEnd(t *testing.T) {
	lm, err := llama.LoadModel(t.Context(), "../../models/builtin/eyelet-builtin-q8_0.gguf",
		llama.ModelParams{GPULayers: llama.NoGPULayers})
	if err != nil {
		t.Fatal(err)
	}
	defer lm.Close()
	none := errors.New("no context")
	e := NewEmbedder(Host{Model: lm, Queue: 2,
		Open: func(context.Context, llama.ContextParams, string) (*llama.Context, error) {
			return nil, none
		}})
	e.turn <- struct{}{} // somebody is being served
	e.waiting.Add(1)
	ctx, stop := context.WithCancel(t.Context())
	waiting := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := e.Embed(ctx, EmbedRequest{Texts: []string{"a"}})
			waiting <- err
		}()
	}
	for e.waiting.Load() < 3 {
		time.Sleep(time.Millisecond)
	}
	if _, err := e.Embed(t.Context(), EmbedRequest{Texts: []string{"a"}}); !errors.Is(err,
		fault.ErrBusy) {
		t.Errorf("one more than the queue holds: %v", err)
	}
	stop()
	for range 2 {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	<-e.turn
	e.waiting.Add(-1)
	if _, err := e.Embed(t.Context(), EmbedRequest{Texts: []string{"a"}}); !errors.Is(err, none) {
		t.Errorf("after the queue is empty: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestPortionsAimAtTheirTime(t *testing.T) {
	p := pace{target: 100 * time.Millisecond, size: firstPortion}
	for range 20 { // a millisecond a token
		n := p.portion(512)
		p.took(n, time.Duration(n)*time.Millisecond)
	}
	if n := p.portion(512); n != 64 {
		t.Errorf("%d tokens in 100 ms at 1 ms a token, want 64", n)
	}
	if n := p.portion(10); n != 8 {
		t.Errorf("%d tokens of 10, want 8", n)
	}
	p.took(64, time.Hour)
	if n := p.portion(512); n != leastPortion {
		t.Errorf("%d tokens after a portion of an hour", n)
	}
}

func TestTokensGetTheBytesOfTheText(t *testing.T) {
	for _, x := range []struct{ text, pieces, want string }{
		{"a b", " a| b", "a| b"},
		{" a b", " a| b", " a| b"},
		{"<x>  b", "<x>|b", "<x>|  b"},
		{"日本", "日|本", "日|本"},
		{"ab", "a", "ab"},
	} {
		var tokens []sampling.TokenLogprob
		for p := range strings.SplitSeq(x.pieces, "|") {
			tokens = append(tokens, sampling.TokenLogprob{Text: p})
		}
		alignTexts(x.text, tokens)
		var got []string
		for _, t := range tokens {
			got = append(got, t.Text)
		}
		if strings.Join(got, "|") != x.want {
			t.Errorf("%q of %q: %q, want %q", x.text, x.pieces, strings.Join(got, "|"), x.want)
		}
	}
}
