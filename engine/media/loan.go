package media

import (
	"context"
	"time"
)

// Loan is a job in the hands of another goroutine than its encoder's, which does its steps while
// the encoder serves tickets.
type Loan struct {
	encoder *Encoder
	job     *job
	ctx     context.Context
	ran     int
	took    time.Duration
	err     error
}

// Lend hands out the job that is to go on, with what it takes to stop it, until Return; nil if none
// is ready. Another is lent only after that. When ctx is done, or nobody wants the picture any
// more, no further step is done.
func (e *Encoder) Lend(ctx context.Context) *Loan {
	for j := e.next(); j != nil; j = e.next() {
		if j.run != nil || e.begin(j) {
			l := &Loan{encoder: e, job: j}
			l.ctx, j.lent = context.WithCancel(ctx)
			return l
		}
	}
	return nil
}

// Step does a step, on any goroutine. It returns whether another may follow.
func (l *Loan) Step() bool {
	ran, took, err := l.job.advance(l.ctx, 1)
	l.ran, l.took, l.err = l.ran+ran, l.took+took, err
	l.encoder.count(func(s *EncoderStats) { s.Steps += int64(ran); s.Encoding += took })
	done, total := l.job.run.Progress()
	return err == nil && done < total
}

// Return gives the job back on the encoder's goroutine, after the last Step, which completes its
// tickets if it is done or has failed. It returns how long all steps took.
func (l *Loan) Return() time.Duration {
	e, j := l.encoder, l.job
	e.step.add(l.took, l.ran)
	if e.jobs[j.picture.Key] == j {
		_ = e.settle(l.ctx, j, l.err) // what was stopped goes on later
	} else {
		e.close(j)
	}
	j.lent()
	j.lent = nil
	return l.took
}
