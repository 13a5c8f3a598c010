package batch

import (
	"context"
	"iter"
)

// Kept is an item of a batch with what the queue has of it.
type Kept[T any] struct {
	Item   T
	Result Result
	Found  bool // there is a result
}

// resultsAhead is how many results are on their way from the queue at a time: each way there and
// back costs more than the result that it brings.
const resultsAhead = 32

// Results yields each of items with its result in the batch, in their order; id names an item. An
// error is one of items, or of the queue, and the last that is yielded.
func Results[T any](ctx context.Context, q *Queue, batch string, items iter.Seq2[T, error],
	id func(T) string) iter.Seq2[Kept[T], error] {
	type found struct {
		item  T
		kept  stored
		there bool
		err   error
	}
	all := func(yield func(found) bool) {
		for item, err := range items {
			if !yield(found{item: item, err: err}) || err != nil {
				return
			}
		}
	}
	find := func(ctx context.Context, f found) found {
		if f.err == nil {
			f.kept, _, f.there, f.err = q.find(ctx, batch, hashOf(id(f.item)))
		}
		return f
	}
	return func(yield func(Kept[T], error) bool) {
		for f := range inOrder(ctx, resultsAhead, all, find) {
			if f.err == nil && f.there {
				f.err = q.fill(ctx, batch, &f.kept) // large: one at a time
			}
			if !yield(Kept[T]{f.item, f.kept.Result, f.there}, f.err) || f.err != nil {
				return
			}
		}
		if err := ctx.Err(); err != nil { // which ends the loop as the last of the items does
			yield(Kept[T]{}, err)
		}
	}
}

// fill reads the body of a response that lies in the object store.
func (q *Queue) fill(ctx context.Context, batch string, r *stored) (err error) {
	if r.Object != "" {
		r.Response.Body, err = q.get(ctx, batch, r.Object, resultMost)
	}
	return err
}
