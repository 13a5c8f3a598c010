package batch

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// jobResult is a job with its result, which is to be stored.
type jobResult struct {
	m      jetstream.Msg
	job    job
	stored stored
	ended  chan struct{} // is closed when the job is no longer the worker's
}

const (
	// how long a result waits for others, with which it is stored
	groupTime = 200 * time.Millisecond
	// how long results that are there are still stored by a worker that is to end
	lastTime = time.Second
)

// group is how many results are stored at a time, at the most.
func (w *Worker) group() int { return 2 * w.Parallel }

// store stores results and acknowledges their jobs, until there are no more to come. Results that
// follow each other soon are stored together, since it is the way to the queue and back that costs
// time: each step of it has a thread woken beside those that compute.
func (w *Worker) store(ctx context.Context) {
	var alone sync.WaitGroup
	defer alone.Wait()
	for first := range w.results {
		group := []*jobResult{first}
		enough := time.After(groupTime)
	gathering:
		for len(group) < w.group() && w.unanswered.Load() > 0 {
			select {
			case r, more := <-w.results:
				if !more {
					break gathering
				}
				group = append(group, r)
			case <-enough:
				break gathering
			case <-ctx.Done():
				break gathering
			}
		}
		for _, r := range w.storeGroup(ctx, group) {
			alone.Go(func() {
				if w.keep(ctx, r.job, r.stored) {
					_ = r.m.Ack()
				} else {
					_ = r.m.Nak()
				}
				close(r.ended)
			})
		}
	}
}

// storeGroup stores results together, and returns those that must be kept each by itself: that are
// large, or for which there is no room or no queue now.
func (w *Worker) storeGroup(ctx context.Context, group []*jobResult) (left []*jobResult) {
	last, end := lasting(ctx)
	defer end()
	sent := make([]jetstream.PubAckFuture, len(group))
	for i, r := range group {
		if isLarge(r.stored) {
			continue
		}
		if m, release, err := w.q.resultMessage(r.job.Batch, r.stored); err == nil {
			defer release()
			sent[i], _ = w.q.js.PublishMsgAsync(m) // nil where there is no queue
		}
	}
	type news struct {
		list  []stored
		taken []bool
	}
	told := map[string]*news{} // by batch
	for i, r := range group {
		if sent[i] == nil {
			left = append(left, r)
			continue
		}
		err := arrived(last, sent[i])
		if err != nil && !isDouble(err) {
			left = append(left, r)
			continue
		}
		_ = r.m.Ack()
		n := told[r.job.Batch]
		if n == nil {
			n = &news{}
			told[r.job.Batch] = n
		}
		n.list, n.taken = append(n.list, r.stored), append(n.taken, err != nil)
		close(r.ended)
	}
	for batch, n := range told {
		w.q.hint(ctx, batch, n.list, n.taken)
	}
	return left
}

// lasting returns a context that ends shortly after another one, whatever number of messages are on
// their way then.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	last, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-last.Done():
		case <-time.After(lastTime):
			end()
		}
	})
	return last, func() { stop(); end() }
}

// arrived waits until a message that was published is stored, or is known not to be, or until last
// is done.
func arrived(last context.Context, sent jetstream.PubAckFuture) error {
	select {
	case <-sent.Ok():
		return nil
	case err := <-sent.Err():
		return err
	case <-last.Done():
	}
	select { // it may have been stored long ago
	case <-sent.Ok():
		return nil
	case err := <-sent.Err():
		return err
	default:
		return last.Err()
	}
}

// keep stores a result, however long the queue is away or full. It gives up where ctx is done.
func (w *Worker) keep(ctx context.Context, j job, r stored) bool {
	store := func() error {
		err := w.q.keep(ctx, j.Batch, r)
		if (errors.Is(err, jetstream.ErrNoStreamResponse) ||
			errors.Is(err, jetstream.ErrStreamNotFound)) && w.q.over(ctx, j.Batch) {
			return nil // nobody wants it
		}
		return err
	}
	small := r.Response == nil || len(r.Response.Body) <= inlineMost
	err := w.q.retry(ctx, w.tell, func() error {
		err := store()
		if small { // what is in its place may go
			err = untilRoom(err)
		}
		return err
	})
	if errors.Is(err, ErrNoRoom) && ctx.Err() == nil {
		// The store takes no answer of this size; a reason is shorter.
		r.Response, r.Object = nil, ""
		r.Error = &Fault{"no_room", "the queue has no room for the answer"}
		err = w.q.retry(ctx, w.tell, func() error { return untilRoom(store()) })
	}
	if err != nil && ctx.Err() == nil {
		w.Log("a result cannot be stored: " + err.Error())
		time.Sleep(firstWait)
	}
	return err == nil
}

// tell logs what the worker waits for, now and then.
func (w *Worker) tell(err error) {
	now := time.Now().UnixNano()
	if last := w.told.Load(); now-last > int64(tellTime) && w.told.CompareAndSwap(last, now) {
		w.Log(strings.TrimPrefix(err.Error(), "batch: ") + "; waiting")
	}
}

// tellTime is how often a wait is told of.
const tellTime = 30 * time.Second
