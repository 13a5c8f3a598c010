package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// submitter is a Submit under way.
type submitter struct {
	q *Queue
	Submission
	resuming bool
	streams  map[string]bool // keys of models whose streams are there
	sent     []sentJob       // jobs that may not have arrived yet
	sentAt   time.Time       // when the first of them was sent

	mu      sync.Mutex
	pending map[string]*pending // items under way, by hash
	bytes   int64               // of pending
	held    int64               // of them, those of messages
	objects map[string]int      // in the object store: how many pending items need them
	count   Count
	news    time.Time     // when an item last got its result
	enough  int           // so few pending items are waited for
	freed   chan struct{} // has a token when there may be no more than enough
}

const (
	// windowShare is the part of the window, a quarter, that becomes free before the submitter goes
	// on: jobs go into the queue in groups, as each way to it and back costs as much as some jobs.
	windowShare = 4
	// mostSent and sentTime bound a group of jobs, which somebody waits for.
	mostSent = 64
	sentTime = 50 * time.Millisecond
	// mostHeld is how many bytes of jobs are kept, lest the queue loses them, before the window
	// counts as full.
	mostHeld = 64 << 20
	// sweepTime is how long the submitter is without news before it looks for results itself.
	sweepTime = 2 * time.Second
)

// pending is an item under way.
type pending struct {
	message *nats.Msg // nil before it is published
	queued  bool      // the job has arrived, or a fault in its place
	since   time.Time
	objects []string
	bytes   int64
}

// underWay is how many items have no result yet, and how many bytes of their jobs are in memory.
func (b *submitter) underWay() (items int, held int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending), b.held
}

// until waits until no more than n items are pending.
func (b *submitter) until(ctx context.Context, n int) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	for {
		b.mu.Lock()
		b.enough = n
		left := len(b.pending)
		b.mu.Unlock()
		if left <= n {
			return nil
		}
		select {
		case <-b.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release counts the result of an item that is under way.
func (b *submitter) release(hash string, ok, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pending[hash]
	if p == nil {
		return
	}
	delete(b.pending, hash)
	b.bytes -= p.bytes
	if p.message != nil {
		b.held -= int64(len(p.message.Data))
	}
	for _, name := range p.objects {
		b.objects[name]--
	}
	b.count.add(ok, known)
	b.news = time.Now()
	if b.Done != nil {
		b.Done(ok, known)
	}
	if len(b.pending) > b.enough {
		return
	}
	select {
	case b.freed <- struct{}{}:
	default:
	}
}

// feed puts items into the queue as room comes free.
func (b *submitter) feed(ctx context.Context) error {
	for item, err := range b.Items {
		if err == nil {
			err = b.one(ctx, item)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// one takes one item in.
func (b *submitter) one(ctx context.Context, item Item) error {
	if err := checkID(item.ID); err != nil {
		return err
	}
	if left, held := b.underWay(); left >= b.Window || held >= mostHeld {
		if err := b.until(ctx, left-max(left/windowShare, 1)); err != nil {
			return err
		}
	}
	if len(b.sent) > 0 && (len(b.sent) >= mostSent || time.Since(b.sentAt) > sentTime) {
		if err := b.settle(ctx); err != nil {
			return err
		}
	}
	b.tidy(ctx)
	hash, p := hashOf(item.ID), &pending{since: time.Now()}
	b.mu.Lock()
	_, twice := b.pending[hash]
	if !twice {
		// before the look for a result, lest one is missed that comes in between
		b.pending[hash] = p
		b.count.Items++
	}
	b.mu.Unlock()
	if twice {
		return fmt.Errorf("%w: custom_id %.100q stands twice", ErrLine, item.ID)
	}
	if b.resuming {
		if r, _, ok, err := b.look(ctx, hash); err != nil {
			return err
		} else if ok {
			b.release(hash, r.OK(), true)
			return nil
		}
	}
	fault := item.Fault
	if fault == nil {
		var err error
		if fault, err = b.publish(ctx, item, hash, p); err != nil {
			return err
		}
	}
	if fault == nil {
		return nil
	}
	return b.fail(ctx, item, fault)
}

// fail stores a fault as the result of an item.
func (b *submitter) fail(ctx context.Context, item Item, fault *Fault) error {
	defer b.inQueue(item.ID)
	return b.retry(ctx, func() error {
		return untilRoom(b.q.keep(ctx, b.Batch, stored{Result: Result{
			ID: resultID(b.Batch, hashOf(item.ID)), CustomID: item.ID, Error: fault}}))
	})
}

func resultID(batch, hash string) string {
	sum := sha256.Sum256([]byte(batch + "/" + hash))
	return "batch_req_" + hex.EncodeToString(sum[:12])
}

// look is find, for as long as the queue may come back.
func (b *submitter) look(ctx context.Context,
	hash string) (r stored, seq uint64, ok bool, err error) {
	err = b.retry(ctx, func() (err error) {
		r, seq, ok, err = b.q.find(ctx, b.Batch, hash)
		return err
	})
	return r, seq, ok, err
}

// tidy removes objects that no item under way needs. Only the goroutine that stores objects calls
// it, so none is removed that is just being stored.
func (b *submitter) tidy(ctx context.Context) {
	b.mu.Lock()
	var names []string
	for name, n := range b.objects {
		if n == 0 {
			names = append(names, name)
			delete(b.objects, name)
		}
	}
	b.mu.Unlock()
	for _, name := range names {
		b.q.forget(ctx, b.Batch, name)
	}
}

// retry does something with the queue until it works, or fails for a reason that waiting does not
// mend.
func (b *submitter) retry(ctx context.Context, do func() error) error {
	return b.q.retry(ctx, b.Wait, do)
}

// sweep looks for results whose news did not come, as when the connection was lost, and submits
// jobs again that the queue may have lost with its disk. A job that is still there is refused as a
// double.
func (b *submitter) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	seen := uint64(0) // the last result that was there when all were looked for
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		b.mu.Lock()
		still := len(b.pending) > 0 && time.Since(b.news) >= sweepTime
		b.mu.Unlock()
		if !still {
			continue
		}
		last, err := b.q.lastResult(ctx, b.Batch)
		if err == nil && b.lookFor(ctx, last != seen) {
			seen = last
		}
	}
}

// lookFor looks for the results of the items under way, or of those alone that take long, and
// submits these again where there are none. It returns false where the queue did not answer.
func (b *submitter) lookFor(ctx context.Context, all bool) bool {
	again := max(2*b.q.ackWait, 10*time.Second)
	b.mu.Lock()
	late := map[string]bool{} // by hash
	for hash, p := range b.pending {
		if l := p.message != nil && time.Since(p.since) > again; l || all {
			late[hash] = l
		}
	}
	b.mu.Unlock()
	for hash, late := range late {
		r, _, ok, err := b.q.find(ctx, b.Batch, hash)
		if err != nil {
			return false // the next sweep may find the queue well
		}
		if ok {
			b.release(hash, r.OK(), false)
			continue
		}
		b.mu.Lock()
		p := b.pending[hash]
		if late && p != nil {
			p.since = time.Now()
		}
		b.mu.Unlock()
		if late && p != nil {
			_ = b.send(ctx, p.message)
		}
	}
	return true
}
