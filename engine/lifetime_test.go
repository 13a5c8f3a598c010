package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// endless is a request that goes on until the context is full.
func endless(m *Model) Request {
	return Request{Prompt: "USER: ",
		Sampling: Sampling{LogitBias: map[Token]float32{m.lm.Vocab().EOS(): -1000}}}
}

func TestCancellingEndsAnAnswerAndTheNextIsRight(t *testing.T) {
	m := open(t)
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
		Text("What is in this picture?"))}}
	want := mustAsk(t, m, r).text
	unending := r // an answer that nothing but the cancellation ends, however late that is noticed
	unending.Sampling.LogitBias = noEnd(m)
	for cut := range 12 {
		ctx, cancel := context.WithCancel(context.Background())
		var err error
		n := 0
		if cut == 0 {
			cancel()
		}
		for _, err = range m.Generate(ctx, unending) {
			if n++; n == cut {
				cancel()
			}
			if err != nil {
				break
			}
		}
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after %d events: %v", cut, err)
		}
		if a := mustAsk(t, m, r); a.text != want {
			t.Errorf("after a cancel at event %d: %q, want %q", cut, a.text, want)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := collect(ctx, m, endless(m)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
}

func TestLeavingTheLoopEndsTheAnswer(t *testing.T) {
	m := open(t, textOnly)
	n := 0
	for _, err := range m.Generate(context.Background(), endless(m)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
	// would wait for ever if the turn had not been given back
	mustAsk(t, m, Request{Prompt: "USER: ", MaxTokens: 1})
}

// The compute thread may be drawing a token while the loop's body panics: what it draws with is
// freed only after that.
func TestAPanicInTheLoopEndsTheAnswer(t *testing.T) {
	m := open(t, textOnly)
	for at := range 12 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not reach the caller")
				}
			}()
			n := 0
			for range m.Generate(t.Context(), endless(m)) {
				if n++; n > at {
					panic("in the loop")
				}
			}
		}()
		idle(t, m)
	}
	mustAsk(t, m, Request{Prompt: "USER: ", MaxTokens: 1})
}

func TestClosingEndsRunningRequests(t *testing.T) {
	m := open(t, textOnly)
	began := make(chan struct{})
	var once sync.Once
	failed := make(chan error, 1)
	go func() {
		var last error
		for _, err := range m.Generate(context.Background(), endless(m)) {
			once.Do(func() { close(began) })
			last = err
		}
		failed <- last
	}()
	<-began
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Errorf("running request: %v, want ErrClosed", err)
	}
	if _, err := collect(context.Background(), m, Request{Prompt: "x"}); !errors.Is(err,
		ErrClosed) {
		t.Errorf("request after Close: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := m.engine.Close(); err != nil {
		t.Error(err)
	}
	if err := m.engine.Close(); err != nil {
		t.Errorf("second Close of the engine: %v", err)
	}
	if _, err := m.engine.Load(context.Background(), ModelSpec{Model: seedModel}); !errors.Is(err,
		ErrClosed) {
		t.Errorf("Load after Close: %v", err)
	}
}

func TestManyClientsGetTheirOwnAnswers(t *testing.T) {
	m := open(t)
	backgrounds := map[string]string{"shape-1.png": "beige", "shape-2.png": "pink",
		"shape-3.png": "gray", "shape-4.png": "cyan"}
	var wg sync.WaitGroup
	for name, want := range backgrounds {
		image := picture(t, name)
		for range 3 {
			wg.Go(func() {
				for range 3 {
					a, err := collect(context.Background(), m,
						Request{Messages: []Message{User(Picture(image),
							Text("What color is the background?"))}})
					if err != nil || a.text != want {
						t.Errorf("%s: %q, %v; want %q", name, a.text, err, want)
					}
				}
			})
		}
	}
	wg.Wait()
}

func TestTwoEnginesShareTheComputeThread(t *testing.T) {
	a, b := open(t, textOnly), open(t, textOnly)
	if a.engine.thread != b.engine.thread {
		t.Error("two engines compute on two threads")
	}
	var wg sync.WaitGroup
	for _, m := range []*Model{a, b} {
		wg.Go(func() {
			for range 5 {
				if _, err := collect(context.Background(), m,
					Request{Prompt: "USER: hello ASSISTANT:", MaxTokens: 8}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
