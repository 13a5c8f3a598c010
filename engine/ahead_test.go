package engine

import (
	"context"
	"testing"
)

// A picture that was decoded ahead is not decoded by the request about it, and makes the same
// answer.
func TestAheadDecodesForTheNextRequest(t *testing.T) {
	m := open(t)
	ask := func(image *Image) (text string, r Result) {
		for e, err := range m.Generate(t.Context(),
			Request{Messages: []Message{User(Picture(image), Text("What is in this picture?"))},
				MaxTokens: 8}) {
			if err != nil {
				t.Fatal(err)
			}
			text += e.Text
			if e.Done != nil {
				r = *e.Done
			}
		}
		return text, r
	}
	first, second := numbered(t, 1, 90, 70), numbered(t, 2, 90, 70)
	m.Ahead(t.Context(), first, Budget{})
	text, r := ask(first)
	if r.Timings.DecodeImage != 0 || r.Timings.Encode == 0 {
		t.Errorf("%+v", r.Timings)
	}
	other := open(t)
	other.Ahead(t.Context(), second, Budget{}) // and leaves it to Close
	same := &Image{Name: "again", Data: append([]byte(nil), first.Data...)}
	for e, err := range other.Generate(t.Context(),
		Request{Messages: []Message{User(Picture(same), Text("What is in this picture?"))},
			MaxTokens: 8}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Done != nil && e.Done.Timings.DecodeImage == 0 {
			t.Error("the other picture was not decoded")
		}
		if len(e.Text) > 0 && len(text) >= len(e.Text) && text[:len(e.Text)] == e.Text {
			text = text[len(e.Text):]
		}
	}
	if text != "" {
		t.Errorf("%q is missing of the answer without", text)
	}
	for range 3 { // each in the place of the one before
		m.Ahead(t.Context(), first, Budget{})
		m.Ahead(t.Context(), second, Budget{})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	m.Ahead(ended, first, Budget{})
	m.Ahead(t.Context(), &Image{Name: "bad", Data: []byte("no picture")}, Budget{})
	m.Ahead(t.Context(), &Image{Name: "empty"}, Budget{})
	ask(second)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m.Ahead(t.Context(), first, Budget{})
}
