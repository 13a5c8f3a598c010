package sched

import (
	"context"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// Reader computes prompts in a memory of its own, of one sequence, bit by bit, while the [Decoder]
// computes answers: a prompt that is cut into portions small enough for the gaps between tokens
// would be read several times slower. Its methods are called on the compute thread. Errors of a
// reader cost time alone: the prompt is computed by the Decoder then.
type Reader interface {
	// Open takes memory for so many items, in place of what it had.
	Open(cells int) error
	// Load takes over what stands in a sequence of the Decoder, in place of what it had; of an
	// empty one, nothing.
	Load(seq llama.Seq) error
	// Begin and BeginRows begin a decode, as those of Decoder, whose sequence is not looked at.
	Begin(ctx context.Context, entries []Entry) error
	BeginRows(ctx context.Context, rows []float32, places [][4]llama.Pos, causal bool) error
	// Advance goes on for about that long and returns whether the decode has ended. Longest is the
	// longest time between two places where it could pause.
	Advance(d time.Duration) (done bool, err error)
	Longest() time.Duration
	// Stop gives up the decode that was begun, if one was.
	Stop()
	// Move adds the cells of positions [p0, p1) to what stands in a sequence of the Decoder, up to
	// p0, and returns the number of bytes.
	Move(seq llama.Seq, p0, p1 llama.Pos) (int, error)
	// Release gives the memory back. It can be opened again.
	Release()
}

// readerRest is how long a reader keeps its memory when it has nothing to do.
const readerRest = 15 * time.Second

// readerUse is what the scheduler knows of its reader. The reader holds a beginning of one task's
// prompt: what stood in the task's sequence when it was loaded, and what it has computed since,
// which is moved into the sequence.
type readerUse struct {
	cells int   // that the reader has; 0 while it is closed
	task  *Task // whose items it holds; nil if nobody's
	have  int   // items that it holds
	// items that it will hold after the decode that is under way; have if there is none
	end    int
	bytes  int           // of an item's cells
	each   time.Duration // longest time between pauses, for each item of a decode
	took   time.Duration // by the decode so far
	rests  time.Time     // since when it has nothing to do
	failed bool          // it cannot be used
}

// busy reports whether a decode is under way.
func (r *readerUse) busy() bool { return r.end > r.have }

// unmoved is the number of items that are computed and not moved.
func (r *readerUse) unmoved() int {
	if r.task == nil {
		return 0
	}
	return max(0, r.have-r.task.seq.Len())
}

// worksFor reports whether a task waits for the reader.
func (r *readerUse) worksFor(t *Task) bool { return r.task == t && (r.busy() || r.unmoved() > 0) }

// leave forgets a task that ends or is preempted. A decode for it goes on until a turn stops it.
func (r *readerUse) leave(t *Task) {
	if r.task == t {
		r.task = nil
		if !r.busy() {
			r.have, r.end = 0, 0
		}
	}
}

// beside reports whether the reader may compute what a task needs.
func (s *Scheduler) beside(t *Task) bool {
	return s.cfg.Reader != nil && !s.reader.failed && !t.alone && t.report.Shifted == 0 &&
		len(t.Prompt.Items) <= s.cfg.ReaderCells
}

// readerFailed goes on without the reader for a task, or for good if it cannot even be opened.
func (s *Scheduler) readerFailed(t *Task, opening bool) {
	s.stats.Unread++
	t.alone = true
	s.reader.failed = opening
	s.reader.task, s.reader.have, s.reader.end = nil, 0, 0
	if opening {
		s.reader.cells = 0
	}
}

// openReader takes memory for a task's prompt.
func (s *Scheduler) openReader(t *Task) {
	const step = 256
	cells := min((len(t.Prompt.Items)+step-1)/step*step, s.cfg.ReaderCells)
	var err error
	s.cfg.Run(func() { err = s.cfg.Reader.Open(cells) })
	s.reader.cells, s.reader.task, s.reader.have, s.reader.end = cells, nil, 0, 0
	if err != nil {
		s.readerFailed(t, true)
	}
}

// read begins a decode of n items of a task, unless one is under way, and goes on with it.
func (s *Scheduler) read(t *Task, n int, d time.Duration) {
	r := &s.reader
	start := time.Now()
	if !r.busy() {
		if !s.beginReading(t, n) {
			return
		}
	}
	t = r.task
	var done bool
	var err error
	var longest time.Duration
	s.cfg.Run(func() {
		begun := time.Now()
		done, err = s.cfg.Reader.Advance(d - begun.Sub(start))
		longest = s.cfg.Reader.Longest()
		r.took += time.Since(begun)
	})
	r.each = max(r.each-r.each/64, longest/time.Duration(r.end-r.have))
	switch {
	case err != nil && t.ctx.Err() != nil:
		r.task, r.have, r.end = nil, 0, 0 // reap ends it
	case err != nil:
		s.readerFailed(t, false)
	case done:
		n := r.end - r.have
		r.have = r.end
		t.report.Prefill += r.took
		t.trace("read", n, r.took)
	}
}

// beginReading begins a decode of n items of a task's prompt. It returns false if the reader could
// not.
func (s *Scheduler) beginReading(t *Task, n int) bool {
	r := &s.reader
	from := t.seq.Len()
	var err error
	if r.task != t || r.have != from {
		if !s.loadReader(t) {
			return false
		}
	}
	p, i := t.picture(from)
	var list []float32
	if p != nil {
		if list, err = s.rowsOf(t, i); err != nil {
			s.finish(t, err)
			return false
		}
	}
	s.cfg.Run(func() {
		if p != nil {
			w := s.cfg.Width
			at := from - p.From
			err = s.cfg.Reader.BeginRows(t.ctx, list[at*w:(at+n)*w], t.nextPlaces(p, n), !p.Whole)
			return
		}
		var entries []Entry
		for k := from; k < from+n; k++ {
			entries = append(entries, Entry{Token: llama.Token(t.Prompt.Items[k].Value),
				Pos: t.Prompt.Pos[k]})
		}
		err = s.cfg.Reader.Begin(t.ctx, entries)
	})
	if err != nil {
		if t.ctx.Err() == nil {
			s.readerFailed(t, false)
		}
		return false
	}
	r.end, r.took = from+n, 0
	return true
}

// loadReader copies what stands of a task's prompt to the reader, if that does not take longer than
// the gap allows.
func (s *Scheduler) loadReader(t *Task) bool {
	r := &s.reader
	r.task, r.have, r.end = nil, 0, 0
	size, err := 0, error(nil)
	s.cfg.Run(func() {
		if t.seq.Len() > 0 {
			if size, err = s.cfg.Decoder.StateSize(t.seq.ID); err != nil ||
				2*copyingOut(size) > s.cfg.MaxGap {
				return
			}
		}
		err = s.cfg.Reader.Load(t.seq.ID)
	})
	if 2*copyingOut(size) > s.cfg.MaxGap {
		t.alone = true
		return false
	}
	if err != nil {
		s.readerFailed(t, false)
		return false
	}
	r.task, r.have, r.end = t, t.seq.Len(), t.seq.Len()
	return true
}

// together is how many of the unmoved items must be moved at once: up to where the prompt may be
// cut, or all.
func (s *Scheduler) together() int {
	r := &s.reader
	if r.unmoved() == 0 || s.cfg.ReaderWhole {
		return r.unmoved()
	}
	from := r.task.seq.Len()
	to := from + 1
	for to < r.have && r.task.Prompt.Cut(to) < to {
		to++
	}
	return to - from
}

// move hands n items at most that the reader has computed over to the sequence of their task.
func (s *Scheduler) move(n int) {
	r := &s.reader
	t := r.task
	from := t.seq.Len()
	to := t.Prompt.Cut(min(from+n, r.have))
	if !s.reserve(to - from) {
		return
	}
	bytes, err := 0, error(nil)
	s.cfg.Run(func() {
		bytes, err = s.cfg.Reader.Move(t.seq.ID, t.Prompt.Position(from), t.Prompt.Position(to))
	})
	if err == nil {
		err = s.cfg.Cache.Append(t.seq, t.Prompt, to)
	}
	if err != nil {
		s.check(s.cfg.Cache.Resync(t.seq))
		s.readerFailed(t, false)
		return
	}
	r.bytes = bytes / (to - from)
	s.stats.ReadBeside += uint64(to - from)
	t.moved = false
	s.released(t)
}

// stopReader gives up a decode that nobody waits for.
func (s *Scheduler) stopReader() {
	s.cfg.Run(s.cfg.Reader.Stop)
	s.reader.task, s.reader.have, s.reader.end = nil, 0, 0
}

// restReader gives the reader's memory back once it has had nothing to do for a while.
func (s *Scheduler) restReader(now time.Time) {
	r := &s.reader
	switch {
	case r.cells == 0:
	case r.busy() || r.unmoved() > 0:
		r.rests = time.Time{}
	case r.rests.IsZero():
		r.rests = now
		time.AfterFunc(readerRest, s.Poke)
	case now.Sub(r.rests) >= readerRest:
		s.releaseReader()
	}
}

// releaseReader gives the reader's memory back.
func (s *Scheduler) releaseReader() {
	if s.reader.cells == 0 {
		return
	}
	s.cfg.Run(func() {
		s.cfg.Reader.Stop()
		s.cfg.Reader.Release()
	})
	s.reader = readerUse{bytes: s.reader.bytes, each: s.reader.each, failed: s.reader.failed}
}
