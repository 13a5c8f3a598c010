package sched

import (
	"sync"
	"sync/atomic"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/kv/disk"
)

const (
	// worthReading is how many more items must stand on disk than in memory to be read from there.
	worthReading = 32
	// worthKeeping is how many items a sequence must have to be written to disk.
	worthKeeping = 32
)

// restore begins to read the beginning of a task's prompt from disk, if more of it stands there
// than in memory. The task is loading until then, and true is returned.
func (s *Scheduler) restore(t *Task) bool {
	if s.cfg.Disk == nil || t.Fresh {
		return false
	}
	_, have := s.cfg.Cache.Match(t.Prompt)
	entry, n := s.cfg.Disk.Longest(t.Prompt, s.cfg.Pictures)
	if n < have+worthReading {
		return false
	}
	t.become(loading)
	go func() {
		snap, err := s.cfg.Disk.Load(entry)
		_ = s.Do(func() {
			if t.state == loading {
				s.restored(t, snap, err)
			}
		})
	}()
	return true
}

// restored takes over what was read from disk, or computes the prompt if that failed.
func (s *Scheduler) restored(t *Task, snap *disk.Snapshot, err error) {
	if err == nil && snap.Model == s.cfg.Model {
		if seq, err := s.adopt(snap); err == nil {
			// As cache it is found like any other, and the prompt shares what it can.
			s.cfg.Cache.Finish(seq)
			_, t.report.Restored = s.cfg.Cache.Match(t.Prompt)
		}
	}
	s.open(t)
}

// adopt puts a snapshot into the cache. Errors are kv.ErrNoCells, kv.ErrNoSequence, or the
// decoder's for a state that does not fit.
func (s *Scheduler) adopt(snap *disk.Snapshot) (*kv.Sequence, error) {
	p := snap.PromptFor(s.cfg.Pictures)
	seq, err := s.cfg.Cache.Adopt(p, len(p.Items))
	if err != nil {
		return nil, err
	}
	s.cfg.Run(func() { err = s.cfg.Decoder.SetState(seq.ID, snap.State) })
	if err != nil {
		s.check(s.cfg.Cache.Drop(seq))
		return nil, err
	}
	return seq, nil
}

// Adopt puts a snapshot into the cache, where prompts that begin alike find it, and returns what it
// holds. It is called through Do.
func (s *Scheduler) Adopt(snap *disk.Snapshot) (*kv.Prompt, error) {
	seq, err := s.adopt(snap)
	if err != nil {
		return nil, err
	}
	s.cfg.Cache.Finish(seq)
	return snap.PromptFor(s.cfg.Pictures), nil
}

// Copy copies the cells of just these items out of the cache, where they must stand, all of them or
// all but the last. It is called through Do, and returns ErrGone or errors of the memory.
func (s *Scheduler) Copy(p *kv.Prompt) (*disk.Snapshot, error) {
	// Of a prompt the cache leaves the last item to be computed, so one more is asked for.
	ask, n := *p, len(p.Items)
	ask.Items, ask.Pos, ask.Next = append(p.Items[:n:n], kv.TokenItem(0)),
		append(p.Pos[:n:n], p.Next), p.Next+1
	seq, err := s.cfg.Cache.Open(&ask, false)
	if err != nil {
		return nil, err
	}
	defer s.cfg.Cache.Finish(seq)
	if seq.Len() < n-1 {
		return nil, ErrGone
	}
	return s.snapshot(seq, "")
}

// Snapshot copies the sequence of a task that has ended out of the cache. It is called through Do.
// Errors are ErrShifted, ErrGone, or those of the decoder.
func (s *Scheduler) Snapshot(t *Task, name string) (*disk.Snapshot, error) {
	if t.report.Shifted > 0 {
		return nil, ErrShifted
	}
	seq := s.cfg.Cache.Holder(t.Prompt)
	if seq == nil {
		return nil, ErrGone
	}
	return s.snapshot(seq, name)
}

func (s *Scheduler) snapshot(seq *kv.Sequence, name string) (*disk.Snapshot, error) {
	snap := &disk.Snapshot{Model: s.cfg.Model, Name: name}
	if err := snap.SetPrompt(&seq.Prompt, s.cfg.Pictures); err != nil {
		return nil, err
	}
	var err error
	s.cfg.Run(func() { snap.State, err = s.cfg.Decoder.State(seq.ID) })
	return snap, err
}

// scarce is the part of the cells below which what will be given up next is written to disk while
// there is time for it.
const scarce = 0.25

// toKeep is the sequence that is written to disk next, in a step of its own, and how many bytes its
// cells have; nil if there is none.
func (s *Scheduler) toKeep() (*kv.Sequence, int) {
	if s.spill == nil || !s.spill.ready() {
		return nil, 0
	}
	seq := s.cfg.Cache.Next(int(scarce*float64(s.cfg.Cells)), worthKeeping)
	if seq == nil {
		return nil, 0
	}
	if k := &s.keeping; k.seq != seq || k.items != seq.Len() {
		size, err := 0, error(nil)
		s.cfg.Run(func() { size, err = s.cfg.Decoder.StateSize(seq.ID) })
		if err != nil {
			size = 0
		}
		*k = keeping{seq, seq.Len(), size}
	}
	if s.keeping.bytes == 0 || !s.holds(s.keeping.bytes, s.keeping.items) {
		return nil, 0
	}
	return seq, s.keeping.bytes
}

// keeping is how many bytes the cells of a sequence have, which is asked for once.
type keeping struct {
	seq   *kv.Sequence
	items int
	bytes int
}

// keep writes to disk what toKeep has chosen.
func (s *Scheduler) keep() {
	if seq, _ := s.toKeep(); seq != nil {
		s.planned = true
		s.cfg.Cache.Foretell(seq)
		s.planned = false
	}
}

// Evicted writes a finished sequence to disk before the cache gives cells of it up. It is the
// cache's Config.Evict. While answers are running it does so in steps of the plan alone, for which
// toKeep chooses early; what has to go before its step is lost.
func (s *Scheduler) Evicted(seq *kv.Sequence) {
	if s.spill == nil || seq.Len() < worthKeeping || !s.spill.ready() {
		return
	}
	if !s.planned {
		size, err := 0, error(nil)
		s.cfg.Run(func() { size, err = s.cfg.Decoder.StateSize(seq.ID) })
		if err != nil || s.writing() || !s.holds(size, seq.Len()) {
			s.meter.unkept++
			return
		}
	}
	if snap, err := s.snapshot(seq, ""); err == nil {
		s.spill.put(snap)
	}
}

// keepAll writes all finished sequences to disk and waits for that.
func (s *Scheduler) keepAll() {
	if s.spill == nil {
		return
	}
	for _, seq := range s.cfg.Cache.Finished() {
		if seq.Len() < worthKeeping {
			continue
		}
		if snap, err := s.snapshot(seq, ""); err == nil {
			s.spill.wait(snap)
		}
	}
	s.spill.close()
}

// spiller writes snapshots one after the other, beside the loop. At most one waits: memory is
// bounded, and what comes meanwhile is not kept.
type spiller struct {
	store *disk.Store
	next  chan *disk.Snapshot
	bytes atomic.Int64 // of the states that are on their way
	items atomic.Int64 // that they hold
	done  sync.WaitGroup
}

func newSpiller(store *disk.Store) *spiller {
	w := &spiller{store: store, next: make(chan *disk.Snapshot, 1)}
	w.done.Go(func() {
		for snap := range w.next {
			// the store logs and counts what goes wrong; the sequence is computed again when it is
			// needed
			_ = w.store.Put(snap)
			w.count(snap, -1)
		}
	})
	return w
}

// ready reports whether put would take a snapshot.
func (w *spiller) ready() bool { return len(w.next) < cap(w.next) }

func (w *spiller) put(snap *disk.Snapshot) {
	w.count(snap, 1)
	select {
	case w.next <- snap:
	default:
		w.count(snap, -1)
	}
}

func (w *spiller) wait(snap *disk.Snapshot) {
	w.count(snap, 1)
	w.next <- snap
}

// count notes that a snapshot is on its way, or no longer.
func (w *spiller) count(snap *disk.Snapshot, sign int) {
	w.bytes.Add(int64(sign * len(snap.State)))
	w.items.Add(int64(sign * len(snap.Prompt.Items)))
}

func (w *spiller) close() {
	close(w.next)
	w.done.Wait()
}
