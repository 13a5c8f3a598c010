package batch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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
	// without news, after which the submitter looks for results itself
	sweepTime = 2 * time.Second
)

// Submit puts the items of a batch into the queue, a bounded number at a time, and returns when
// each has its result. Items that have one already are not asked again, and those that wait in the
// queue from an earlier run not put there twice; so a batch that was interrupted goes on with the
// same call. Errors are those of Items and ctx, and ErrQueue and ErrNoRoom where they are not those
// of one item.
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

// sentJob is a job on its way into the queue.
type sentJob struct {
	item    Item // without its body
	message *nats.Msg
	arrival jetstream.PubAckFuture
	release func() // gives its room back to who looks for some
}

const (
	// The share of the window that becomes free before the submitter goes on: jobs go into the
	// queue in groups, for each way to it and back costs as much as some jobs.
	windowShare = 4
	// bounds of a group of jobs, which somebody waits for
	mostSent = 64
	sentTime = 50 * time.Millisecond
	// bytes of jobs that are kept lest the queue loses them, with which the window counts as full
	mostHeld = 64 << 20
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

// publish makes a job of an item and puts it into the queue. What is wrong with the item alone is a
// fault.
func (b *submitter) publish(ctx context.Context, item Item, hash string,
	p *pending) (*Fault, error) {
	m, err := b.Resolve(ctx, item.Model)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return &Fault{"model_not_found", err.Error()}, nil
	}
	if !b.streams[m.key()] {
		if err := b.retry(ctx, func() error { return b.q.jobs(ctx, m) }); err != nil {
			return nil, err
		}
		b.streams[m.key()] = true
	}
	j := job{Batch: b.Batch, ID: item.ID, URL: item.URL, Body: item.Body, Tries: b.Tries}
	affine := item.ID
	if len(j.Body) > inlineMost {
		j.Object, j.Body = "body-"+hash, nil
		if fault, err := b.object(ctx, p, j.Object, item.Body); fault != nil || err != nil {
			return fault, err
		}
	}
	if picture := inlinePicture(item.Body); picture != nil {
		affine = string(picture)
	}
	for i, s := range item.Pictures {
		placed, fault, err := b.place(ctx, p, s)
		if fault != nil || err != nil {
			return fault, err
		}
		if i == 0 {
			affine = placed.Path + placed.Object
		}
		j.Pictures = append(j.Pictures, placed)
	}
	data, err := json.Marshal(j)
	if err != nil {
		return &Fault{"invalid_request", err.Error()}, nil //nolint:nilerr // the item's alone
	}
	slot := fnv.New32a()
	_, _ = io.WriteString(slot, affine)
	msg := &nats.Msg{Subject: fmt.Sprintf("%s%s.%d.%s.%s", jobsSubject, m.key(),
		slot.Sum32()%slots, b.Batch, hash), Data: data}
	if err := b.start(item, msg); err != nil {
		if fault, err := b.roomFor(ctx, func() error {
			return b.send(ctx, msg)
		}); fault != nil || err != nil {
			return fault, err
		}
		b.inQueue(item.ID)
	}
	b.mu.Lock()
	p.message = msg
	p.bytes += int64(len(data))
	if b.pending[hash] == p { // else its result is there already
		b.bytes += int64(len(data))
		b.held += int64(len(data))
	}
	b.mu.Unlock()
	return nil, nil
}

// start publishes a job without waiting until it is stored.
func (b *submitter) start(item Item, m *nats.Msg) error {
	release, err := b.q.reserve(len(m.Data), message)
	if err != nil {
		return err
	}
	arrival, err := b.q.js.PublishMsgAsync(m)
	if err != nil {
		release()
		return err
	}
	if len(b.sent) == 0 {
		b.sentAt = time.Now()
	}
	item.Body = nil
	b.sent = append(b.sent, sentJob{item, m, arrival, release})
	return nil
}

// settle waits until the jobs on their way are stored, and wakes the workers. One that did not
// arrive is sent again.
func (b *submitter) settle(ctx context.Context) error {
	sent := b.sent
	b.sent = nil
	if len(sent) == 0 {
		return nil
	}
	last, end := lasting(ctx)
	defer end()
	var lost []sentJob
	for _, s := range sent {
		if err := arrived(last, s.arrival); err == nil || isDouble(err) {
			b.inQueue(s.item.ID)
		} else {
			lost = append(lost, s)
		}
		s.release()
	}
	b.wake()
	for _, s := range lost {
		fault, err := b.roomFor(ctx, func() error { return b.send(ctx, s.message) })
		if err == nil && fault != nil {
			err = b.fail(ctx, s.item, fault)
		}
		if err != nil {
			return err
		}
		b.inQueue(s.item.ID)
	}
	return nil
}

// wake wakes workers that have nothing to do. They look now and then, whether they hear this or
// not.
func (b *submitter) wake() { _ = b.q.nc.Publish(wakeSubject, nil) }

// send publishes a job and wakes a worker. One that waits already is no error.
func (b *submitter) send(ctx context.Context, m *nats.Msg) error {
	release, err := b.q.reserve(len(m.Data), message)
	if err != nil {
		return err
	}
	defer release()
	if _, err := b.q.js.PublishMsg(ctx, m); err != nil && !isDouble(err) {
		return b.q.fault("submitting", err)
	}
	b.wake()
	return nil
}

// inQueue notes that the job of an item, or a fault in its place, is in the queue.
func (b *submitter) inQueue(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.pending[hashOf(id)]; p != nil {
		p.queued = true
	}
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
