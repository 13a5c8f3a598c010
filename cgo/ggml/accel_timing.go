package ggml

// #include "accel.h"
import "C"

import "slices"

// The paths of kernels/accel/product.h that this package names. Two are ggml's own CPU backend:
// over weights as they lie in the file, and, behind all others, over weights that it has repacked
// while loading. Of ours, the path over integers reads some repacked weights as well.
const (
	pathGGML     = 0
	pathIntegers = 1
	pathRepacked = C.eyelet_accel_paths - 1
	measureSteps = C.eyelet_accel_steps
	rounds       = C.eyelet_accel_rounds
)

// measuredSteps are the steps that are measured. Step 0 is a token of an answer: it also tells what
// repacking gains.
var measuredSteps = []int{0, 1, 2, 3, 4, 5, 6, 7}

// timing holds nanoseconds for a row of weights by step, round and path. Step s is a product of 2^s
// rows of activations; in a round all paths take turns. 0 stands where a path cannot run the
// product, or nothing was measured.
type timing [measureSteps][rounds][C.eyelet_accel_paths]float64

const (
	// winsBelow is the share of the CPU backend's time that a path of ours must stay below, as each
	// product that is taken splits the graph; and what it is for a single row, whose products are
	// the shortest.
	winsBelow, singleWinsBelow = 0.95, 0.85
	// quiet is how many times the fastest round the last but one may take on a machine that does
	// nothing else.
	quiet = 1.3
)

// typical returns the median of a path's rounds, 0 if it was not timed in all of them.
func (t *timing) typical(step, path int) float64 {
	all := t.sorted(step, func(round []float64) float64 { return round[path] })
	if all[0] == 0 {
		return 0
	}
	return all[len(all)/2]
}

// sorted returns what f makes of each round, in ascending order.
func (t *timing) sorted(step int, f func(round []float64) float64) []float64 {
	all := make([]float64, 0, rounds)
	for _, round := range t[step] {
		all = append(all, f(round[:]))
	}
	slices.Sort(all)
	return all
}

// ratio returns how many times as long as another a path takes: the median of what single rounds
// say, which whatever else runs leaves alone, and what all rounds but one stay within. It is 0
// where one of both was not timed.
func (t *timing) ratio(step, path, other int) (typical, most float64) {
	if t.typical(step, path) == 0 || t.typical(step, other) == 0 {
		return 0, 0
	}
	all := t.sorted(step, func(round []float64) float64 { return round[path] / round[other] })
	return all[len(all)/2], all[len(all)-2]
}

// wins tells whether a path is clearly the faster: by winsBelow as a rule, and at all in every
// round but one.
func (t *timing) wins(step, path, other int) bool {
	typical, most := t.ratio(step, path, other)
	below := winsBelow
	if step == 0 {
		below = singleWinsBelow
	}
	return typical > 0 && typical < below && most < 1
}

// choice returns the path that products of 2^step rows are computed with: ggml's unless another is
// clearly faster.
func (t *timing) choice(step int) int {
	best := pathGGML
	for path := pathGGML + 1; path < pathRepacked; path++ {
		if !t.wins(step, path, pathGGML) {
			continue
		}
		if typical, _ := t.ratio(step, path, best); typical < 1 {
			best = path
		}
	}
	return best
}

// choiceRepacked returns the path where the weights are repacked and the path over integers can
// read them. That takes the same time as reading them as they are, or a little less.
func (t *timing) choiceRepacked(step int) int {
	if t.wins(step, pathIntegers, pathRepacked) {
		return pathIntegers
	}
	return pathGGML
}

// busy tells whether the machine did something else meanwhile: a path of ggml's took far longer in
// some rounds than in others.
func (t *timing) busy() bool {
	for _, step := range measuredSteps {
		all := t.sorted(step, func(round []float64) float64 { return round[pathGGML] })
		if all[len(all)-2] > quiet*all[0] {
			return true
		}
	}
	return false
}

// sane rejects numbers that no measurement gives.
func (t *timing) sane() bool {
	for _, step := range t {
		for _, round := range step {
			for _, ns := range round {
				if !(ns >= 0 && ns < 1e12) {
					return false
				}
			}
		}
	}
	for _, step := range measuredSteps {
		if t.typical(step, pathGGML) == 0 {
			return false
		}
	}
	return true
}

// path returns what a product of 2^step rows is computed with, of weights as they lie in the file
// or repacked where ggml can; readable tells whether the accelerator reads the latter.
func (t *timing) path(step int, repacked, readable bool) int {
	switch {
	case !repacked || t.typical(step, pathRepacked) == 0:
		return t.choice(step)
	case readable && t.choiceRepacked(step) == pathIntegers:
		return pathIntegers
	}
	return pathRepacked
}
