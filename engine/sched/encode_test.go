package sched

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// beside gives the tower a thread of its own.
func beside(c *Config) { c.Tower, c.Speculation = func(f func()) { f() }, false }

func TestATowerBesideTakesNothingOfTheAnswersTime(t *testing.T) {
	inBubble(t, 2000, beside, func(t *testing.T, b *bench) {
		text, w := b.say(200, "tell me a story")
		b.submit(text)
		time.Sleep(time.Second)
		from := time.Now()
		picture, p := b.say(5, "system ", 1, 2, " what is it?")
		b.submit(picture)
		for b.encoder.Stats().Finished < 2 {
			time.Sleep(time.Millisecond)
		}
		to := time.Now()
		r, err := picture.Wait()
		if err != nil || r.Encode < time.Second {
			t.Errorf("%v, encoded for %v", err, r.Encode)
		}
		if want := b.alone(5, 0, 2000, "system ", 1, 2,
			" what is it?"); !slices.Equal(p.tokens, want) {
			t.Errorf("got %v, want %v", p.tokens, want)
		}
		if _, err := text.Wait(); err != nil {
			t.Error(err)
		}
		var during []time.Time
		for _, at := range w.times {
			if at.After(from) && at.Before(to) {
				during = append(during, at)
			}
		}
		for i := 1; i < len(during); i++ {
			// a token alone takes 45 ms, with a portion of a prompt up to the gap
			if gap := during[i].Sub(during[i-1]); gap > 250*time.Millisecond {
				t.Errorf("a gap of %v", gap)
			}
		}
		if len(during) < 20 { // of 45 ms, while the steps take 1.8 s
			t.Errorf("%d tokens beside two pictures", len(during))
		}
		if want := b.alone(200, 0, 2000, "tell me a story"); !slices.Equal(w.tokens, want) {
			t.Errorf("got %v, want %v", w.tokens, want)
		}
		if st := b.s.Stats(); st.EncodedBeside < 15 || st.Media.Steps != 20 {
			t.Errorf("%d of %d steps beside decodes", st.EncodedBeside, st.Media.Steps)
		}
	})
}

func TestAPictureThatIsEncodedBesideCanBeGivenUp(t *testing.T) {
	inBubble(t, 2000, beside, func(t *testing.T, b *bench) {
		ctx, stop := context.WithCancel(t.Context())
		task, _ := b.say(5, 1, "what is it?")
		if err := b.s.Submit(ctx, task); err != nil {
			t.Fatal(err)
		}
		time.Sleep(350 * time.Millisecond)
		stop()
		again, w := b.say(5, 1, "what is it?")
		other, v := b.say(5, 2, "what is it?")
		b.submit(again)
		b.submit(other)
		if _, err := task.Wait(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for i, task := range []*Task{again, other} {
			if _, err := task.Wait(); err != nil {
				t.Error(err)
			}
			got, want := []*writer{w, v}[i].tokens, b.alone(5, 0, 2000, 1+i, "what is it?")
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		if st := b.s.Stats().Media; st.Begun != 3 || st.Cancelled != 1 || st.Finished != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestCloseWaitsForATowerBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2000, beside)
		task, _ := b.say(5, 1, "what is it?")
		b.submit(task)
		time.Sleep(350 * time.Millisecond)
		b.close()
		steps := b.encoder.Stats().Steps
		if _, err := task.Wait(); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if now := b.encoder.Stats().Steps; now != steps || steps == 0 || steps == 10 {
			t.Errorf("%d steps, and %d after Close", steps, now)
		}
	})
}
