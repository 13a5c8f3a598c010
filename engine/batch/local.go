package batch

import (
	"cmp"
	"context"
	"iter"
	"sync"
	"time"
)

// Local is a batch that this process carries out alone, without a queue: its results are given to
// somebody who keeps them. See [Submission] and [WorkerOptions] for the fields that these have too.
type Local struct {
	Items   iter.Seq2[Item, error]
	Resolve func(ctx context.Context, name string) (Model, error) // nil for tasks without a model
	Answer  func(ctx context.Context, t Task) (*Response, *Fault)
	// Known reports whether an item has its answer from an earlier run, and is left out; nil for no
	// such item.
	Known    func(id string) bool
	Parallel int
	Tries    int
	Done     func(ok, known bool)
}

// carried is an item of a [Local], and what became of it.
type carried struct {
	item   Item
	known  bool
	result Result
	err    error // ends the batch
}

// Run carries the items out, and gives each result but those of known items to write, in the order
// of the items and as soon as it is there. It returns when all is done, or with the first error of
// Items, of write or of ctx; no Answer is running then.
func (l Local) Run(ctx context.Context, write func(Result) error) (count Count, err error) {
	items := func(yield func(carried) bool) {
		for it, err := range l.Items {
			known := err == nil && l.Known != nil && l.Known(it.ID)
			if !yield(carried{item: it, known: known, err: err}) || err != nil {
				return
			}
		}
	}
	answer := func(ctx context.Context, c carried) carried {
		if !c.known && c.err == nil {
			c.result.CustomID = c.item.ID
			c.result.Response, c.result.Error = l.answer(ctx, c.item)
			c.err = ctx.Err()
		}
		return c
	}
	for c := range inOrder(ctx, l.Parallel, items, answer) {
		if c.err == nil && !c.known {
			c.err = write(c.result)
		}
		if c.err != nil {
			return count, c.err
		}
		ok := c.known || c.result.OK()
		count.Items++
		count.add(ok, c.known)
		if l.Done != nil {
			l.Done(ok, c.known)
		}
	}
	return count, ctx.Err()
}

// answer asks about an item, again where what is wrong can pass.
func (l Local) answer(ctx context.Context, it Item) (r *Response, fault *Fault) {
	t := Task{ID: it.ID, URL: it.URL, Body: it.Body}
	if fault = it.Fault; fault == nil && l.Resolve != nil {
		var err error
		if t.Model, err = l.Resolve(ctx, it.Model); err != nil {
			fault = &Fault{"model_not_found", err.Error()}
		}
	}
	if fault != nil {
		return nil, fault
	}
	for _, s := range it.Pictures {
		t.Pictures = append(t.Pictures, File{Name: s.Name, Path: s.Path, Page: s.Page})
	}
	for try := 1; ; try++ {
		r, fault = l.Answer(ctx, t)
		if try >= cmp.Or(l.Tries, defaultTries) || fault != nil || !passes(r) {
			return r, fault
		}
		select {
		case <-time.After(retryPause(uint64(try))):
		case <-ctx.Done():
			return r, fault
		}
	}
}

// inOrder carries tasks out without a queue, at most parallel at a time, and yields what became of
// each, in their order. As it ends, whether all are done or the loop over it was left, answer is
// running no more; the context that answer gets is done then.
func inOrder[T, R any](ctx context.Context, parallel int, tasks iter.Seq[T],
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
