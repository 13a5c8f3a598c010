package sched

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

// inBubble runs a test of a bench in virtual time. At the end nothing may be left in the cache but
// what is finished.
func inBubble(t *testing.T, cells int, change func(*Config), f func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cells, change)
		defer b.close()
		f(t, b)
		st := b.s.Stats()
		if st.Cells.Active != 0 || st.Cells.Running != 0 || st.Waiting != 0 || st.Faults != 0 {
			t.Errorf("left over: %+v", st)
		}
		if used := st.Cells.Cells - b.cache.Free(); used != len(b.m.cells) {
			t.Errorf("the books count %d cells in use, the machine %d", used, len(b.m.cells))
		}
	})
}

func (b *bench) submit(t *Task) {
	b.t.Helper()
	if err := b.s.Submit(b.t.Context(), t); err != nil {
		b.t.Fatal(err)
	}
}

func TestAnAnswerIsWhatTheModelSaysAlone(t *testing.T) {
	inBubble(t, 500, nil, func(t *testing.T, b *bench) {
		task, w := b.say(30, "look at ", 1, " and say what it is")
		b.submit(task)
		if _, err := task.Wait(); err != nil {
			t.Fatal(err)
		}
		if want := b.alone(30, 0, 500, "look at ", 1,
			" and say what it is"); !slices.Equal(w.tokens, want) {
			t.Errorf("got %v, want %v", w.tokens, want)
		}
	})
}

func TestAFollowUpComputesOnlyWhatIsNew(t *testing.T) {
	inBubble(t, 500, nil, func(t *testing.T, b *bench) {
		first, w := b.say(5, "look at ", 1, " what is it?")
		b.submit(first)
		_, _ = first.Wait()
		answer := ""
		for _, token := range w.tokens {
			answer += string(rune(token))
		}
		parts := []any{"look at ", 1, " what is it?", answer, " and its colour?"}
		second, w := b.say(5, parts...)
		before := b.m.entries
		b.submit(second)
		r, err := second.Wait()
		if err != nil || b.encodes != 1 {
			t.Fatalf("%v, %d encodes", err, b.encodes)
		}
		// The last token of the answer was drawn but not computed.
		if want := 8 + 40 + 12 + 4; r.Cached != want {
			t.Errorf("%d items were cached, want %d", r.Cached, want)
		}
		if got := b.m.entries - before; got > 1+16+5+8*r.Guessed {
			t.Errorf("%d items were computed", got)
		}
		if want := b.alone(5, 0, 500, parts...); !slices.Equal(w.tokens, want) {
			t.Errorf("got %v, want %v", w.tokens, want)
		}
	})
}

func TestFourClientsWithOnePictureEncodeAndReadItOnce(t *testing.T) {
	inBubble(t, 1000, func(c *Config) { c.Speculation = false }, func(t *testing.T, b *bench) {
		var tasks []*Task
		for range 4 {
			task, _ := b.say(8, "look at ", 1, " what is it?")
			b.submit(task)
			tasks = append(tasks, task)
		}
		for _, task := range tasks {
			if _, err := task.Wait(); err != nil {
				t.Error(err)
			}
		}
		if b.encodes != 1 {
			t.Errorf("%d encodes", b.encodes)
		}
		if most := 60 + 3 + 4*8; b.m.entries > most {
			t.Errorf("%d items were computed, want at most %d", b.m.entries, most)
		}
	})
}

func TestAPictureDoesNotStopARunningAnswer(t *testing.T) {
	inBubble(t, 2000, nil, func(t *testing.T, b *bench) {
		text, w := b.say(200, "tell me a story")
		b.submit(text)
		time.Sleep(time.Second)
		picture, _ := b.say(5, "system ", 1, 2, 3, " what is it?")
		b.submit(picture)
		_, _ = text.Wait()
		r, err := picture.Wait()
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(w.times); i++ {
			if gap := w.times[i].Sub(w.times[i-1]); gap > 250*time.Millisecond {
				t.Errorf("%v between tokens %d and %d", gap, i-1, i)
			}
		}
		if ttft := r.First.Sub(picture.arrived); ttft > 20*time.Second {
			t.Errorf("the picture was answered after %v", ttft)
		}
	})
}

func TestShortPromptsDoNotWaitForLongOnes(t *testing.T) {
	inBubble(t, 4000, nil, func(t *testing.T, b *bench) {
		long, _ := b.say(3, string(make([]byte, 2000)))
		b.submit(long)
		time.Sleep(100 * time.Millisecond)
		short, _ := b.say(3, "hello")
		b.submit(short)
		r, _ := short.Wait()
		if ttft := r.First.Sub(short.arrived); ttft > aloneTime+time.Second {
			t.Errorf("the short prompt was answered after %v", ttft)
		}
		_, _ = long.Wait()
	})
}

func TestWhoIsPutAsideGoesOnWithTheSameText(t *testing.T) {
	inBubble(t, 300, nil, func(t *testing.T, b *bench) {
		var tasks []*Task
		var writers []*writer
		for i := range 4 {
			task, w := b.say(200, "abcdefghij"[:5+i])
			b.submit(task)
			tasks, writers = append(tasks, task), append(writers, w)
		}
		aside := 0
		for i, task := range tasks {
			r, err := task.Wait()
			if err != nil {
				t.Error(err)
			}
			aside += r.Preempted
			if want := b.alone(200, 0, 300, "abcdefghij"[:5+i]); !slices.Equal(writers[i].tokens,
				want) {
				t.Errorf("task %d: got %v, want %v", i, writers[i].tokens, want)
			}
		}
		if aside == 0 {
			t.Error("nobody was preempted: the test shows nothing")
		}
	})
}

func TestAnAnswerThatFillsTheContextEndsHonestly(t *testing.T) {
	inBubble(t, 50, nil, func(t *testing.T, b *bench) {
		task, w := b.say(1000, "hello")
		b.submit(task)
		if _, err := task.Wait(); err != nil || !w.full {
			t.Errorf("%v, full %v", err, w.full)
		}
		if want := b.alone(1000, 0, 50, "hello"); !slices.Equal(w.tokens, want) {
			t.Errorf("%d tokens, want %d", len(w.tokens), len(want))
		}
	})
}

func TestAShiftedAnswerGoesOn(t *testing.T) {
	inBubble(t, 50, nil, func(t *testing.T, b *bench) {
		task, w := b.say(300, "hello")
		task.Shift = true
		b.submit(task)
		if r, err := task.Wait(); err != nil || len(w.tokens) != 300 || r.Shifted == 0 {
			t.Errorf("%v, %d tokens, %d shifted", err, len(w.tokens), r.Shifted)
		}
	})
}

func TestMaxTokensEndsAnAnswer(t *testing.T) {
	inBubble(t, 500, nil, func(t *testing.T, b *bench) {
		task, w := b.say(1000, "hello")
		task.MaxTokens = 17
		b.submit(task)
		if _, err := task.Wait(); err != nil || !w.full || len(w.tokens) != 17 {
			t.Errorf("%v, full %v, %d tokens", err, w.full, len(w.tokens))
		}
	})
}

func TestCancellingFreesItsCells(t *testing.T) {
	inBubble(t, 500, nil, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		task, _ := b.say(1000, "look at ", 1)
		task.Prompt.Items[len(task.Prompt.Items)-1] = kv.TokenItem(1)
		task.Pictures[0].Tokens--
		task.Pictures = nil
		task.Prompt.Items = task.Prompt.Items[:8]
		task.Prompt.Pos, task.Prompt.Next = task.Prompt.Pos[:8], 8
		if err := b.s.Submit(ctx, task); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		cancel()
		if _, err := task.Wait(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if st := b.s.Stats(); st.Cells.Running != 0 || st.Cancelled != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTheQueueHasAnEndAndClosingEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 500, func(c *Config) { c.Queue, c.Parallel = 2, 1 })
		var tasks []*Task
		for range 3 {
			task, _ := b.say(1000, "hello")
			b.submit(task)
			synctest.Wait() // until it is admitted, or nothing moves but time
			tasks = append(tasks, task)
		}
		task, _ := b.say(1, "hello")
		if err := b.s.Submit(t.Context(), task); !errors.Is(err, ErrQueueFull) {
			t.Errorf("a fourth task: %v", err)
		}
		b.close()
		for i, task := range tasks {
			if _, err := task.Wait(); !errors.Is(err, ErrClosed) {
				t.Errorf("task %d: %v", i, err)
			}
		}
		if err := b.s.Submit(t.Context(), task); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestClientsTakeTurns(t *testing.T) {
	inBubble(t, 2000, func(c *Config) { c.Parallel = 1 }, func(t *testing.T, b *bench) {
		var order []string
		var tasks []*Task
		for _, client := range []string{"greedy", "greedy", "greedy", "greedy", "modest"} {
			task, _ := b.say(3, "hello "+client)
			task.Client = client
			task.Trace = func(m Moment) {
				if m.What == "admitted" {
					order = append(order, client)
				}
			}
			tasks = append(tasks, task)
		}
		for _, task := range tasks {
			b.submit(task)
		}
		for _, task := range tasks {
			_, _ = task.Wait()
		}
		if slices.Index(order, "modest") > 1 {
			t.Errorf("order %v", order)
		}
	})
}
