// Package onednn binds the few primitives of oneDNN (Intel's open library of matrix kernels,
// formerly MKL-DNN and DNNL) that the kernels of this project need: products of packed matrices
// with bias, activation and sum fused, and the copies that pack them.
//
//	m, err := onednn.NewMatmul(onednn.MatmulDesc{M: 145, N: 4096, K: 1024, Src: onednn.BF16, Weights: onednn.BF16, Dst: onednn.BF16}, threads)
//	packed, err := m.Pack(weights, threads)   // once
//	…                                         // kernels run m.Handle() from C, a slot for each thread
//
// A [Matmul] is planned for one thread, and has a set of memory objects ("slot") for each thread
// that may run it at the same time: see primitive.h. oneDNN keeps its machine code in a cache of
// its own, so making the same Matmul again is cheap.
//
// # Threads
//
// Making and packing may be done anywhere. Running belongs on the compute thread, whose OpenMP team
// the kernels share.
package onednn

// #cgo LDFLAGS: -ldnnl -lgomp
// #cgo CXXFLAGS: -fopenmp
// #include "level.h"
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/isa"
)

// Type is the type of a matrix's elements.
type Type int

// The types that kernels use.
const (
	F32 Type = iota
	BF16
	S8
	U8
	S32
)

var types = [...]struct {
	name string
	size int
	c    C.dnnl_data_type_t
}{{"f32", 4, C.dnnl_f32}, {"bf16", 2, C.dnnl_bf16}, {"s8", 1, C.dnnl_s8}, {"u8", 1, C.dnnl_u8},
	{"s32", 4, C.dnnl_s32}}

// String returns the name that oneDNN's own logs use.
func (t Type) String() string {
	if t < 0 || int(t) >= len(types) {
		return fmt.Sprintf("Type(%d)", int(t))
	}
	return types[t].name
}

// Size returns the size of an element in bytes.
func (t Type) Size() int { return types[t].size }

// Activation is a function that a [Matmul] applies to each element of its result.
type Activation int

// The activations of vision towers.
const (
	None      Activation = iota
	QuickGELU            // x·sigmoid(1.702 x), of OpenAI's CLIP
	GELU                 // x·Φ(x), with the error function (Hendrycks and Gimpel 2016)
	GELUTanh             // the same paper's approximation with tanh
	SiLU                 // x·sigmoid(x)
)

func (a Activation) c() (C.dnnl_alg_kind_t, C.float) {
	switch a {
	case QuickGELU:
		return C.dnnl_eltwise_swish, 1.702
	case GELU:
		return C.dnnl_eltwise_gelu_erf, 0
	case GELUTanh:
		return C.dnnl_eltwise_gelu_tanh, 0
	case SiLU:
		return C.dnnl_eltwise_swish, 1
	}
	return C.dnnl_alg_kind_undef, 0
}

// ErrUnsupported says that oneDNN has no kernel for a combination of types on this processor.
var ErrUnsupported = errors.New("oneDNN has no such kernel for this processor")

// check names what failed in a status.
func check(status C.dnnl_status_t, what string) error {
	switch status {
	case C.dnnl_success:
		return nil
	case C.dnnl_unimplemented:
		return fmt.Errorf("onednn: %s: %w", what, ErrUnsupported)
	case C.dnnl_out_of_memory:
		return fmt.Errorf("onednn: %s: out of memory", what)
	case C.dnnl_invalid_arguments:
		return fmt.Errorf("onednn: %s: invalid arguments", what)
	}
	return fmt.Errorf("onednn: %s: status %d", what, int(status))
}

// cpuEngine is oneDNN's handle for the processor. It lives as long as the process: primitives hold
// on to it, and it owns next to nothing.
var cpuEngine = sync.OnceValues(func() (C.dnnl_engine_t, error) {
	var e C.dnnl_engine_t
	if _, err := isa.Chosen(); err != nil {
		return e, fmt.Errorf("onednn: %w", err)
	}
	hold()
	return e, check(C.eyelet_dnnl_engine(&e), "opening the processor")
})

// hold limits oneDNN to the level of instruction sets that package isa says.
var hold = sync.OnceFunc(func() { C.eyelet_onednn_hold() })

// Version returns the version of the library that is loaded, such as "3.12.1".
func Version() string {
	v := C.dnnl_version()
	return fmt.Sprintf("%d.%d.%d", int(v.major), int(v.minor), int(v.patch))
}

// Processor tells what oneDNN makes of the processor.
type Processor struct {
	// ISA is the instruction set that its kernels use, such as "avx2" or "avx512_core_bf16".
	ISA string
	// BF16 is set where products of bfloat16 matrices run natively: avx512_core_bf16 and later, and
	// AMX. Elsewhere on x86-64 oneDNN has no such kernel, or one that is slower than float32's.
	BF16 bool
	// VNNI is set where sums of four 8-bit products are exact in 32 bits. Before VNNI, two products
	// are added in saturating 16-bit arithmetic (vpmaddubsw): operands of 7 and 8 bits cannot
	// overflow it, 8 and 8 bits can.
	VNNI bool
}

// CPU describes the processor, as limited by the level of package isa, or by the environment
// variable ONEDNN_MAX_CPU_ISA.
func CPU() Processor {
	hold()
	isa := C.dnnl_get_effective_cpu_isa()
	p := Processor{ISA: "portable"}
	// The values are sets of bits: a later one includes those before it.
	for _, k := range []struct {
		isa        C.dnnl_cpu_isa_t
		name       string
		bf16, vnni bool
	}{
		{C.dnnl_cpu_isa_sse41, "sse4.1", false, false},
		{C.dnnl_cpu_isa_avx, "avx", false, false},
		{C.dnnl_cpu_isa_avx2, "avx2", false, false},
		{C.dnnl_cpu_isa_avx2_vnni, "avx2_vnni", false, true},
		{C.dnnl_cpu_isa_avx2_vnni_2, "avx2_vnni_2", false, true},
		{C.dnnl_cpu_isa_avx512_core, "avx512_core", false, false},
		{C.dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni", false, true},
		{C.dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16", true, true},
		{C.dnnl_cpu_isa_avx512_core_fp16, "avx512_core_fp16", true, true},
		{C.dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx", true, true},
	} {
		if isa&k.isa == k.isa {
			p = Processor{ISA: k.name, BF16: k.bf16, VNNI: k.vnni}
		}
	}
	return p
}
