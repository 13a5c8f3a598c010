package sched

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
)

// sketching is a [Drafter] that knows the machine's next token, or is wrong about it, in virtual
// time.
type sketching struct {
	wrong  bool
	fails  bool
	each   time.Duration
	calls  int
	drafts int
	known  map[uint64]bool
}

func (d *sketching) Draft(_ context.Context, sketches []*Sketch) error {
	d.calls++
	if d.fails {
		return errors.New("a draft model that fails")
	}
	for _, k := range sketches {
		d.known[k.ID] = true
		h := uint64(14695981039346656037)
		for _, i := range k.Items {
			if i.IsToken() {
				h = mix(h, uint64(i.Value))
			}
		}
		for range k.Most {
			time.Sleep(d.each)
			t := llama.Token(h % 7)
			if d.wrong {
				t += 7
			}
			k.Tokens = append(k.Tokens, t)
			h = mix(h, uint64(t))
			d.drafts++
		}
	}
	return nil
}

func (d *sketching) Forget(id uint64) { delete(d.known, id) }

// drafting runs two answers and returns how long they took and how many decodes.
func drafting(t *testing.T, d *sketching) (took time.Duration, decodes int, st Stats) {
	inBubble(t, 1000, func(c *Config) {
		if d != nil {
			d.known = map[uint64]bool{}
			c.Drafter = d
		}
	}, func(t *testing.T, b *bench) {
		b.m.each = 5 * time.Millisecond
		start := time.Now()
		b.sayTogether(t, 2, 100, 1000, "%d: a question")
		took, decodes, st = time.Since(start), b.m.decodes, b.s.Stats()
	})
	if d != nil && len(d.known) != 0 {
		t.Errorf("%d answers are kept after their end", len(d.known))
	}
	return took, decodes, st
}

func TestARightDraftSavesTime(t *testing.T) {
	plain, many, _ := drafting(t, nil)
	took, few, st := drafting(t, &sketching{each: time.Millisecond})
	if st.Drafted == 0 || took >= plain || few >= many {
		t.Errorf("%s and %d decodes with a draft model, %s and %d without: %+v", took, few, plain,
			many, st)
	}
}

func TestAWrongDraftIsGivenUp(t *testing.T) {
	plain, _, _ := drafting(t, nil)
	d := &sketching{wrong: true, each: time.Millisecond}
	took, _, st := drafting(t, d)
	if st.Drafted == 0 || float64(took) > 1.3*float64(plain) {
		t.Errorf("%s with a draft model that is always wrong, %s without; %d drafted", took, plain,
			st.Drafted)
	}
}

func TestASlowDraftIsGivenUp(t *testing.T) {
	d := &sketching{each: time.Second}
	_, _, st := drafting(t, d)
	if st.Drafted == 0 || d.drafts > 60 {
		t.Errorf("%d tokens were drafted at a second each", d.drafts)
	}
}

func TestAnswersGoOnWithoutADraftModelThatFails(t *testing.T) {
	d := &sketching{fails: true}
	_, _, st := drafting(t, d)
	if st.Undrafted == 0 || st.Drafted != 0 {
		t.Errorf("%+v", st)
	}
	if d.calls > 2 {
		t.Errorf("two answers asked a draft model that fails %d times", d.calls)
	}
}

func TestWhoIsPutAsideKeepsNothingOfTheDraftModel(t *testing.T) {
	d := &sketching{each: time.Millisecond, known: map[uint64]bool{}}
	inBubble(t, 300, func(c *Config) { c.Drafter = d }, func(t *testing.T, b *bench) {
		b.m.each = 5 * time.Millisecond
		one, two := b.sayTwo(100, "a question", "another one")
		_ = b.s.Do(func() {
			if len(d.known) == 0 || !b.makeRoom() {
				t.Errorf("%d answers are drafted for, %d run", len(d.known), len(b.s.active))
				return
			}
			for _, task := range b.s.queue {
				if d.known[task.sketch.id] {
					t.Error("the draft model keeps what it read of a task that was preempted")
				}
			}
			if len(d.known) > 1 {
				t.Errorf("%d answers are kept, and one runs", len(d.known))
			}
		})
		for _, task := range []*Task{one, two} {
			if _, err := task.Wait(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWhatADraftMustGain(t *testing.T) {
	for _, test := range []struct {
		rate, extra float64
		want        bool
	}{{0.9, 0, true}, {0.9, 0.03, true}, {0.9, 3, false}, {0.01, 0, false},
		{math.SmallestNonzeroFloat64, 0, false}} {
		g := guesser{rate: test.rate}
		if got := g.wanted(8, 1, 0.03, test.extra) > 0; got != test.want {
			t.Errorf("at a rate of %g and %g decodes a guess: %v", test.rate, test.extra, got)
		}
	}
	if len(lookUp([]kv.Item{{Value: 1}, {Value: 2}, {Value: 1}, {Value: 2}}, 0)) != 0 {
		t.Error("guesses that nobody wanted")
	}
}
