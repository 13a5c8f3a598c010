package engine

import "testing"

// An answer that is asked for again, alone, is guessed ahead just as before: its decodes have the
// same sizes, whatever the clock says. (Where the cells of the cache lie still changes the last
// bits of logits; Request.Fresh is for those who need these.)
func TestARepeatedAnswerIsGuessedAlike(t *testing.T) {
	m := open(t)
	guessed := 0
	for _, q := range []struct{ picture, text string }{{"sketch-1.png", "Write the HTML."},
		{"chart-1.png", "Write the table as JSON."}, {"shape-4.png", "What is in this picture?"}} {
		r := Request{Messages: []Message{User(Picture(picture(t, q.picture)), Text(q.text))},
			MaxTokens: 60}
		want := mustAsk(t, m, r)
		for range 3 {
			got := mustAsk(t, m, r)
			guessed += got.Speculation.Guessed
			if got.Speculation != want.Speculation || got.text != want.text {
				t.Errorf("%s: %q with %+v, and before %q with %+v", q.text, got.text,
					got.Speculation, want.text, want.Speculation)
			}
		}
	}
	if guessed == 0 {
		t.Error("nothing was guessed")
	}
}
