package batch

import (
	"cmp"
	"context"
	"iter"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// Submission is a batch to be carried out.
type Submission struct {
	Batch string // its name, see CheckBatch
	// Items are the requests. No two have the same id.
	Items iter.Seq2[Item, error]
	// Resolve finds the model that a body names. Its error is the item's fault.
	Resolve func(ctx context.Context, name string) (Model, error)
	// ByPath leaves pictures where they are: workers read them by the same paths. Else they travel
	// through the queue.
	ByPath bool
	// Window is how many items are under way at a time; 0 means 256.
	Window int
	// Bytes is how much of bodies and pictures is under way at a time; 0 means 1 GiB. An item that
	// is larger goes alone.
	Bytes int64
	// Tries is how often an item is tried that fails for reasons that can pass; 0 means 3.
	Tries int
	// Done is told of each item that has its result: ok says that it is an answer, known that it
	// was there before. It is called from one goroutine at a time.
	Done func(ok, known bool)
	// Wait is told when the queue cannot be reached, and that it is tried again.
	Wait func(err error)
}

// Count is what became of a batch.
type Count struct {
	Items  int // seen so far
	OK     int // with an answer
	Failed int // with a reason why there is none
	Known  int // of both, those with a result of an earlier run
}

// add counts what became of an item that was seen.
func (c *Count) add(ok, known bool) {
	if ok {
		c.OK++
	} else {
		c.Failed++
	}
	if known {
		c.Known++
	}
}

const (
	defaultWindow = 256
	defaultBytes  = 1 << 30
	defaultTries  = 3
)

// Submit puts the items of a batch into the queue, a bounded number at a time, and returns when
// each has its result. A batch that was interrupted goes on with the same call: items that have
// their result are not asked again, and those that still wait in the queue are not put there twice.
// Errors are those of Items and ctx, and ErrQueue and ErrNoRoom where they concern more than one
// item.
func (q *Queue) Submit(ctx context.Context, s Submission) (Count, error) {
	s.Window, s.Bytes, s.Tries = cmp.Or(s.Window, defaultWindow), cmp.Or(s.Bytes, defaultBytes),
		cmp.Or(s.Tries, defaultTries)
	b := &submitter{q: q, Submission: s, pending: map[string]*pending{}, objects: map[string]int{},
		streams: map[string]bool{}, freed: make(chan struct{}, 1)}
	known, err := q.Begin(ctx, s.Batch)
	if err != nil {
		return b.count, err
	}
	b.resuming = known > 0
	hints, err := q.nc.Subscribe(doneSubject+s.Batch, func(m *nats.Msg) {
		for hint := range strings.FieldsSeq(string(m.Data)) {
			b.release(hint[1:], hint[0] == 'k', false)
		}
	})
	if err != nil {
		return b.count, q.fault("listening", err)
	}
	defer func() { _ = hints.Unsubscribe() }()
	ctx, stop := context.WithCancel(ctx)
	var sweeping sync.WaitGroup
	sweeping.Go(func() { b.sweep(ctx) })
	defer sweeping.Wait()
	defer stop()
	if err = b.feed(ctx); err == nil {
		err = b.until(ctx, 0)
	}
	b.tidy(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count, err
}
