package ggml

import (
	"log/slog"
	"math"
	"time"
)

// recheck is a measurement that is under way, part by part.
type recheck struct {
	threads int
	kind    Type
	step    int // the next one
	times   timing
}

// Weights are what is to be known of a model's matrices to tell how long a token takes.
type Weights struct {
	all   map[Type]int64 // bytes by type
	token map[Type]int64 // of them, what a token reads; nil if that depends on the token
}

// CountWeights reads them from GGUF files; nil if a file cannot be read.
func CountWeights(files ...string) *Weights {
	w, ok := countWeights(files)
	if !ok {
		return nil
	}
	counted := &Weights{all: byType(func(t Type) int64 { return int64(w.bytes[t]) })}
	if !bool(w.experts) {
		counted.token = byType(func(t Type) int64 {
			if w.output { // a row of the table is all that a token takes of it
				return int64(w.bytes[t] - w.table[t])
			}
			return int64(w.bytes[t])
		})
	}
	return counted
}

// TokenBytes is how many bytes a token reads; 0 where that depends on the token.
func (w *Weights) TokenBytes() (n int64) {
	if w != nil {
		for _, bytes := range w.token {
			n += bytes
		}
	}
	return n
}

// PromisedToken returns how long the products of one token take by what was measured, of weights
// that lie as in the files (plain), or repacked where ggml does that. It is 0 where that is not
// known: much of the weights was not measured, a token takes some of several experts, or something
// is being measured. It waits for nobody.
func (w *Weights) PromisedToken(plain bool) time.Duration {
	if w == nil || w.token == nil || !accel.mu.TryLock() {
		return 0
	}
	defer accel.mu.Unlock()
	if !accel.state.Loaded {
		return 0
	}
	return promised(plain, w.token, accel.calibration(0).Types)
}

func promised(plain bool, weights map[Type]int64, types map[string]measured) time.Duration {
	var all, known int64
	var total float64
	for t, n := range weights {
		all += n
		m, ok := types[t.String()]
		row, err := t.RowSize(measureWidth)
		if !ok || err != nil {
			continue
		}
		known += n
		path := pathGGML
		if !plain && m.Times.typical(0, pathRepacked) > 0 {
			path = pathRepacked
		}
		total += float64(n) / float64(row) * m.Times.typical(0, path)
	}
	if known < all-all/16 || math.IsInf(total, 0) || total > math.MaxInt64 {
		return 0
	}
	return time.Duration(total)
}

// Doubt says that a token takes another time than [Weights.PromisedToken] has it. What was measured
// of the types is then measured again, by [Recheck] or when such a model is loaded a while later.
// While something is being measured anyway it does nothing.
func (w *Weights) Doubt() {
	if w == nil || !accel.mu.TryLock() {
		return
	}
	defer accel.mu.Unlock()
	if accel.state.Loaded && accel.calibration(0).doubt(w.all) {
		accel.noteDue()
		accel.calibration(0).keep()
	}
}

// doubt returns whether there was anything to doubt that was not doubted before.
func (c *calibration) doubt(weights map[Type]int64) (changed bool) {
	for t, n := range weights {
		m, known := c.Types[t.String()]
		if known && !m.Doubted && n >= leastToMeasure {
			m.Doubted = true
			c.Types[t.String()], changed = m, true
		}
	}
	return changed
}

// keep is save for those who go on without the file.
func (c *calibration) keep() {
	if err := c.save(); err != nil {
		emit(slog.LevelInfo, "the accelerator's measurements are not kept: "+err.Error())
	}
}

// RecheckDue returns when something that was measured with the number of threads in use is to be
// measured again: what is doubted, and what was measured on a busy machine. It is false if nothing
// is. It waits for nobody.
func RecheckDue() (due time.Time, wanted bool) {
	at := accel.due.Load()
	return time.Unix(0, at), at != 0
}

// noteDue keeps what RecheckDue returns. accel.mu is held.
func (a *accelerator) noteDue() {
	var due time.Time
	for _, m := range a.calibration(0).Types {
		if at, wanted := m.due(); wanted && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	if due.IsZero() {
		a.due.Store(0)
		return
	}
	a.due.Store(due.UnixNano())
}

// Recheck measures a part of what is due, for some 20 to 150 ms, and returns whether that leaves
// the rest of a type. When all of it is measured it replaces what was known: graphs that are laid
// out from then on are computed by it, and models that are loaded lie as it says.
func Recheck() (more bool) {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	if !accel.state.Loaded {
		return false
	}
	c := accel.calibration(0)
	r := accel.recheck
	if r == nil || r.threads != c.Key.Threads {
		if r = accel.nextRecheck(c, time.Now()); r == nil {
			return false
		}
		accel.recheck = r
	}
	if !accel.measureStep(r.kind, measuredSteps[r.step], r.threads, &r.times) {
		accel.recheck = nil
		c.repeated(r.kind, nil, time.Now())
		accel.noteDue()
		return false
	}
	if r.step++; r.step < len(measuredSteps) {
		return true
	}
	accel.recheck = nil
	if c.repeated(r.kind, &r.times, time.Now()) {
		accel.choose(r.kind, &r.times)
	}
	accel.noteDue()
	c.keep()
	return false
}

// nextRecheck returns what is due, nil for nothing. accel.mu is held.
func (a *accelerator) nextRecheck(c *calibration, now time.Time) *recheck {
	for _, t := range Types() {
		if m, known := c.Types[t.String()]; known && !m.current(now) {
			return &recheck{threads: c.Key.Threads, kind: t}
		}
	}
	return nil
}

// repeated takes what was measured again. What could not be measured, or makes no sense, leaves the
// old figures, until it is their turn again; it returns false then.
func (c *calibration) repeated(t Type, times *timing, now time.Time) bool {
	m := c.Types[t.String()]
	ok := times != nil && times.sane()
	if !ok {
		times = &m.Times
	}
	c.Types[t.String()] = m.next(*times, now)
	return ok
}
