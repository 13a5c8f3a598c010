package ggml

import (
	"cmp"
	"slices"
	"time"
)

// Calibrated is what was measured of products with weights of a type, and what was chosen.
type Calibrated struct {
	Type    Type
	When    time.Time
	Busy    bool // the machine did something else meanwhile; it is measured again after a while
	Doubted bool // tokens were seen to take another time; it is measured again, too
	Looks   int  // how often that was done
	Choices []Choice
}

// Choice is who computes products of a number of rows and more, up to the next choice.
type Choice struct {
	Rows int
	Path string // "ggml", or what package kernels/accel calls its paths
	// its time as a share of that of ggml's CPU backend over weights as they lie in the file; 1 for
	// ggml itself
	Of       float64
	AtMost   float64 // the same in all rounds of the measurement but the worst
	Repacked float64 // of ggml over weights that it repacks, 0 if it does not
}

// CalibratedTypes returns what is known of this machine and a number of threads, as of
// PrepareAccelerator; nothing without an accelerator.
func CalibratedTypes(threads int) []Calibrated {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	if !accel.state.Loaded {
		return nil
	}
	var list []Calibrated
	for _, t := range Types() {
		m, ok := accel.calibration(threads).Types[t.String()]
		if !ok {
			continue
		}
		c := Calibrated{Type: t, When: m.When, Busy: m.Times.busy(), Doubted: m.Doubted,
			Looks: m.Looks}
		for _, step := range measuredSteps {
			path := m.Times.choice(step)
			choice := Choice{Rows: 1 << step, Path: accel.pathName(path), Of: 1, AtMost: 1}
			if path != pathGGML {
				choice.Of, choice.AtMost = m.Times.ratio(step, path, pathGGML)
			}
			choice.Repacked, _ = m.Times.ratio(step, pathRepacked, pathGGML)
			c.Choices = append(c.Choices, choice)
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Calibrated) int {
		return cmp.Compare(a.Type.String(), b.Type.String())
	})
	return list
}

// Calibrate measures types anew, those that are known already if none is named, and keeps the
// result.
func Calibrate(threads int, types ...Type) error {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	if !accel.state.Loaded {
		return nil
	}
	c := accel.calibration(threads)
	for _, t := range Types() {
		if _, known := c.Types[t.String()]; !slices.Contains(types, t) &&
			!(known && len(types) == 0) {
			continue
		}
		if times, ok := accel.measure(t, c.Key.Threads); ok {
			c.Types[t.String()] = measured{Times: times, When: time.Now()}
		}
	}
	accel.noteDue()
	return c.save()
}
