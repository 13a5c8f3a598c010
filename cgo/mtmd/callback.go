package mtmd

// #include <stdbool.h>
// #include <stdint.h>
import "C"

import "runtime/cgo"

// progressFunc is called by libmtmd while a projector loads; false stops.
type progressFunc func(fraction float64) bool

//export eyeletMtmdProgress
func eyeletMtmdProgress(fraction C.float, handle C.uintptr_t) C.bool {
	return C.bool(cgo.Handle(handle).Value().(progressFunc)(float64(fraction)))
}
