package engine

import (
	"testing"
	"time"
)

// TestAWindowIsReadBesideAnswers lets a long prompt and a picture come while an answer is running,
// on a model whose layers attend over a sliding window.
func TestAWindowIsReadBesideAnswers(t *testing.T) {
	model, projector := gemma3.make(t)
	m := open(t, func(s *ModelSpec) {
		s.Model, s.Projector, s.Context = model, projector, famContext
		s.MaxGap = time.Millisecond // nothing is so short that it is read in the first context
	})
	var prompts [][]Message
	for _, n := range []int{30, 200} {
		prompts = append(prompts, []Message{User(Text("Look here:"),
			Picture(scene(t, 0, 150, 70)), Text(filler(t, m, n)))})
	}
	prompts = append(prompts, []Message{User(Text(filler(t, m, 300)))})
	var alone []wholeAnswer
	for _, p := range prompts {
		alone = append(alone, say(t, m, true, p...))
	}
	running := make(chan struct{})
	first := make(chan struct{})
	go func() {
		defer close(running)
		n := 0
		for _, err := range m.Generate(t.Context(), Request{Messages: []Message{
			User(Text("On and on."))}, MaxTokens: 600, Sampling: Sampling{
			LogitBias: noEnd(m)}}) {
			if err != nil {
				t.Error(err)
			}
			if n++; n == 3 {
				close(first)
			}
		}
	}()
	<-first
	for i, p := range prompts {
		agree(t, "beside an answer", say(t, m, false, p...), alone[i].text)
	}
	<-running
	st := m.Stats()
	if st.ReadBeside < 4*famWindow || st.Unread > 0 || st.Faults > 0 {
		t.Errorf("%d items were read beside the answer, %d failures, %d faults", st.ReadBeside,
			st.Unread, st.Faults)
	}
	idle(t, m)
}

// noEnd forbids the tokens that end an answer.
func noEnd(m *Model) map[Token]float32 {
	bias := map[Token]float32{}
	for _, e := range m.endings() {
		bias[e] = -100
	}
	return bias
}
