package sched

import (
	"sync"

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

// scarce is the part of the cells below which what will be given up next is written to disk while
// there is time for it.
const scarce = 0.25

// toKeep is the sequence that is written to disk next, in a step of its own, and how much that
// copies; nil if there is none.
func (s *Scheduler) toKeep() (*kv.Sequence, amount) {
	if s.spill == nil || !s.spill.ready() {
		return nil, amount{}
	}
	seq := s.cfg.Cache.Next(int(scarce*float64(s.cfg.Cells)), worthKeeping)
	if seq == nil {
		return nil, amount{}
	}
	if k := &s.keeping; k.seq != seq || k.items != seq.Len() {
		*k = keeping{seq, s.sizeOf(seq)}
	}
	if s.keeping.bytes == 0 {
		return nil, amount{}
	}
	return seq, s.keeping.amount
}

// keeping is how much a copy of a sequence takes, which is asked for once.
type keeping struct {
	seq *kv.Sequence
	amount
}

// sizeOf is how much a copy of a sequence takes; of no bytes if the memory does not say.
func (s *Scheduler) sizeOf(seq *kv.Sequence) amount {
	a := amount{items: seq.Len()}
	s.cfg.Run(func() { a.bytes, _ = s.cfg.Decoder.StateSize(seq.ID) })
	return a
}

// keep writes to disk what toKeep has chosen.
func (s *Scheduler) keep() {
	if seq, _ := s.toKeep(); seq != nil {
		s.planned = true
		s.cfg.Cache.Announce(seq)
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
		v, size := view{copied: s.copies(), context: s.cfg.Cells}, s.sizeOf(seq)
		if size.bytes == 0 || s.writing() || !v.mayCopy(size) {
			s.stats.Unkept++
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
	out   *copied // counts what is on its way
	done  sync.WaitGroup
}

// newSpiller starts to write. It calls written after each snapshot, whose memory is free then.
func newSpiller(store *disk.Store, out *copied, written func()) *spiller {
	w := &spiller{store: store, next: make(chan *disk.Snapshot, 1), out: out}
	w.done.Go(func() {
		for snap := range w.next {
			// the store logs and counts what goes wrong; the sequence is computed again when it is
			// needed
			_ = w.store.Put(snap)
			w.out.count(snap, -1)
			written()
		}
	})
	return w
}

// ready reports whether put would take a snapshot.
func (w *spiller) ready() bool { return len(w.next) < cap(w.next) }

func (w *spiller) put(snap *disk.Snapshot) {
	w.out.count(snap, 1)
	select {
	case w.next <- snap:
	default:
		w.out.count(snap, -1)
	}
}

func (w *spiller) wait(snap *disk.Snapshot) {
	w.out.count(snap, 1)
	w.next <- snap
}

func (w *spiller) close() {
	close(w.next)
	w.done.Wait()
}
