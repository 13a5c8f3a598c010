package batch

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
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
		got := slices.Collect(InOrder(t.Context(), parallel, slices.Values(tasks), answer))
		if !slices.Equal(got, tasks) || int(most.Load()) > max(parallel, 1) {
			t.Errorf("%d at a time: %v, %d at once", parallel, got, most.Load())
		}
		began := ended.Load()
		for i := range InOrder(t.Context(), parallel, slices.Values(tasks), answer) {
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
	for i := range InOrder(ctx, 2, slices.Values(tasks), func(ctx context.Context, i int) error {
		return ctx.Err()
	}) {
		if i == nil {
			t.Error("a task was answered although its context was done")
		}
	}
}
