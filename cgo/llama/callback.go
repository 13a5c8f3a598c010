package llama

// #include <stdbool.h>
// #include <stdint.h>
import "C"

import "runtime/cgo"

// progressFunc is called by libllama while a model loads; it returns false to stop.
type progressFunc func(fraction float64) bool

//export eyelet_llama_progress
func eyelet_llama_progress(fraction C.float, handle C.uintptr_t) C.bool {
	return C.bool(cgo.Handle(handle).Value().(progressFunc)(float64(fraction)))
}
