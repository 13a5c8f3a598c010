package rpc

// #include "lend.h"
import "C"

import (
	"log/slog"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// lend returns what a device computes with when it is served: the CPU gets the accelerator's help,
// and repacked weights, as it has where libllama computes in one process, so that answers are the
// same. A GPU is served as it is, and so is the CPU of a libggml whose structures may be others
// than those of lend.cc.
func lend(d ggml.Device) ggml.Device {
	if d.Type != ggml.CPU {
		return d
	}
	cpu := C.ggml_backend_dev_t(d.Pointer())
	if v := int(C.eyelet_rpc_interface(cpu)); !knows(v) {
		slog.Warn("rpc: the CPU is lent without the accelerator and repacked weights",
			"interface of libggml", v)
		return d
	}
	var accelerator C.ggml_backend_dev_t
	if a := ggml.AcceleratorDevice(); a != nil {
		accelerator = C.ggml_backend_dev_t(a.Pointer())
	}
	return ggml.DeviceAt(unsafe.Pointer(C.eyelet_rpc_lend(cpu, accelerator)))
}

// Decide has what is lent by this process computed as a client has chosen. It returns false, with
// nothing changed, if the client is another kind of machine.
func Decide(c ggml.Choices) bool {
	if !c.Apply() {
		return false
	}
	C.eyelet_rpc_decide(C.bool(c.Plain))
	return true
}

// packings is how often a weight was repacked here, or found to have no other form.
func packings() int { return int(C.eyelet_rpc_tries()) }

// knows tells whether lend.cc was written for the structures of a libggml, by the version of its
// interface of backends.
func knows(version int) bool { return bool(C.eyelet_rpc_knows(C.int(version))) }

//export eyeletRPCPrepare
func eyeletRPCPrepare(bytes *C.int64_t) C.bool {
	weights := map[ggml.Type]int64{}
	for i, n := range unsafe.Slice(bytes, C.GGML_TYPE_COUNT) {
		if t := ggml.Type(i); n > 0 && t.Known() {
			weights[t] = int64(n)
		}
	}
	return C.bool(ggml.PrepareAcceleratorFor(0, weights))
}
