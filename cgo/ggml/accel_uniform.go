package ggml

// #include "accel.h"
import "C"

import "runtime"

// Uniform runs compute, which lays out graphs on the calling OS thread, such that it matters little
// to a row which rows are computed with it: the accelerator then takes products and attention of
// few rows, too, by the path of many. Else the number of rows decides who computes, and each rounds
// in its own way. What remains is the order of attention's sums in float32; where activations are
// rounded to 8 bits, it can tip a number over to the next. It costs time where rows are few.
func Uniform(compute func() error) error { return uniform(C.eyelet_accel_many, compute) }

// UniformFew runs compute, which lays out graphs on the calling OS thread, such that up to
// [FewRows] rows of a batch are computed as each of them would be alone: to the same bits, but for
// weights that ggml has repacked in a layout that the accelerator does not read. A single row takes
// the accelerator's path, too.
func UniformFew(compute func() error) error { return uniform(C.eyelet_accel_few, compute) }

// uniform does not wait for a calibration, which holds accel.mu: answers come meanwhile.
func uniform(rows C.int, compute func() error) error {
	f := accel.functions.Load()
	if f == nil {
		return compute()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.eyelet_accel_call_set_uniform(f, rows)
	defer C.eyelet_accel_call_set_uniform(f, C.eyelet_accel_varied)
	return compute()
}

// FewRows returns how many rows [UniformFew] is about; 0 without an accelerator.
func FewRows() int {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	if !accel.state.Loaded || accel.disabled {
		return 0
	}
	return int(C.eyelet_accel_call_few_rows(&accel.f))
}

// fewOfGGML is how many rows ggml computes one by one of types whose blocks have 256 weights.
const fewOfGGML = 7

// Few is what is known of the first few rows of a batch.
type Few struct {
	Rows int // that UniformFew is about
	// Together says that most weights are unpacked once for so many rows, which then take little
	// longer than one. It is false for what is too small to be measured: caches hold that.
	Together bool
}

// FewRowsOf returns what holds for the weights of GGUF files, after [PrepareAccelerator]. plain
// says that they were loaded as they are in the files.
func FewRowsOf(plain bool, files ...string) (few Few) {
	weights, ok := weightBytes(files)
	if few.Rows = FewRows(); !ok || few.Rows == 0 {
		return Few{}
	}
	accel.mu.Lock()
	defer accel.mu.Unlock()
	var all, together int64
	for t, n := range weights {
		all += n
		m, measured := accel.calibration(0).Types[t.String()]
		repacked := measured && !plain && m.Times.typical(0, pathRepacked) > 0
		readable := !repacked || bool(C.eyelet_accel_call_reads_repacked(&accel.f, C.int(t)))
		has := readable && bool(C.eyelet_accel_call_has_few(&accel.f, C.int(t), C.bool(repacked)))
		if has && measured {
			together += n
		}
		if block := C.ggml_blck_size(C.enum_ggml_type(t)); !has && block == 256 {
			few.Rows = min(few.Rows, fewOfGGML)
		}
	}
	few.Together = all >= leastToMeasure && together > all-all/16
	return few
}
