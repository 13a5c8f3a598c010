package compute

import (
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/engine/cores"
)

const (
	// recheckRest is how long a thread has had nothing to do before it measures again what is due,
	// and for how long it watches the machine before. Each part of a measurement takes up to a
	// seventh of a second, for which a request that comes just then waits.
	recheckRest = 2 * time.Second
	// recheckLater is when it looks again after others were found to use more than recheckOthers of
	// a core.
	recheckLater  = time.Minute
	recheckOthers = 0.2
)

// recheck measures again, in pauses of the compute thread, what the accelerator chooses by, where
// that is due. It belongs to the thread.
type recheck struct {
	due    func() (time.Time, bool)
	part   func() (more bool)
	others func() (cores float64, known bool) // since it was last asked

	watching bool      // others was asked when the pause began, and rest has not passed yet
	under    bool      // the measurement is under way
	not      time.Time // before which nothing is tried again
}

func newRecheck() *recheck {
	return &recheck{due: ggml.RecheckDue, part: ggml.Recheck, others: new(cores.Watch).Others}
}

// wait returns after what pause tick is to be called; false if there is nothing to measure.
func (r *recheck) wait(now time.Time) (time.Duration, bool) {
	if r == nil {
		return 0, false
	}
	at, wanted := r.due()
	switch {
	case !wanted:
		return 0, false
	case r.under:
		return 0, true
	case at.Before(r.not):
		at = r.not
	}
	return max(at.Sub(now), recheckRest), true
}

// interrupted says that the pause is over: a job has come.
func (r *recheck) interrupted() {
	if r != nil {
		r.watching, r.under = false, false
	}
}

// tick goes on: it begins to watch the machine, and, if others left it alone until the next pause
// is over, measures a part.
func (r *recheck) tick(now time.Time) {
	if !r.under {
		cores, known := r.others()
		if !r.watching {
			r.watching = true
			return
		}
		r.watching = false
		if known && cores > recheckOthers {
			r.not = now.Add(recheckLater)
			return
		}
	}
	r.under = r.part()
}
