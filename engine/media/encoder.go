package media

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/models/vision"
)

var (
	// ErrClosed is the error of tickets of a closed [Encoder].
	ErrClosed = errors.New("media: the encoder is closed")
	// ErrUnknown is the error of a [Picture] without a source whose embeddings are not known, or
	// whose file turned out to be damaged.
	ErrUnknown = errors.New("media: the embeddings of the picture are not known")
)

// EncoderOptions say where the embeddings go, and who is told of what has come.
type EncoderOptions struct {
	// Cache keeps the embeddings; several encoders may share it.
	Cache *Cache
	// Width is how many numbers a row of embeddings has; 0 means 1.
	Width int
	// DecodeBytes bounds the memory of pictures that are being decoded, or are decoded and wait to
	// be encoded; 0 means DefaultDecodeBytes. One that alone is larger is decoded alone.
	DecodeBytes int64
	// Wake is called from other goroutines when Collect has something to do. It must neither wait
	// nor call the Encoder.
	Wake func()
}

// Encoder decodes pictures and runs the jobs of one tower, in the order in which the pictures were
// first wanted. Its methods are for one goroutine at a time, those of its tickets too; only Stats
// may be called from any.
type Encoder struct {
	opts   EncoderOptions
	jobs   map[kv.Key]*job // all that somebody wants
	queue  []*job          // those that are to be decoded, begun or gone on with, in order
	wanted uint64          // jobs so far
	step   average
	closed bool
	err    error          // the first failure to free a job
	others sync.WaitGroup // decoders, and reads from disk

	openings map[*Source]*opening // that jobs use
	decoding running              // openings whose decoder runs, wanted or not
	held     int64                // bytes of pictures

	mu       sync.Mutex // guards what follows
	arrivals []arrival
	stats    EncoderStats
}

// arrival is what another goroutine brings: embeddings have been read from disk, or a picture is
// decoded.
type arrival struct {
	job     *job
	read    *Embeddings // from disk, nil if it had none after all
	opening *opening    // of a picture that is decoded, and input what came of it
	input   *vision.Input
	err     error
}

// EncoderStats counts what an [Encoder] did.
type EncoderStats struct {
	// Decoded is how often a picture was decoded, Decoding the time that took, beside other work.
	Decoded  int64
	Decoding time.Duration
	// Begun jobs are Finished, Failed or Cancelled in the end.
	Begun, Finished, Failed, Cancelled int64
	// Steps were run by Advance, or of a Loan.
	Steps int64
	// Encodes that were saved, because the embeddings were in memory, were on disk, or were on
	// their way for somebody else.
	SavedMemory, SavedDisk, SavedInFlight int64
	// Encoding is the time spent on jobs.
	Encoding time.Duration
}

// NewEncoder makes an encoder.
func NewEncoder(o EncoderOptions) (*Encoder, error) {
	if o.Cache == nil {
		return nil, errors.New("media: an encoder without a cache")
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	o.Width, o.DecodeBytes = cmp.Or(o.Width, 1), cmp.Or(o.DecodeBytes, DefaultDecodeBytes)
	return &Encoder{opts: o, jobs: map[kv.Key]*job{}, openings: map[*Source]*opening{}}, nil
}

// values is how many numbers a picture's embeddings have.
func (e *Encoder) values(p *Picture) int { return p.Tokens * e.opts.Width }

// Want asks for the embeddings of a picture. The ticket is done at once if they are in memory.
func (e *Encoder) Want(p *Picture) *Ticket {
	t := &Ticket{encoder: e}
	switch j := e.jobs[p.Key]; {
	case e.closed:
		t.err = ErrClosed
	case p.Tokens <= 0:
		t.err = fmt.Errorf("media: a picture of %d tokens", p.Tokens)
	case j != nil && j.picture.Tokens != p.Tokens:
		t.err = lengthError(e.values(j.picture), e.values(p))
	case j != nil:
		e.count(func(s *EncoderStats) { s.SavedInFlight++ })
		if j.picture.Source == nil {
			j.picture = p // in case the disk has not what it promised
		}
		t.job, j.tickets = j, append(j.tickets, t)
	default:
		e.want(t, p)
	}
	return t
}

// want is Want for a picture that is not in flight.
func (e *Encoder) want(t *Ticket, p *Picture) {
	if rows, ok := e.opts.Cache.Get(p.Key); ok {
		if n := len(rows.Rows()); n != e.values(p) {
			rows.Release()
			t.err = lengthError(n, e.values(p))
			return
		}
		t.rows = rows
		e.count(func(s *EncoderStats) { s.SavedMemory++ })
		return
	}
	e.wanted++
	j := &job{picture: p, order: e.wanted, tickets: []*Ticket{t}}
	e.others.Add(1)
	onDisk := e.opts.Cache.load(p.Key, e.values(p), func(rows *Embeddings) {
		defer e.others.Done()
		e.arrive(arrival{job: j, read: rows}, nil)
	})
	if !onDisk {
		e.others.Done()
		if p.Source == nil {
			t.err = ErrUnknown
			return
		}
		e.queue = append(e.queue, j)
	}
	t.job = j
	e.jobs[p.Key] = j
	e.open()
}

func lengthError(have, want int) error {
	return fmt.Errorf("media: the picture has embeddings of %d numbers, not %d", have, want)
}

// Ready reports whether Advance or Lend has something to do. They have nothing while no picture is
// decoded yet.
func (e *Encoder) Ready() bool { return e.next() != nil }

// next is the job that is to go on: one that has begun, or else the first whose picture is decoded.
func (e *Encoder) next() (next *job) {
	for _, j := range e.queue {
		if j.run != nil {
			return j
		}
		if next == nil && j.opening != nil && j.opening.input != nil {
			next = j
		}
	}
	return next
}

// StepCost is the time that a step takes, an average over the last few dozen; 0 before the first.
func (e *Encoder) StepCost() time.Duration { return e.step.value }

// Advance does up to that many steps of the jobs in their order. It returns how many steps it did
// and how long all took. What goes wrong with a picture is told to its tickets; the error is that
// of ctx, after which a later call goes on where this one stopped.
func (e *Encoder) Advance(ctx context.Context, steps int) (ran int, took time.Duration, err error) {
	start := time.Now()
	for ran < steps && err == nil && e.Ready() {
		if err = ctx.Err(); err == nil {
			var n int
			n, err = e.advance(ctx, e.next(), steps-ran)
			ran += n
		}
	}
	took = time.Since(start)
	e.count(func(s *EncoderStats) { s.Steps += int64(ran); s.Encoding += took })
	return ran, took, err
}

// advance begins a job or goes on with it. It takes the job from the queue unless it did a step.
func (e *Encoder) advance(ctx context.Context, j *job, steps int) (ran int, err error) {
	if j.run == nil && !e.begin(j) {
		return 0, nil
	}
	ran, took, err := j.advance(ctx, steps)
	e.step.add(took, ran)
	return ran, e.settle(ctx, j, err)
}

// settle ends a job that has failed or is done. The error is that of ctx.
func (e *Encoder) settle(ctx context.Context, j *job, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		e.fail(j, err)
	} else if done, total := j.run.Progress(); done >= total {
		rows, err := j.run.Rows()
		e.complete(j, rows, err)
	}
	return nil
}

// begin begins a job. It reports whether Advance is to do its steps.
func (e *Encoder) begin(j *job) bool {
	// What was not known when the picture was first wanted may have come since: another encoder may
	// have put it there.
	if rows := e.opts.Cache.peek(j.picture.Key); rows != nil &&
		len(rows.Rows()) == e.values(j.picture) {
		e.count(func(s *EncoderStats) { s.SavedMemory++ })
		e.finish(j, rows, nil)
		return false
	} else if rows != nil {
		rows.Release()
	}
	e.count(func(s *EncoderStats) { s.Begun++ })
	run, err := j.picture.Source.Begin(j.opening.input, j.picture.Index)
	if err != nil {
		e.fail(j, err)
		return false
	}
	j.run = run
	return true
}

// complete takes the rows of a job whose steps are done.
func (e *Encoder) complete(j *job, rows []float32, err error) {
	if err == nil && len(rows) != e.values(j.picture) {
		err = lengthError(len(rows), e.values(j.picture))
	}
	if err != nil {
		e.fail(j, err)
		return
	}
	e.count(func(s *EncoderStats) { s.Finished++ })
	e.finish(j, e.opts.Cache.Put(j.picture.Key, rows), nil)
}

// fail ends a job whose picture was decoded, or was to be.
func (e *Encoder) fail(j *job, err error) {
	e.count(func(s *EncoderStats) { s.Failed++ })
	e.finish(j, nil, err)
}

// finish ends a job.
func (e *Encoder) finish(j *job, rows *Embeddings, err error) {
	e.forget(j)
	j.answer(rows, err)
	e.close(j)
}

// drop ends a job that nobody wants.
func (e *Encoder) drop(j *job) {
	e.forget(j)
	if j.run != nil {
		e.count(func(s *EncoderStats) { s.Cancelled++ })
	}
	if j.lent != nil {
		j.lent() // Return closes it
		return
	}
	e.close(j)
}

// close frees a job's buffers, and lets go of its picture, which makes room for others.
func (e *Encoder) close(j *job) {
	if j.run != nil {
		e.keep(j.run.Close())
	}
	if j.opening != nil {
		e.leave(j.opening)
	}
	e.open()
}

// forget takes a job out of the books; its key can be wanted anew.
func (e *Encoder) forget(j *job) {
	delete(e.jobs, j.picture.Key)
	e.queue = slices.DeleteFunc(e.queue, func(other *job) bool { return other == j })
}

// enqueue puts a job that was to be read from disk where it would stand now.
func (e *Encoder) enqueue(j *job) {
	at, _ := slices.BinarySearchFunc(e.queue, j, func(a, b *job) int {
		return cmp.Compare(a.order, b.order)
	})
	e.queue = slices.Insert(e.queue, at, j)
	e.open()
}

// keep remembers the first failure to free a job, for Close: it is not the picture's.
func (e *Encoder) keep(err error) {
	if e.err == nil {
		e.err = err
	}
}

func (e *Encoder) count(f func(*EncoderStats)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(&e.stats)
}

// Stats counts what the encoder did so far. It may be called from any goroutine.
func (e *Encoder) Stats() EncoderStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

// Close ends all jobs, of which none may be lent; tickets that are not done fail with ErrClosed.
// Rows that tickets hold stay until their Release. Closing again does nothing. The error is the
// first one that came up when a job was freed.
func (e *Encoder) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	e.queue = nil // nothing is decoded any more
	for _, j := range e.jobs {
		for _, t := range j.tickets {
			t.job, t.err = nil, ErrClosed
		}
		j.tickets = nil
		e.drop(j)
	}
	e.others.Wait()
	e.Collect()
	return e.err
}
