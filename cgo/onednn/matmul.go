package onednn

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"unsafe"
)

// MatmulDesc says what a [Matmul] computes: dst = Activation(src · weights + bias), or
// Activation(src · weights + bias + dst) with Sum, where src has M rows of K elements, weights K
// rows of N, dst M rows of N, and bias N float32 numbers.
type MatmulDesc struct {
	M, N, K           int
	Src, Weights, Dst Type
	SrcStride         int // elements from row to row; 0 means K
	DstStride         int // 0 means N
	Bias, Sum         bool
	Activation        Activation
}

// maxSide bounds the sides of a matrix, so that no product of two of them leaves an int64.
const maxSide = math.MaxInt32

func (d *MatmulDesc) c() (C.eyelet_matmul_desc, error) {
	if d.SrcStride == 0 {
		d.SrcStride = d.K
	}
	if d.DstStride == 0 {
		d.DstStride = d.N
	}
	for _, side := range []int{d.M, d.N, d.K} {
		if side < 1 || side > maxSide {
			return C.eyelet_matmul_desc{}, fmt.Errorf("onednn: a product of %d x %d by %d x %d",
				d.M, d.K, d.K, d.N)
		}
	}
	if d.SrcStride < d.K || d.SrcStride > maxSide || d.DstStride < d.N || d.DstStride > maxSide {
		return C.eyelet_matmul_desc{},
			fmt.Errorf("onednn: rows of %d and %d elements with strides of %d and %d", d.K, d.N,
				d.SrcStride, d.DstStride)
	}
	activation, alpha := d.Activation.c()
	c := C.eyelet_matmul_desc{
		m: C.int64_t(d.M), n: C.int64_t(d.N), k: C.int64_t(d.K), src_stride: C.int64_t(d.SrcStride),
		dst_stride: C.int64_t(d.DstStride),
		src:        types[d.Src].c, weights: types[d.Weights].c, dst: types[d.Dst].c,
		activation: activation, alpha: alpha,
	}
	if d.Bias {
		c.bias = 1
	}
	if d.Sum {
		c.sum = 1
	}
	return c, nil
}

// String describes the product for error texts.
func (d MatmulDesc) String() string {
	return fmt.Sprintf("%d x %d x %d in %v, %v to %v", d.M, d.N, d.K, d.Src, d.Weights, d.Dst)
}

// A Matmul is a planned product. Close frees it.
type Matmul struct {
	desc MatmulDesc
	c    *C.eyelet_matmul // on the C heap, since kernels keep its address
}

// NewMatmul plans a product for one thread, to be run by up to slots threads at the same time. It
// returns [ErrUnsupported] for types that oneDNN has no kernel for on this processor.
func NewMatmul(d MatmulDesc, slots int) (*Matmul, error) {
	return newMatmul(d, max(slots, 1), 1)
}

// NewThreadedMatmul plans a product that oneDNN itself spreads over threads. Only [Matmul.Run] may
// run it. It shows what the library reaches alone.
func NewThreadedMatmul(d MatmulDesc, threads int) (*Matmul, error) {
	return newMatmul(d, 1, threads)
}

func newMatmul(d MatmulDesc, slots, threads int) (*Matmul, error) {
	e, err := cpuEngine()
	if err != nil {
		return nil, err
	}
	cd, err := d.c()
	if err != nil {
		return nil, err
	}
	m := &Matmul{desc: d, c: (*C.eyelet_matmul)(C.calloc(1, C.sizeof_eyelet_matmul))}
	if err := check(C.eyelet_matmul_make(m.c, e, &cd, C.int(slots), C.int(threads)),
		d.String()); err != nil {
		C.free(unsafe.Pointer(m.c))
		return nil, err
	}
	return m, nil
}

// Desc returns what the product computes, strides filled in.
func (m *Matmul) Desc() MatmulDesc { return m.desc }

// Handle returns the eyelet_matmul of primitive.h, for kernels in C. It is valid until Close.
func (m *Matmul) Handle() unsafe.Pointer { return unsafe.Pointer(m.c) }

// PackedBytes returns the size of the packed weights, ScratchBytes that of the buffer that a thread
// needs to run the product.
func (m *Matmul) PackedBytes() int { return int(m.c.packed_bytes) }

// ScratchBytes returns the size in bytes of the buffer that each thread needs while it runs the
// product.
func (m *Matmul) ScratchBytes() int { return int(m.c.scratch_bytes) }

// Close frees the product. Closing again does nothing.
func (m *Matmul) Close() {
	if m != nil && m.c != nil {
		C.eyelet_matmul_free(m.c)
		C.free(unsafe.Pointer(m.c))
		m.c = nil
	}
}

// Run computes one product with buffers outside of Go's heap: see [Alloc]. It is for tests and
// benchmarks; kernels run products from C.
func (m *Matmul) Run(src, weights *Buffer, bias *Buffer, dst, scratch *Buffer, threads int) error {
	if need := m.desc.SrcStride*(m.desc.M-1) + m.desc.K; src.Len() < need*m.desc.Src.Size() {
		return fmt.Errorf("onednn: %v: src has %d bytes", m.desc, src.Len())
	}
	if need := m.desc.DstStride*(m.desc.M-1) + m.desc.N; dst.Len() < need*m.desc.Dst.Size() {
		return fmt.Errorf("onednn: %v: dst has %d bytes", m.desc, dst.Len())
	}
	if weights.Len() < m.PackedBytes() || scratch.Len() < m.ScratchBytes() ||
		m.desc.Bias && bias.Len() < 4*m.desc.N {
		return fmt.Errorf("onednn: %v: weights, scratch or bias too short", m.desc)
	}
	return check(C.eyelet_matmul_once(m.c, src.p, weights.p, (*C.float)(bias.Pointer()), dst.p,
		scratch.p, C.int(threads)), m.desc.String())
}

// A Packer copies a K x N matrix to the layout that a [Matmul] wants. Close frees it.
type Packer struct {
	c *C.eyelet_reorder
}

// NewPacker makes the copy from a matrix of a type whose element (k, n) stands at k·kStride +
// n·nStride, to the layout of m's weights and their type. Up to slots threads may run it at the
// same time.
func (m *Matmul) NewPacker(from Type, kStride, nStride, slots int) (*Packer, error) {
	e, err := cpuEngine()
	if err != nil {
		return nil, err
	}
	if kStride < 1 || nStride < 1 || kStride > maxSide || nStride > maxSide {
		return nil, fmt.Errorf("onednn: packing with strides of %d and %d", kStride, nStride)
	}
	p := &Packer{(*C.eyelet_reorder)(C.calloc(1, C.sizeof_eyelet_reorder))}
	status := C.eyelet_matmul_packer(p.c, e, m.c, C.int64_t(m.desc.K), C.int64_t(m.desc.N),
		types[from].c, C.int64_t(kStride), C.int64_t(nStride), C.int(max(slots, 1)))
	if err := check(status, "packing for "+m.desc.String()); err != nil {
		C.free(unsafe.Pointer(p.c))
		return nil, err
	}
	return p, nil
}

// Handle returns the eyelet_reorder of primitive.h. It is valid until Close.
func (p *Packer) Handle() unsafe.Pointer { return unsafe.Pointer(p.c) }

// ScratchBytes returns the size in bytes of the buffer that each thread needs while it packs.
func (p *Packer) ScratchBytes() int { return int(p.c.scratch_bytes) }

// Run packs on the calling thread alone, with the memory objects of a slot, which no other thread
// may use meanwhile. src and dst are the addresses of the first elements, src of Go's memory or
// C's; dst needs PackedBytes of the product, aligned to 64 bytes.
func (p *Packer) Run(slot int, src, dst unsafe.Pointer, scratch *Buffer) error {
	if slot < 0 || slot >= int(p.c.slots) || scratch.Len() < p.ScratchBytes() {
		return fmt.Errorf("onednn: packing in slot %d with %d bytes of scratch memory", slot,
			scratch.Len())
	}
	return check(C.eyelet_reorder_once(p.c, C.int(slot), src, dst, scratch.Pointer()), "packing")
}

// Close frees the packer. Closing again does nothing.
func (p *Packer) Close() {
	if p != nil && p.c != nil {
		C.eyelet_reorder_free(p.c)
		C.free(unsafe.Pointer(p.c))
		p.c = nil
	}
}
