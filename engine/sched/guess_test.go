package sched

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
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

// What a grammar forces is computed in few decodes; if it is not so, the answer is what it is.
func TestForcedTokensAreComputedTogether(t *testing.T) {
	var want []llama.Token
	decodes := map[string]int{}
	for _, kind := range []string{"free", "forced", "mistaken"} {
		var d *sizing
		inBubble(t, 300, func(c *Config) {
			c.Speculation = true
			d = &sizing{machine: c.Decoder.(*machine), rng: rand.New(rand.NewPCG(1, 1))}
			c.Decoder = d
		}, func(t *testing.T, b *bench) {
			task, w := b.say(40, "a form to fill in")
			w.ahead = func() []llama.Token {
				if kind == "free" || len(w.tokens) >= len(want) {
					return nil
				}
				next := slices.Clone(want[len(w.tokens):])
				for i := range next {
					if kind == "mistaken" && i%2 == 1 {
						next[i] = (next[i] + 1) % 7
					}
				}
				return next
			}
			b.submit(task)
			if _, err := task.Wait(); err != nil {
				t.Fatal(err)
			}
			if kind == "free" {
				want = w.tokens
			} else if !slices.Equal(w.tokens, want) {
				t.Errorf("%s: %v, want %v", kind, w.tokens, want)
			}
		})
		decodes[kind] = len(d.sizes)
	}
	if decodes["forced"] > decodes["free"]/2 {
		t.Errorf("%v decodes", decodes)
	}
}

// A decode of an answer that is to be uniform has as many entries as are, and no more.
func TestUniformAnswersAreComputedInFewRows(t *testing.T) {
	const few = 5
	var sizes []int
	inBubble(t, 300, func(c *Config) {
		c.Speculation, c.FewRows, c.RowShare = true, few, FewRow
		c.Decoder = &sizing{machine: c.Decoder.(*machine), rng: rand.New(rand.NewPCG(1, 1))}
		sizes = nil
	}, func(t *testing.T, b *bench) {
		d := b.s.cfg.Decoder.(*sizing)
		task, w := b.say(40, "a form to fill in")
		task.Uniform = true
		w.ahead = func() []llama.Token { return make([]llama.Token, 20) } // a seventh of them right
		b.submit(task)
		if _, err := task.Wait(); err != nil {
			t.Fatal(err)
		}
		sizes = d.sizes[1:] // behind the prompt
	})
	if most := slices.Max(sizes); most > few || most < 2 {
		t.Errorf("decodes of %v entries", sizes)
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
