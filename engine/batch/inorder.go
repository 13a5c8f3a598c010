package batch

import (
	"context"
	"iter"
	"sync"
)

// InOrder carries tasks out without a queue, at most parallel at a time, and yields what became of
// each, in their order. As it ends, whether all are done or the loop over it was left, answer is
// running no more; the context that answer gets is done then.
func InOrder[T, R any](ctx context.Context, parallel int, tasks iter.Seq[T],
	answer func(ctx context.Context, task T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		ctx, stop := context.WithCancel(ctx)
		var over sync.WaitGroup
		defer over.Wait()
		defer stop()
		// A result is waited for and one more task can begin when this has room: so many are under
		// way at a time.
		begun := make(chan chan R, max(parallel, 1)-1)
		over.Go(func() {
			defer close(begun)
			for task := range tasks {
				result := make(chan R, 1)
				select {
				case begun <- result:
				case <-ctx.Done():
					return
				}
				over.Go(func() { result <- answer(ctx, task) })
			}
		})
		for result := range begun {
			if !yield(<-result) {
				return
			}
		}
	}
}
