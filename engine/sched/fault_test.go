package sched

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv/disk"
)

// sayTogether submits n tasks at once, whose prompts are their numbers in a format, and compares
// each answer with that of the prompt alone.
func (b *bench) sayTogether(t *testing.T, n, length, cells int, format string) {
	t.Helper()
	var tasks []*Task
	var writers []*writer
	for i := range n {
		task, w := b.say(length, fmt.Sprintf(format, i))
		tasks, writers = append(tasks, task), append(writers, w)
		b.submit(task)
	}
	for i, task := range tasks {
		if _, err := task.Wait(); err != nil {
			t.Fatalf("task %d: %v", i, err)
		}
		if want := b.alone(length, 0, cells, fmt.Sprintf(format, i)); !slices.Equal(
			writers[i].tokens, want) {
			t.Errorf("task %d: got %v, want %v", i, writers[i].tokens, want)
		}
	}
}

// sayTwo submits two tasks, and returns when both have run for a while.
func (b *bench) sayTwo(length int, first, second string) (one, two *Task) {
	one, _ = b.say(length, first)
	two, _ = b.say(length, second)
	b.submit(one)
	b.submit(two)
	time.Sleep(time.Second)
	return one, two
}

func TestAMemoryWithLessRoomThanTheBooksSay(t *testing.T) {
	for _, lost := range []int{40, 60, 90} {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			inBubble(t, 200, nil, func(t *testing.T, b *bench) {
				old, _ := b.say(5, strings.Repeat("finished long ago ", 2))
				b.submit(old)
				_, _ = old.Wait()
				b.m.lost = lost
				b.sayTogether(t, 3, 30, 200, "%d is what this one is about")
			})
		})
	}
}

func TestATaskThatFindsNoRoomAloneEnds(t *testing.T) {
	inBubble(t, 200, nil, func(t *testing.T, b *bench) {
		b.m.lost = 190
		task, _ := b.say(30, "longer than what is left")
		b.submit(task)
		if _, err := task.Wait(); !errors.Is(err, llama.ErrNoRoom) {
			t.Errorf("got %v, want ErrNoRoom", err)
		}
	})
}

func TestAnAnswerThatCannotBeDrawnLeavesNoGuessesBehind(t *testing.T) {
	failed := false
	for at := 2; at < 60; at++ {
		inBubble(t, 400, nil, func(t *testing.T, b *bench) {
			task, w := b.say(200, strings.Repeat("round and round it goes, ", 4))
			w.fails = at
			b.submit(task)
			report, err := task.Wait()
			if !errors.Is(err, errDraw) {
				t.Fatalf("got %v", err)
			}
			failed = failed || report.Guessed > report.Right
		}) // which compares the books with the machine
	}
	if !failed {
		t.Error("no answer ended with guesses in the memory: the test tests nothing")
	}
}

func TestASnapshotIsOfTheTasksOwnSequence(t *testing.T) {
	inBubble(t, 400, nil, func(t *testing.T, b *bench) {
		other, _ := b.say(20, "what they have in common, and what is nobody else's business")
		b.submit(other)
		_, _ = other.Wait()
		mine, w := b.say(5, "what they have in common, and this")
		b.submit(mine)
		_, _ = mine.Wait()
		check := func(want error) {
			t.Helper()
			used := false
			err := b.s.Snapshot(t.Context(), mine, "name", func(snap *disk.Snapshot) error {
				used = true
				if len(snap.Prompt.Items) !=
					len("what they have in common, and this")+len(w.tokens)-1 {
					t.Errorf("a snapshot of %d items", len(snap.Prompt.Items))
				}
				if n := b.s.Stats().CopiedBytes; n != len(snap.State) {
					t.Errorf("%d bytes of copies are counted, there are %d", n, len(snap.State))
				}
				return nil
			})
			if !errors.Is(err, want) || used != (want == nil) {
				t.Errorf("got %v, want %v; used %v", err, want, used)
			}
			if n := b.s.Stats().CopiedBytes; n != 0 {
				t.Errorf("%d bytes of copies are left", n)
			}
		}
		check(nil)
		_ = b.s.Do(func() { b.cache.Reserve(b.cache.Available() - 30) })
		check(ErrGone)
	})
}

func TestASnapshotWaitsForTheMemoryOfOtherCopies(t *testing.T) {
	inBubble(t, 400, nil, func(t *testing.T, b *bench) {
		task, _ := b.say(5, "what is to be kept")
		b.submit(task)
		_, _ = task.Wait()
		half := int64(CopiedShare * 400)
		snapshot := func(ctx context.Context) chan error {
			done := make(chan error, 1)
			go func() {
				done <- b.s.Snapshot(ctx, task, "", func(*disk.Snapshot) error { return errDraw })
			}()
			synctest.Wait()
			select {
			case err := <-done:
				t.Errorf("it did not wait: %v", err)
			default:
			}
			return done
		}
		b.s.out.items.Add(half)
		ctx, leave := context.WithCancel(t.Context())
		given := snapshot(ctx)
		waits := snapshot(t.Context())
		leave()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Errorf("whoever gave up got %v", err)
		}
		b.s.out.items.Add(-half)
		b.s.Poke()
		if err := <-waits; !errors.Is(err, errDraw) {
			t.Errorf("got %v, want what use returned", err)
		}
	})
}

func TestNoSnapshotOfWhatWasShifted(t *testing.T) {
	inBubble(t, 100, nil, func(t *testing.T, b *bench) {
		task, _ := b.say(200, "on and on")
		task.Shift = true
		b.submit(task)
		if report, err := task.Wait(); err != nil || report.Shifted == 0 {
			t.Fatal(report, err)
		}
		if err := b.s.Snapshot(t.Context(), task, "name", nil); !errors.Is(err, ErrShifted) {
			t.Errorf("got %v", err)
		}
	})
}

// A copy of cells that are about to be moved would be one of cells that were not.
func TestWhatWasMovedIsNotPutAsideBeforeItWasComputed(t *testing.T) {
	inBubble(t, 300, nil, func(t *testing.T, b *bench) {
		one, two := b.sayTwo(100, "on and on", "and another")
		_ = b.s.Do(func() {
			if len(b.s.active) != 2 {
				t.Errorf("%d tasks are active", len(b.s.active))
				return
			}
			one.moved, two.moved = true, true
			if b.makeRoom() {
				t.Error("a task was preempted whose cells were moved")
			}
			one.moved = false
			if !b.makeRoom() || slices.Contains(b.s.active, one) {
				t.Error("the task whose cells were not moved was not preempted")
			}
		})
		for _, task := range []*Task{one, two} {
			if _, err := task.Wait(); err != nil {
				t.Error(err)
			}
		}
	})
}
