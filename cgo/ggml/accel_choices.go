package ggml

// #include "accel.h"
import "C"

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Choices are what [PrepareAccelerator] decides about a model, for another process to compute as
// this one does: measurements come out otherwise each time.
type Choices struct {
	// Machine stands for all that the measurements depend on. Another machine's are not applied.
	Machine string `json:"machine"`
	// Plain says that weights are best left as they are in the file.
	Plain bool `json:"plain"`
	// Paths are the paths of kernels/accel for 1, 2, 4 … rows by the name of the weights' type: of
	// weights as they lie in the file, and of repacked ones.
	Paths map[string][2][measureSteps]int `json:"paths"`
}

// ChoicesFor is [PrepareAccelerator] that also returns what was decided; false without an
// accelerator, or where a file cannot be read.
func ChoicesFor(files ...string) (Choices, bool) {
	weights, ok := weightBytes(files)
	if !ok || !AcceleratorState().Loaded {
		return Choices{}, false
	}
	choices := Choices{Plain: PrepareAcceleratorFor(0, weights),
		Paths: map[string][2][measureSteps]int{}}
	accel.mu.Lock()
	defer accel.mu.Unlock()
	c := accel.calibration(0)
	choices.Machine = c.Key.machine()
	for t := range weights {
		m, known := c.Types[t.String()]
		if !known {
			continue
		}
		var paths [2][measureSteps]int
		for step := range measureSteps {
			paths[0][step], paths[1][step] = m.Times.choice(step), m.Times.choiceRepacked(step)
		}
		choices.Paths[t.String()] = paths
	}
	return choices, true
}

// Apply makes the choices here, but for Plain, which is for whoever loads weights. It returns
// false, with nothing changed, if they are another machine's.
func (c Choices) Apply() bool {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	if !accel.state.Loaded || c.Machine != accel.calibration(0).Key.machine() {
		return false
	}
	for _, t := range Types() {
		for layout, paths := range c.Paths[t.String()] {
			for step, path := range paths { // those that are none are refused
				C.eyelet_accel_call_set_choice(&accel.f, C.int(t), C.int(step), C.bool(layout == 1),
					C.int(path))
			}
		}
	}
	return true
}

// machine is a hash of the key.
func (k *calibrationKey) machine() string {
	text, _ := json.Marshal(k) // of texts and numbers
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
