package engine

import (
	"context"
	"sync"
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
	// Two answers follow each other for as long as the prompts need, so that one is always running
	// however fast the machine writes and however slowly it reads.
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	first := make(chan struct{}, 4)
	for _, words := range []string{"On and on.", "And on and on."} {
		running.Go(func() { writeUntil(ctx, t, m, words, first) })
	}
	<-first
	for i, p := range prompts {
		agree(t, "beside an answer", say(t, m, false, p...), alone[i].text)
	}
	stop()
	running.Wait()
	st := m.Stats()
	if st.ReadBeside < 4*famWindow || st.Unread > 0 || st.Faults > 0 {
		t.Errorf("%d items were read beside the answer, %d failures, %d faults", st.ReadBeside,
			st.Unread, st.Faults)
	}
	idle(t, m)
}

// writeUntil writes one endless answer after another until ctx ends, and reports on first when the
// first of them has begun.
func writeUntil(ctx context.Context, t *testing.T, m *Model, words string, first chan<- struct{}) {
	for n := 0; ctx.Err() == nil; {
		for _, err := range m.Generate(ctx, Request{Messages: []Message{User(Text(words))},
			MaxTokens: 300, Sampling: Sampling{LogitBias: noEnd(m)}}) {
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				first <- struct{}{} // the test ends instead of waiting for an answer
				return
			}
			if n++; n == 3 {
				first <- struct{}{}
			}
		}
	}
}

// noEnd forbids the tokens that end an answer.
func noEnd(m *Model) map[Token]float32 {
	bias := map[Token]float32{}
	for _, e := range m.endings() {
		bias[e] = -100
	}
	return bias
}
