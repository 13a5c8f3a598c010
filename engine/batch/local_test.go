package batch

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestInOrder(t *testing.T) {
	tasks := make([]int, 100)
	for i := range tasks {
		tasks[i] = i
	}
	for _, parallel := range []int{0, 1, 4} {
		var running, most, ended atomic.Int32
		answer := func(ctx context.Context, i int) int {
			defer ended.Add(1)
			defer running.Add(-1)
			for n := running.Add(1); ; {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			if i%7 == 0 { // later than those after it
				time.Sleep(2 * time.Millisecond)
			}
			return i
		}
		got := slices.Collect(inOrder(t.Context(), parallel, slices.Values(tasks), answer))
		if !slices.Equal(got, tasks) || int(most.Load()) > max(parallel, 1) {
			t.Errorf("%d at a time: %v, %d at once", parallel, got, most.Load())
		}
		began := ended.Load()
		for i := range inOrder(t.Context(), parallel, slices.Values(tasks), answer) {
			if i == 10 {
				break
			}
		}
		if n := ended.Load() - began; n < 11 || int(n) > 12+parallel || running.Load() != 0 {
			t.Errorf("%d at a time: %d were answered after the loop was left", parallel, n)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range inOrder(ctx, 2, slices.Values(tasks), func(ctx context.Context, i int) error {
		return ctx.Err()
	}) {
		if i == nil {
			t.Error("a task was answered although its context was done")
		}
	}
}

func itemsNamed(names ...string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for _, name := range names {
			if !yield(Item{ID: name, Model: "m", Pictures: []Source{{Name: name, Page: 2}}}, nil) {
				return
			}
		}
	}
}

func TestALocalBatch(t *testing.T) { synctest.Test(t, testLocalBatch) }

func testLocalBatch(t *testing.T) {
	var tries atomic.Int32
	var written []string
	l := Local{Items: itemsNamed("late", "known", "busy", "wrong", "refused", "good"), Parallel: 3,
		Tries: 2,
		Resolve: func(_ context.Context, name string) (Model, error) {
			return Model{Name: name}, nil
		},
		Known: func(id string) bool { return id == "known" },
		Answer: func(_ context.Context, task Task) (*Response, *Fault) {
			if task.Model.Name != "m" || len(task.Pictures) != 1 || task.Pictures[0].Page != 2 {
				t.Errorf("%+v", task)
			}
			switch task.ID {
			case "late":
				time.Sleep(time.Minute)
			case "busy":
				if tries.Add(1) == 1 {
					return &Response{Status: 503, Body: json.RawMessage("{}")}, nil
				}
			case "wrong":
				return nil, &Fault{"bad_picture", "wrong"}
			case "refused":
				return &Response{Status: 400, Body: json.RawMessage("{}")}, nil
			}
			return &Response{Status: 200, Body: json.RawMessage("{}")}, nil
		},
	}
	count, err := l.Run(t.Context(), func(r Result) error {
		code, _ := r.Reason()
		written = append(written, strings.TrimSpace(r.CustomID+" "+code))
		return nil
	})
	if want := (Count{Items: 6, OK: 4, Failed: 2, Known: 1}); err != nil || count != want {
		t.Errorf("%+v, %v", count, err)
	}
	if want := []string{"late", "busy", "wrong bad_picture", "refused status",
		"good"}; !slices.Equal(written, want) || tries.Load() != 2 {
		t.Errorf("%q, %d tries", written, tries.Load())
	}
}

// What ends a local batch is told, and nothing is written after it.
func TestALocalBatchEndsWithItsError(t *testing.T) {
	broken := errors.New("broken")
	answer := func(context.Context, Task) (*Response, *Fault) {
		return &Response{Status: 200}, nil
	}
	n := 0
	count, err := Local{Items: itemsNamed("a", "b", "c"), Answer: answer, Parallel: 1}.Run(
		t.Context(), func(Result) error {
			if n++; n == 2 {
				return broken
			}
			return nil
		})
	if !errors.Is(err, broken) || n != 2 || count.OK != 1 {
		t.Errorf("%+v, %v, %d", count, err, n)
	}
	items := func(yield func(Item, error) bool) {
		_ = yield(Item{ID: "a"}, nil) && yield(Item{}, broken)
	}
	count, err = Local{Items: items, Answer: answer, Parallel: 2}.Run(t.Context(),
		func(Result) error { return nil })
	if !errors.Is(err, broken) || count.OK != 1 {
		t.Errorf("%+v, %v", count, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	count, err = Local{Items: itemsNamed("a", "b", "c", "d", "e"), Parallel: 2,
		Answer: func(ctx context.Context, task Task) (*Response, *Fault) {
			if task.ID == "b" {
				cancel()
			}
			return answer(ctx, task)
		}}.Run(ctx, func(Result) error { return nil })
	if !errors.Is(err, context.Canceled) || count.OK > 1 {
		t.Errorf("%+v, %v", count, err)
	}
}
