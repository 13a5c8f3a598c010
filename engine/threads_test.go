package engine

import (
	"testing"

	"github.com/eyelet-engine/eyelet/engine/cores"
)

// The number of threads does not enter what is computed: an answer is the same to the last bit.
func TestThreadsChangeNoLogit(t *testing.T) {
	r := Request{Messages: []Message{User(Picture(picture(t, "chart-1.png")),
		Text("Write the table as JSON."))}, MaxTokens: 40, Logprobs: true, TopLogprobs: 3,
		Fresh: true}
	m := open(t)
	want := mustAsk(t, m, r)
	m.decoder.Pace = cores.NewPace(1)
	got := mustAsk(t, m, r)
	if got.text != want.text {
		t.Fatalf("%q and %q", got.text, want.text)
	}
	for i := range want.logprobs {
		if got.logprobs[i].Logprob != want.logprobs[i].Logprob {
			t.Fatalf("token %d: %v and %v", i, got.logprobs[i].Logprob, want.logprobs[i].Logprob)
		}
	}
}

func TestARequestCanTakeFewerThreads(t *testing.T) {
	e, err := New(Options{Threads: 2, AllThreads: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m, err := e.Load(t.Context(), ModelSpec{Model: seedModel, Projector: seedProjector})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ asked, want int }{{1, 1}, {0, 2}, {7, 2}} {
		got := mustAsk(t, m, Request{Messages: []Message{User(Text("What color?"))}, MaxTokens: 3,
			Threads: c.asked})
		if now, batch := m.lc.Threads(); got.text == "" || now != c.want ||
			batch != c.want {
			t.Errorf("%d asked for: %d and %d threads, want %d", c.asked, now, batch, c.want)
		}
	}
}
