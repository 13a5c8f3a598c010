package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sentJob is a job on its way into the queue.
type sentJob struct {
	item    Item // without its body
	message *nats.Msg
	arrival jetstream.PubAckFuture
	release func() // gives its room back to who looks for some
}

// publish makes a job of an item and puts it into the queue. What is wrong with the item alone is a
// fault.
func (b *submitter) publish(ctx context.Context, item Item, hash string,
	p *pending) (*Fault, error) {
	msg, fault, err := b.message(ctx, item, hash, p)
	if fault != nil || err != nil {
		return fault, err
	}
	if err := b.start(item, msg); err != nil {
		if fault, err := b.roomFor(ctx, func() error {
			return b.send(ctx, msg)
		}); fault != nil || err != nil {
			return fault, err
		}
		b.inQueue(item.ID)
	}
	n := int64(len(msg.Data))
	b.mu.Lock()
	p.message = msg
	p.bytes += n
	if b.pending[hash] == p { // else its result is there already
		b.bytes += n
		b.held += n
	}
	b.mu.Unlock()
	return nil, nil
}

// message makes the message of an item's job. Bodies and pictures that are too large for it go into
// the object store first. Jobs that begin with the same picture get the same slot.
func (b *submitter) message(ctx context.Context, item Item, hash string,
	p *pending) (*nats.Msg, *Fault, error) {
	m, err := b.Resolve(ctx, item.Model)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, &Fault{"model_not_found", err.Error()}, nil
	}
	if !b.streams[m.key()] {
		if err := b.retry(ctx, func() error { return b.q.jobs(ctx, m) }); err != nil {
			return nil, nil, err
		}
		b.streams[m.key()] = true
	}
	j := job{Batch: b.Batch, ID: item.ID, URL: item.URL, Body: item.Body, Tries: b.Tries}
	affine := item.ID
	if len(j.Body) > inlineMost {
		j.Object, j.Body = "body-"+hash, nil
		if fault, err := b.object(ctx, p, j.Object, item.Body); fault != nil || err != nil {
			return nil, fault, err
		}
	}
	if picture := inlinePicture(item.Body); picture != nil {
		affine = string(picture)
	}
	for i, s := range item.Pictures {
		placed, fault, err := b.place(ctx, p, s)
		if fault != nil || err != nil {
			return nil, fault, err
		}
		if i == 0 {
			affine = placed.Path + placed.Object
		}
		j.Pictures = append(j.Pictures, placed)
	}
	data, err := json.Marshal(j)
	if err != nil {
		return nil, &Fault{"invalid_request", err.Error()}, nil
	}
	slot := fnv.New32a()
	_, _ = io.WriteString(slot, affine)
	return &nats.Msg{Subject: fmt.Sprintf("%s%s.%d.%s.%s", jobsSubject, m.key(),
		slot.Sum32()%slots, b.Batch, hash), Data: data}, nil, nil
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
