package sched

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/kv/disk"
	"github.com/eyelet-engine/eyelet/engine/media"
)

// Entry is a token of a decode.
type Entry struct {
	Token  llama.Token
	Pos    llama.Pos
	Seq    llama.Seq
	Output bool // its logits are wanted
	// Threads and Uniform are those of the task that it belongs to.
	Threads int
	Uniform bool
}

// Decoder is the model's context. Its methods are called on the compute thread (Config.Run).
type Decoder interface {
	// Decode computes tokens. It fails with llama.ErrNoRoom if there are no cells for them, and
	// with llama.ErrAborted when ctx is done.
	Decode(ctx context.Context, entries []Entry) error
	// DecodeRows computes rows of a picture, one after the other in rows, at the places given.
	DecodeRows(ctx context.Context, seq llama.Seq, rows []float32, places [][4]llama.Pos,
		causal bool) error
	// State and SetState copy the cells of a sequence out and in; StateSize is how many bytes that
	// is.
	State(seq llama.Seq) ([]byte, error)
	SetState(seq llama.Seq, state []byte) error
	StateSize(seq llama.Seq) (int, error)
}

// Config is what a [Scheduler] works with. Decoder, Cache and Run are required.
type Config struct {
	Decoder Decoder
	Cache   *kv.Cache
	// Pictures numbers the pictures of prompts. It belongs to the scheduler's goroutine and is read
	// for Disk alone.
	Pictures *kv.Pictures
	// Encoder makes embeddings; nil for a model that cannot see.
	Encoder *media.Encoder
	// Disk keeps sequences that were given up; nil for none. The scheduler does not close it.
	Disk *disk.Store
	// Model is the identity under which sequences are kept on disk.
	Model string
	// Run runs f on the compute thread and returns when it is done.
	Run func(f func())
	// Tower runs f on a second compute thread, where the tower computes on the CPU and the Decoder
	// on devices alone: pictures are encoded beside the turns then. With nil, the tower's steps are
	// parts of turns.
	Tower func(f func())
	// Width is the number of values of an embedding.
	Width int
	// Batch is the most entries of a decode.
	Batch int
	// Cells is the most items that a sequence may have.
	Cells int
	// Share is false for models whose cells cannot be shared while they run.
	Share bool
	// Parallel is the most tasks that are computed at a time.
	Parallel int
	// Queue is the most tasks that wait; 0 means 256.
	Queue int
	// Expected is how many tokens of an answer are counted on when a task is admitted, or MaxTokens
	// if those are fewer; 0 means 128. If it gets longer and cells run out, somebody is preempted.
	Expected int
	// MaxGap is the time between two tokens of an answer that other work should not exceed; 0 means
	// 250 ms.
	MaxGap time.Duration
	// Speculation lets tokens be guessed ahead where it pays.
	Speculation bool
	// RowShare is what a guess costs, in decodes of one token; 0 means ProcessorRow.
	RowShare float64
	// FewRows bounds the entries of a decode that computes answers of Uniform tasks; 0 means no
	// bound.
	FewRows int
	// Reader computes prompts while answers are running, where they have no more than ReaderCells
	// items; nil for none. The scheduler opens and releases it.
	Reader      Reader
	ReaderCells int
	// ReaderWhole says that all that the Reader has computed is moved at once.
	ReaderWhole bool
	// Drafter guesses where the text does not repeat itself; nil for none.
	Drafter Drafter
}

// What Config takes for zero.
const (
	defaultExpected = 128
	// DefaultQueue is Config.Queue where it is not set.
	DefaultQueue = 256
	// DefaultMaxGap is Config.MaxGap where it is not set.
	DefaultMaxGap = 250 * time.Millisecond
)

// Scheduler runs tasks. Its methods may be called from many goroutines.
type Scheduler struct {
	cfg Config
	ctx context.Context
	end context.CancelFunc

	mu       sync.Mutex
	arrivals []*Task
	calls    []func() // to be run on the scheduler's goroutine
	closed   bool
	waiting  int // tasks that are queued, arrivals included
	wake     chan struct{}
	stopped  chan struct{}

	// What follows belongs to the loop's goroutine.
	queue    []*Task // waiting, in the order of arrival; those preempted first
	active   []*Task // admitted, by rank
	served   map[string]uint64
	turns    uint64
	tokens   cost // of decodes of tokens
	rows     cost // of decodes of rows
	drafts   draftCost
	sketches uint64    // numbers answers for the drafter
	reader   readerUse // of Config.Reader
	// cells are short though the books have some: nobody is admitted until somebody has ended
	admitNone bool
	crowded   bool // a decode found no room, and the next turn has to make some
	orders    []*order
	out       copied // cells that are held outside the cache, without those of s.queue
	spill     *spiller
	keeping   keeping // of what toKeep has chosen
	lent      *lending
	planned   bool      // the copy that is being made is a step of the plan
	stats     Stats     // what has been counted so far; count adds what is under way
	counted   time.Time // when published was made

	published atomic.Pointer[Stats] // as it was between two turns, not long ago
}

// New starts a scheduler.
func New(cfg Config) *Scheduler {
	if cfg.Queue == 0 {
		cfg.Queue = DefaultQueue
	}
	if cfg.Expected == 0 {
		cfg.Expected = defaultExpected
	}
	if cfg.RowShare == 0 {
		cfg.RowShare = ProcessorRow
	}
	if cfg.MaxGap == 0 {
		cfg.MaxGap = DefaultMaxGap
	}
	s := &Scheduler{cfg: cfg, wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		served: map[string]uint64{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	if cfg.Disk != nil {
		s.spill = newSpiller(cfg.Disk, &s.out, s.Poke)
	}
	go s.loop()
	return s
}

// Submit hands a task over. It is ended early when ctx is done. Errors are ErrClosed and
// ErrQueueFull; what else goes wrong is what [Task.Wait] returns.
func (s *Scheduler) Submit(ctx context.Context, t *Task) error {
	t.ctx, t.arrived, t.done = ctx, time.Now(), make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.waiting >= s.cfg.Queue:
		return ErrQueueFull
	}
	s.waiting++
	s.arrivals = append(s.arrivals, t)
	s.Poke()
	stop := context.AfterFunc(ctx, s.Poke)
	go func() { <-t.done; stop() }()
	return nil
}

// Poke makes the loop look for something to do. It may be called from anywhere, and does not wait.
func (s *Scheduler) Poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Do runs f on the scheduler's goroutine, between two turns, and returns when it is done. f may use
// the cache and, through Config.Run, the decoder. After Close it returns ErrClosed, and f is not
// run.
func (s *Scheduler) Do(f func()) error {
	done := make(chan struct{})
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.calls = append(s.calls, func() { f(); close(done) })
	s.mu.Unlock()
	s.Poke()
	<-done
	return nil
}

// post is Do for who does not wait for it. It returns false after Close.
func (s *Scheduler) post(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.calls = append(s.calls, f)
		s.Poke()
	}
	return !s.closed
}

// Close ends all tasks with ErrClosed and returns when the loop has. Finished sequences are kept on
// disk if there is one.
func (s *Scheduler) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.Poke()
	<-s.stopped
}

func (s *Scheduler) loop() {
	defer close(s.stopped)
	for {
		calls, closed := s.receive()
		for _, call := range calls {
			call()
		}
		if closed {
			break
		}
		if s.cfg.Encoder != nil {
			s.cfg.Encoder.Collect()
		}
		s.takeBack()
		s.reap()
		s.admit()
		s.publish()
		if !s.turn() {
			<-s.wake
		}
	}
	if s.lent != nil {
		<-s.lent.over // not long: s.ctx is done
		s.takeBack()
	}
	for _, t := range append(slices.Clone(s.active), s.queue...) {
		s.finish(t, ErrClosed)
	}
	for _, o := range s.orders {
		o.end(ErrClosed)
	}
	s.releaseReader()
	s.keepAll()
}

// receive takes what others have sent.
func (s *Scheduler) receive() (calls []func(), closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.arrivals {
		t.trace("queued", len(t.Prompt.Items), 0)
		s.stats.Submitted++
	}
	s.queue = append(s.queue, s.arrivals...)
	s.arrivals = nil
	calls, s.calls = s.calls, nil
	return calls, s.closed
}

// reap ends tasks whose callers have given up.
func (s *Scheduler) reap() {
	for _, t := range slices.Concat(s.active, s.queue) {
		if t.ctx.Err() != nil {
			s.finish(t, context.Cause(t.ctx))
		}
	}
}

// finish ends a task. What it has computed stays as cache.
func (s *Scheduler) finish(t *Task, err error) {
	if t.state == ended {
		return
	}
	if i := slices.Index(s.queue, t); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		s.leaveQueue()
	}
	if i := slices.Index(s.active, t); i >= 0 {
		s.active = slices.Delete(s.active, i, i+1)
	}
	for i := range t.tickets {
		t.release(i)
	}
	s.reader.leave(t)
	if t.seq != nil {
		if t.report.Shifted > 0 {
			// Its cells were computed with items before them that are gone: not what a prompt of
			// the same items would have.
			s.check(s.cfg.Cache.Drop(t.seq))
		} else {
			s.cfg.Cache.Finish(t.seq)
		}
		t.seq = nil
	}
	s.forgetSketch(t)
	t.become(ended)
	t.err, t.saved = err, nil
	s.admitNone, s.crowded = false, false
	t.trace("ended", t.answered, time.Since(t.arrived))
	s.stats.end(t)
	close(t.done)
}

func (s *Scheduler) leaveQueue() {
	s.mu.Lock()
	s.waiting--
	s.mu.Unlock()
}

// release gives a ticket back.
func (t *Task) release(i int) {
	if t.tickets[i] != nil {
		t.tickets[i].Release()
		t.tickets[i] = nil
	}
}

// check notes a failure of the memory's books, after which only that sequence is lost.
func (s *Scheduler) check(err error) {
	if err != nil {
		s.stats.Faults++
	}
}
