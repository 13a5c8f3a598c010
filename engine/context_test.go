package engine

import "testing"

// libllama makes 256 cells of fewer, and cannot make a context of fewer cells than sequences.
func TestTheShortestContexts(t *testing.T) {
	for _, cells := range []int{1, 8, 31} {
		m := open(t, func(s *ModelSpec) { s.Context = cells })
		if got := m.Info().Context; got < cells {
			t.Errorf("a context of %d cells, %d were asked for", got, cells)
		}
		mustAsk(t, m, Request{Prompt: "a", MaxTokens: 1})
	}
}
