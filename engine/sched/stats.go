package sched

import (
	"context"
	"errors"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media"
)

// Histogram counts durations in buckets that double: bucket i holds those below 1 ms << i, the last
// one all others.
type Histogram struct {
	Buckets [18]uint64    `json:"buckets"`
	Count   uint64        `json:"count"`
	Sum     time.Duration `json:"sum_ns"`
	Max     time.Duration `json:"max_ns"`
}

// Bound is the upper bound of bucket i.
func (*Histogram) Bound(i int) time.Duration { return time.Millisecond << i }

func (h *Histogram) add(d time.Duration) {
	i := 0
	for i < len(h.Buckets)-1 && d >= h.Bound(i) {
		i++
	}
	h.Buckets[i]++
	h.Count++
	h.Sum += d
	h.Max = max(h.Max, d)
}

// Mean is the mean duration, 0 if there is none.
func (h *Histogram) Mean() time.Duration {
	if h.Count == 0 {
		return 0
	}
	return h.Sum / time.Duration(h.Count)
}

// Quantile is a duration that at least the share q (0 to 1) of all did not exceed: the upper bound
// of a bucket, or Max if that is less.
func (h *Histogram) Quantile(q float64) time.Duration {
	n := uint64(0)
	for i := range h.Buckets {
		if n += h.Buckets[i]; float64(n) >= q*float64(h.Count) {
			return min(h.Bound(i), h.Max)
		}
	}
	return h.Max
}

// Stats is what a scheduler did so far and what it is doing.
type Stats struct {
	Submitted uint64 `json:"submitted"`
	Completed uint64 `json:"completed"`
	Cancelled uint64 `json:"cancelled"` // callers gave up
	Failed    uint64 `json:"failed"`

	Waiting int `json:"waiting"` // tasks in the queue
	Reading int `json:"reading"` // tasks whose prompt is being computed
	Writing int `json:"writing"` // running answers

	Turns       uint64 `json:"turns"`        // decodes of tokens
	Tokens      uint64 `json:"tokens"`       // drawn
	PromptItems uint64 `json:"prompt_items"` // of prompts that were admitted
	CachedItems uint64 `json:"cached_items"` // of them, those that stood already
	// of CachedItems, those that another task computed meanwhile
	LateItems uint64 `json:"late_items"`
	DiskItems uint64 `json:"disk_items"` // of CachedItems, those that came from disk
	// items of prompts that the reader computed while answers were running
	ReadBeside uint64 `json:"read_beside"`
	// steps of the tower that ended while the model computed, beside it
	EncodedBeside uint64 `json:"encoded_beside"`
	Preempted     uint64 `json:"preempted"` // tasks whose cells others needed
	Guessed       uint64 `json:"guessed"`   // tokens that were computed ahead
	Drafted       uint64 `json:"drafted"`   // of them, those that a smaller model guessed
	Right         uint64 `json:"right"`     // of Guessed, those that came to be
	// failures of the smaller model; answers go on without it
	Undrafted uint64 `json:"undrafted"`
	// failures of the reader; prompts are computed without it
	Unread uint64 `json:"unread"`
	// sequences that were given up and not written to disk, since copying them would have taken too
	// long
	Unkept      uint64 `json:"unkept"`
	CopiedBytes int    `json:"copied_bytes"` // of cells that are held outside the cache
	Faults      uint64 `json:"faults"`       // failures of the memory's books; none is expected

	Queue Histogram `json:"queue"` // waiting to be admitted
	TTFT  Histogram `json:"ttft"`  // from Submit to the first token
	ITL   Histogram `json:"itl"`   // from token to token of an answer

	Cells kv.Stats           `json:"cells"`
	Media media.EncoderStats `json:"media"`
}

// end counts a task that has ended.
func (c *Stats) end(t *Task) {
	switch {
	case t.err == nil:
		c.Completed++
	case errors.Is(t.err, context.Canceled), errors.Is(t.err, context.DeadlineExceeded),
		errors.Is(t.err, ErrClosed):
		c.Cancelled++
	default:
		c.Failed++
	}
	r := &t.report
	c.CachedItems += uint64(r.Cached)
	c.LateItems += uint64(r.LateShare)
	c.DiskItems += uint64(r.Restored)
	c.Guessed += uint64(r.Guessed)
	c.Drafted += uint64(r.Drafted)
	c.Right += uint64(r.Right)
	if !r.First.IsZero() {
		c.Queue.add(r.Queue)
		c.TTFT.add(r.First.Sub(t.arrived))
	}
}

// statsWait is how long Stats waits for the end of a turn, which may take seconds.
const statsWait = 50 * time.Millisecond

// Stats returns the counters, as they stood between the last two turns; of a closed scheduler the
// zero value.
func (s *Scheduler) Stats() Stats {
	now := make(chan Stats, 1)
	if !s.post(func() { now <- s.count() }) {
		return Stats{}
	}
	timer := time.NewTimer(statsWait)
	defer timer.Stop()
	select {
	case st := <-now:
		return st
	case <-timer.C:
	case <-s.stopped:
	}
	if st := s.published.Load(); st != nil {
		return *st
	}
	return Stats{}
}

// publish makes the counters that Stats shows during a long turn.
func (s *Scheduler) publish() {
	if now := time.Now(); now.Sub(s.counted) >= statsWait {
		st := s.count()
		s.counted = now
		s.published.Store(&st)
	}
}

// count returns the counters, with what waits and runs now.
func (s *Scheduler) count() Stats {
	st := s.stats
	st.Waiting, st.CopiedBytes, st.Cells = len(s.queue), s.copies().bytes, s.cfg.Cache.Stats()
	for _, t := range s.active {
		if t.answered > 0 {
			st.Writing++
		} else {
			st.Reading++
		}
	}
	if s.cfg.Encoder != nil {
		st.Media = s.cfg.Encoder.Stats()
	}
	return st
}
