package ggml

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// What was measured of a model's types, and decided by it, reaches another process of the machine
// whole, and no other machine.
func TestChoicesAreThoseOfTheMeasurements(t *testing.T) {
	mustHaveAccelerator(t)
	const model, kind = "../../models/builtin/eyelet-builtin-q8_0.gguf", "q8_0"
	accel.mu.Lock()
	types := accel.calibration(0).Types
	before, known := types[kind]
	types[kind] = measured{Times: timingOf(1, 0.5, 0, 0, 0, 0.9), When: time.Now()}
	accel.mu.Unlock()
	defer func() {
		accel.mu.Lock()
		defer accel.mu.Unlock()
		if types[kind] = before; !known {
			delete(types, kind)
		}
	}()
	made, ok := ChoicesFor(model)
	if !ok || !made.Plain || made.Machine == "" {
		t.Fatalf("%+v, %v", made, ok)
	}
	for step := range measureSteps {
		if paths := made.Paths[kind]; paths[0][step] != pathIntegers {
			t.Errorf("step %d: %v", step, paths)
		}
	}
	data, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	var got Choices
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, made) {
		t.Errorf("%+v, %v", got, err)
	}
	if !got.Apply() {
		t.Error("this machine's choices are refused")
	}
	if got.Machine += "x"; got.Apply() {
		t.Error("another machine's choices are taken")
	}
	if _, ok := ChoicesFor("no such file"); ok {
		t.Error("choices for no model")
	}
}
