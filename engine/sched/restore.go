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

// restore begins to read the beginning of a task's prompt from disk, if more of it stands there than in memory. The task is loading until
// then, and true is returned.
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

// adopt puts a snapshot into the cache. Errors are kv.ErrNoCells, kv.ErrNoSequence, or the decoder's for a state that does not fit.
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

// Adopt puts a snapshot into the cache, where prompts that begin alike find it, and returns what it holds. It is called through Do.
func (s *Scheduler) Adopt(snap *disk.Snapshot) (*kv.Prompt, error) {
	seq, err := s.adopt(snap)
	if err != nil {
		return nil, err
	}
	s.cfg.Cache.Finish(seq)
	return snap.PromptFor(s.cfg.Pictures), nil
}

// Copy copies the cells of just these items out of the cache, where they must stand, all of them or all but the last. It is called through
// Do, and returns ErrGone or errors of the memory.
func (s *Scheduler) Copy(p *kv.Prompt) (*disk.Snapshot, error) {
	// Of a prompt the cache leaves the last item to be computed, so one more is asked for.
	ask, n := *p, len(p.Items)
	ask.Items, ask.Pos, ask.Next = append(p.Items[:n:n], kv.TokenItem(0)), append(p.Pos[:n:n], p.Next), p.Next+1
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

// Snapshot copies the sequence of a task that has ended out of the cache. It is called through Do. Errors are ErrShifted, ErrGone, or those
// of the decoder.
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

// Evicted writes a finished sequence to disk before the cache gives cells of it up. It is the cache's Config.Evict.
func (s *Scheduler) Evicted(seq *kv.Sequence) {
	if s.spill == nil || seq.Len() < worthKeeping || !s.spill.ready() {
		return
	}
	size, err := 0, error(nil)
	if s.cfg.Run(func() { size, err = s.cfg.Decoder.StateSize(seq.ID) }); err != nil || !s.affords(size) {
		s.meter.unkept++
		return
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

// spiller writes snapshots one after the other, beside the loop. At most one waits: memory is bounded, and what comes meanwhile is not
// kept.
type spiller struct {
	store *disk.Store
	next  chan *disk.Snapshot
	bytes atomic.Int64 // of the states that are on their way
	done  sync.WaitGroup
}

func newSpiller(store *disk.Store) *spiller {
	w := &spiller{store: store, next: make(chan *disk.Snapshot, 1)}
	w.done.Go(func() {
		for snap := range w.next {
			_ = w.store.Put(snap) // the store logs and counts what goes wrong; the sequence is computed again when it is needed
			w.bytes.Add(-int64(len(snap.State)))
		}
	})
	return w
}

// ready reports whether put would take a snapshot.
func (w *spiller) ready() bool { return len(w.next) < cap(w.next) }

func (w *spiller) put(snap *disk.Snapshot) {
	w.bytes.Add(int64(len(snap.State)))
	select {
	case w.next <- snap:
	default:
		w.bytes.Add(-int64(len(snap.State)))
	}
}

func (w *spiller) wait(snap *disk.Snapshot) {
	w.bytes.Add(int64(len(snap.State)))
	w.next <- snap
}

func (w *spiller) close() {
	close(w.next)
	w.done.Wait()
}
