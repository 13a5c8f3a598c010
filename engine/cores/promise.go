package cores

import (
	"slices"
	"time"
)

// Choices of who computes what rest on measurements of a second, which also say how long a token of
// an answer takes. If tokens then take another time on a quiet machine, that second was not like
// those that follow: the machine was slowed down all the while, or faster than it can be for long,
// and the choices may be wrong.

const (
	// promiseKeys is the position from which on a token is not counted: attention, which nobody
	// measured, takes more of its time the more there is before it.
	promiseKeys = 256
	// promiseQuiet is the part of a core that others may use in a window that counts, promiseSteps
	// how many tokens one has at least, promiseWindows how many such windows in a row are judged.
	promiseQuiet   = 0.1
	promiseSteps   = 4
	promiseWindows = 8
	// promiseLate and promiseEarly are how many times as long as promised a token may take at most
	// and at least. Norms, attention and waiting come on top of the products that were measured,
	// and to small models promiseBase as well.
	promiseLate  = 1.4
	promiseEarly = 0.75
	promiseBase  = 3 * time.Millisecond
)

// Promise compares the time of tokens with what was measured in advance. It knows no clock and no
// machine. A nil Promise keeps none.
type Promise struct {
	each  func() time.Duration // what a token's products take; 0 where that is not known
	spent time.Duration        // on tokens in this window
	steps int
	took  []time.Duration // a token's time in the last windows, all of them quiet
}

// NewPromise makes one of a time, which is asked for now and then and may change; of 0 nothing is
// promised.
func NewPromise(each func() time.Duration) *Promise { return &Promise{each: each} }

// token notes a token of one answer, alone in its step, computed by all threads.
func (p *Promise) token(position int, took time.Duration) {
	if p != nil && position < promiseKeys {
		p.spent += took
		p.steps++
	}
}

// broken ends a window in which others used so many cores, and returns whether the tokens of the
// last quiet windows took another time than was promised.
func (p *Promise) broken(others float64) bool {
	if p == nil {
		return false
	}
	spent, steps := p.spent, p.steps
	p.spent, p.steps = 0, 0
	switch {
	case others > promiseQuiet:
		p.took = p.took[:0]
		return false
	case steps < promiseSteps:
		return false
	}
	p.took = append(p.took, spent/time.Duration(steps))
	if len(p.took) < promiseWindows {
		return false
	}
	slices.Sort(p.took)
	typical := p.took[promiseWindows/2]
	p.took = p.took[:0]
	each := p.each()
	late := time.Duration(promiseLate*float64(each)) + promiseBase
	return each > 0 && (typical > late || typical < time.Duration(promiseEarly*float64(each)))
}
