package engine

import (
	"errors"
	"testing"
)

func TestADraftModelChangesNoAnswer(t *testing.T) {
	plain := open(t, func(s *ModelSpec) { s.NoSpeculation = true })
	m := open(t, func(s *ModelSpec) { s.Draft = seedModel })
	// Without a picture both models say the same; of one the draft model knows nothing. The first
	// comes first, since drafting stops where it does not pay, as it cannot with a draft model of
	// the model's own size.
	var requests []Request
	for _, q := range []string{"Describe the chart.", "Write the table as JSON.",
		"Write the HTML for this sketch.", "What color is the shape?"} {
		requests = append(requests, Request{Messages: []Message{User(Text(q))}, MaxTokens: 60})
	}
	requests = append(requests,
		Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
			Text("What is in this picture?"))}})
	for i, r := range requests {
		want, got := mustAsk(t, plain, r), mustAsk(t, m, r)
		if got.text != want.text {
			t.Errorf("request %d: %q, without a draft %q", i, got.text, want.text)
		}
	}
	st := m.Stats()
	if st.Drafted == 0 || st.Right == 0 {
		t.Errorf("nothing was drafted: %+v", st)
	}
	if st.Undrafted != 0 {
		t.Errorf("%d drafts failed", st.Undrafted)
	}
	if plain.Stats().Drafted != 0 {
		t.Error("a model without a draft model drafts")
	}
}

func TestADraftModelThatIsWrongChangesNoAnswer(t *testing.T) {
	random, _ := qwen2vl.make(t) // the built-in model's tokens, and some more behind them
	plain := open(t, func(s *ModelSpec) { s.NoSpeculation = true })
	m := open(t, func(s *ModelSpec) { s.Draft = random })
	for _, name := range []string{"shape-4.png", "shape-1.png"} {
		r := Request{Messages: []Message{User(Picture(picture(t, name)),
			Text("What is in this picture?"))}}
		if want, got := mustAsk(t, plain, r), mustAsk(t, m, r); got.text != want.text {
			t.Errorf("%q, without a draft %q", got.text, want.text)
		}
	}
	if st := m.Stats(); st.Undrafted != 0 {
		t.Errorf("%d drafts failed", st.Undrafted)
	}
}

func TestADraftModelOfAnotherVocabularyIsRefused(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	qwen, _ := qwen2vl.make(t)
	gemma, _ := gemma3.make(t)
	if _, err := e.Load(t.Context(), ModelSpec{Model: qwen, Draft: gemma}); !errors.Is(err,
		ErrMismatch) {
		t.Errorf("got %v, want ErrMismatch", err)
	}
	if _, err := e.Load(t.Context(), ModelSpec{Model: seedModel, Draft: seedProjector}); !errors.Is(
		err, ErrModelFile) {
		t.Errorf("a projector as draft model: %v", err)
	}
}

func TestAnOpenModelIsLentToDraft(t *testing.T) {
	plain := open(t, textOnly, func(s *ModelSpec) { s.NoSpeculation = true })
	m, other := open(t, textOnly), open(t, textOnly)
	r := Request{Messages: []Message{User(Text("Describe the chart."))}, MaxTokens: 60}
	want := mustAsk(t, plain, r).text
	for range 2 {
		if err := m.DraftWith(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if got := mustAsk(t, m, r).text; got != want {
			t.Errorf("%q, without a draft %q", got, want)
		}
	}
	drafted := m.Stats().Drafted
	if drafted == 0 {
		t.Error("nothing was drafted")
	}
	if err := other.Close(); err != nil { // while it is lent
		t.Error(err)
	}
	if got := mustAsk(t, m, r).text; got != want || m.Stats().Drafted != drafted {
		t.Errorf("%q after the lender was closed", got)
	}
	if err := m.DraftWith(t.Context(), other); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed lender: %v", err)
	}
	if err := m.DraftWith(t.Context(), m); err != nil { // it may guess for itself
		t.Error(err)
	}
	if got := mustAsk(t, m, r).text; got != want {
		t.Errorf("%q by itself", got)
	}
}

func TestLenderAndBorrowerCloseAtTheSameTime(t *testing.T) {
	for range 5 {
		m, other := open(t, textOnly), open(t, textOnly)
		if err := m.DraftWith(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = collect(t.Context(), m, endless(m)) }()
		done := make(chan error, 2)
		go func() { done <- m.Close() }()
		go func() { done <- other.Close() }()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}
