package media

import (
	"context"
	"time"
)

// start has a long job run.
func (e *Encoder) start(j *job) {
	ctx, cancel := context.WithCancel(context.Background())
	j.cancel = cancel
	e.long = j
	e.unqueue(j)
	run := j.run
	e.others.Add(1)
	e.opts.Start(func() {
		defer e.others.Done()
		start := time.Now()
		a := arrival{job: j, err: ctx.Err()}
		if a.err == nil {
			_, total := run.Progress()
			a.err = run.Advance(ctx, total)
		}
		if a.err == nil {
			a.rows, a.err = run.Rows()
		}
		e.arrive(a, func(s *EncoderStats) { s.Encoding += time.Since(start) })
	})
}

// arrive hands something over to Collect, and counts it. It is called from other goroutines.
func (e *Encoder) arrive(a arrival, count func(*EncoderStats)) {
	e.mu.Lock()
	e.arrivals = append(e.arrivals, a)
	if count != nil {
		count(&e.stats)
	}
	e.mu.Unlock()
	e.opts.Wake()
}

// Collect takes what long jobs, decoders and the disk have brought, which completes tickets or lets Advance go on. It does not wait.
func (e *Encoder) Collect() {
	e.mu.Lock()
	arrivals := e.arrivals
	e.arrivals = nil
	e.mu.Unlock()
	for _, a := range arrivals {
		switch {
		case a.opening != nil:
			e.collectDecoded(a)
		case a.job == e.long:
			e.collectLong(a)
		default:
			e.collectRead(a)
		}
	}
	if len(arrivals) > 0 {
		e.open()
	}
}

func (e *Encoder) collectLong(a arrival) {
	e.long = nil
	switch {
	case len(a.job.tickets) > 0:
		e.complete(a.job, a.rows, a.err)
		return
	case a.err == nil && len(a.rows) == e.values(a.job.picture): // dropped too late: somebody may want it yet
		e.opts.Cache.Put(a.job.picture.Key, a.rows).Release()
	}
	e.close(a.job)
}

func (e *Encoder) collectRead(a arrival) {
	j := a.job
	switch {
	case len(j.tickets) == 0: // dropped
		if a.read != nil {
			a.read.Release()
		}
	case a.read != nil && len(a.read.Rows()) != e.values(j.picture): // somebody else put them there in the meantime
		n := len(a.read.Rows())
		a.read.Release()
		e.finish(j, nil, lengthError(n, e.values(j.picture)))
	case a.read != nil:
		e.count(func(s *EncoderStats) { s.SavedDisk++ })
		e.finish(j, a.read, nil)
	case j.picture.Source == nil:
		e.finish(j, nil, ErrUnknown)
	default:
		e.enqueue(j)
	}
}
