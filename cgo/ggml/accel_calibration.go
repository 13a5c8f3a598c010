package ggml

// #include <stdlib.h>
// #include "accel.h"
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

const (
	measureWidth = C.eyelet_accel_measured_width // of a row of weights

	// leastToMeasure is how many bytes the matrices of a type must have to be worth a measurement.
	// A smaller model is done before it would pay, and gets what was measured for others, or the
	// plugin's defaults.
	leastToMeasure = 32 << 20
	// again is how old a measurement that is doubted, or of a busy machine, must be before it is
	// repeated for the first time. The age doubles with each repetition that leaves the reason
	// standing, at most rarest times, so that nothing is measured over and over.
	again  = 5 * time.Minute
	rarest = 8
)

// measured is what was found for a type of weights.
type measured struct {
	Times timing    `json:"times"`
	When  time.Time `json:"when"`
	// Doubted says that decoding took another time than this had it.
	Doubted bool `json:"doubted,omitempty"`
	// Looks is how often it was measured again since it was first doubted, or the machine busy.
	Looks int `json:"looks,omitempty"`
}

// calibration is what was measured on one machine with one number of threads. It is the document of
// the file in the cache.
type calibration struct {
	Key   calibrationKey      `json:"key"`
	Types map[string]measured `json:"types"` // by name
}

// due returns when a measurement is to be repeated; false where it is good enough.
func (m *measured) due() (time.Time, bool) {
	if !m.Doubted && !m.Times.busy() {
		return time.Time{}, false
	}
	return m.When.Add(again << min(max(m.Looks, 0), rarest)), true
}

// current tells whether a measurement is good enough for now.
func (m *measured) current(now time.Time) bool {
	due, wanted := m.due()
	return !wanted || now.Before(due)
}

// next returns what takes the place of a measurement that was repeated.
func (m *measured) next(times timing, now time.Time) measured {
	return measured{Times: times, When: now, Looks: m.Looks + 1}
}

// PrepareAccelerator makes the accelerator ready for the weights of GGUF files: it decides for each
// of their types from how many rows of activations on products are taken, and how they are
// computed. What was not yet measured on this machine with this number of threads is, for about a
// second a type, and kept in the cache directory. threads below 1 stands for those of
// [SetAcceleratorThreads].
//
// plain tells whether the weights are best left as they are in the file: most types are the
// accelerator's to take only then, but ggml's CPU backend decodes some faster if it repacks them
// while loading. It is false without an accelerator, or where it is not enabled.
func PrepareAccelerator(threads int, files ...string) (plain bool) {
	if !AcceleratorState().Loaded {
		return false
	}
	weights, ok := weightBytes(files)
	if !ok {
		return false // whoever loads the files says what is wrong with them
	}
	return PrepareAcceleratorFor(threads, weights)
}

// PrepareAcceleratorFor is [PrepareAccelerator] for matrices by their types, in bytes.
func PrepareAcceleratorFor(threads int, weights map[Type]int64) (plain bool) {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	if !accel.state.Loaded {
		return false
	}
	c := accel.calibration(threads)
	fresh, found, readable := false, map[Type]timing{}, map[Type]bool{}
	for t, n := range weights {
		m, known := c.Types[t.String()]
		if !known && n < leastToMeasure {
			continue
		}
		if now := time.Now(); !known || !m.current(now) && n >= leastToMeasure {
			times, ok := accel.measure(t, c.Key.Threads)
			if !ok && !known {
				continue
			}
			switch {
			case ok && known:
				m = m.next(times, now)
			case ok:
				m = measured{Times: times, When: now}
			}
			c.Types[t.String()], fresh = m, fresh || ok
		}
		found[t] = m.Times
		accel.choose(t, &m.Times)
		readable[t] = bool(C.eyelet_accel_call_reads_repacked(&accel.f, C.int(t)))
	}
	accel.noteDue()
	if fresh {
		c.keep()
	}
	return !accel.disabled && plainIsBest(weights, found, readable)
}

// choose has products with weights of a type computed by what was measured, in graphs that are laid
// out from now on. accel.mu is held.
func (a *accelerator) choose(t Type, times *timing) {
	for step := range measureSteps {
		C.eyelet_accel_call_set_choice(&a.f, C.int(t), C.int(step), false,
			C.int(times.choice(step)))
		C.eyelet_accel_call_set_choice(&a.f, C.int(t), C.int(step), true,
			C.int(times.choiceRepacked(step)))
	}
}

// plainIsBest compares the time of decoding (one row) and of prompts (64 and 128 rows) with all
// weights as they are to that with all weights repacked that ggml repacks, round by round; readable
// are the types that the accelerator then reads. Plain weights must not lose two hundredths in any
// of these, nor in more than one round: else ggml's own layout is the safe choice. Where more than
// a sixteenth of the weights is of types that were not measured, ggml does as it always does.
func plainIsBest(weights map[Type]int64, times map[Type]timing, readable map[Type]bool) bool {
	var all, known int64
	for t, n := range weights {
		all += n
		if _, ok := times[t]; ok {
			known += n
		}
	}
	if known == 0 || known < all-all/16 {
		return false
	}
	for _, step := range []int{0, 6, 7} {
		lost := 0
		for round := range rounds {
			var plain, repacked float64
			for t, times := range times {
				row, err := t.RowSize(measureWidth)
				if err != nil {
					return false
				}
				rows := float64(weights[t]) / float64(row)
				plain += rows * times[step][round][times.path(step, false, false)]
				repacked += rows * times[step][round][times.path(step, true, readable[t])]
			}
			if plain*0.98 > repacked {
				lost++
			}
		}
		if lost > 1 {
			return false
		}
	}
	return true
}

// weightBytes returns the bytes of the matrices in GGUF files by type; false if one cannot be read.
func weightBytes(files []string) (map[Type]int64, bool) {
	w, ok := countWeights(files)
	if !ok {
		return nil, false
	}
	return byType(func(t Type) int64 { return int64(w.bytes[t]) }), true
}

func countWeights(files []string) (w C.eyelet_weights, ok bool) {
	for _, file := range files {
		if CheckFile(file) != nil {
			return w, false
		}
		cpath := C.CString(file)
		ok := C.eyelet_count_weights(cpath, &w)
		C.free(unsafe.Pointer(cpath))
		if !ok {
			return w, false
		}
	}
	return w, true
}

// byType collects what there is of each known type.
func byType(bytes func(Type) int64) map[Type]int64 {
	weights := map[Type]int64{}
	for t := range Type(C.GGML_TYPE_COUNT) {
		if n := bytes(t); n > 0 && t.Known() {
			weights[t] = n
		}
	}
	return weights
}

// calibration returns that of a number of threads: from memory, or the cache, or a new one.
// accel.mu is held.
func (a *accelerator) calibration(threads int) *calibration {
	if threads < 1 {
		threads = a.threads
	}
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	c, ok := a.calibrations[threads]
	if !ok {
		c = readCalibration(a.key(threads))
		a.calibrations[threads] = c
	}
	return c
}

// measure times a type. accel.mu is held.
func (a *accelerator) measure(t Type, threads int) (times timing, ok bool) {
	for _, step := range measuredSteps {
		if !a.measureStep(t, step, threads, &times) {
			return times, false
		}
	}
	return times, times.sane()
}

// measureStep times products of 2^step rows on an OS thread that ends with it: libgomp keeps a team
// of workers for each thread that ever computed. accel.mu is held.
func (a *accelerator) measureStep(t Type, step, threads int, times *timing) (ok bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		ok = bool(C.eyelet_accel_call_measure(&a.f, C.int(t), C.int(step), C.int(threads),
			(*[C.eyelet_accel_paths]C.double)(unsafe.Pointer(&times[step][0]))))
	}()
	<-done
	row, err := t.RowSize(measureWidth)
	if !ok || err != nil {
		return false
	}
	rows := float64(C.eyelet_accel_measured_rows(C.int(step), C.int64_t(row)))
	for round := range times[step] {
		for path := range times[step][round] {
			times[step][round][path] /= rows
		}
	}
	return true
}
