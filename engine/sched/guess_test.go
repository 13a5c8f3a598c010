package sched

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// sizing notes how many entries each decode has, and takes a time for it that nobody can foresee.
type sizing struct {
	*machine
	rng   *rand.Rand
	sizes []int
}

func (s *sizing) Decode(ctx context.Context, entries []Entry) error {
	s.sizes = append(s.sizes, len(entries))
	time.Sleep(time.Duration(s.rng.IntN(100)) * time.Millisecond)
	return s.machine.Decode(ctx, entries)
}

// The size of a decode changes the last bits of what it computes, so that an answer that is asked
// for again is to find decodes of the same sizes, however long they take.
func TestGuessesDoNotDependOnTime(t *testing.T) {
	var want []int
	guessed := 0
	for run := range 8 {
		var got []int
		var d *sizing
		inBubble(t, 300, func(c *Config) {
			c.Speculation = true
			d = &sizing{machine: c.Decoder.(*machine), rng: rand.New(rand.NewPCG(uint64(run), 1))}
			c.Decoder = d
		}, func(t *testing.T, b *bench) {
			for i := range 4 {
				task, _ := b.say(100, fmt.Sprintf("%d: a question", i))
				b.submit(task)
				r, err := task.Wait()
				if err != nil {
					t.Fatal(err)
				}
				guessed += r.Guessed
			}
			got = d.sizes
		})
		if run == 0 {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("decodes of %v entries, and before of %v", got, want)
		}
	}
	if guessed == 0 {
		t.Error("nothing was guessed")
	}
}

func TestHowManyGuessesPay(t *testing.T) {
	for _, c := range []struct {
		rate, row, extra    float64
		most, answers, want int
	}{
		{0.6, 0.5, 0, 8, 1, 1},
		{0.45, 0.5, 0, 8, 1, 0},
		{0.8, 0.5, 0, 8, 1, 2},
		{0.95, 0.5, 0, 8, 1, 5},
		{0.95, 0.5, 0, 3, 1, 3},
		{0.95, 0.5, 0, 0, 1, 0},
		{0.6, 0.02, 0, 8, 1, 6},
		{0.6, 0.5, 0, 8, 4, 0}, // a decode of four is better use
		{0.9, 0.5, 0.5, 8, 1, 0},
	} {
		g := guesser{rate: c.rate}
		if got := g.worth(c.most, c.answers, c.row, c.extra); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
