// Package graph builds graphs of ggml's operations and computes them on any of its devices.
//
// A [Backend] is a device with the CPU for what the device cannot do, or the CPU alone. A [Store]
// holds tensors that stay: weights, and states that pass from one graph to the next. A [Graph] is
// built of operations over them, computed once, and dropped:
//
//	b, err := graph.Open(device, threads)
//	s := b.NewStore(2, true)
//	w, y := s.Tensor(ggml.F16, 1024, 4096), s.Tensor(ggml.F32, 4096, 577)
//	err = s.Alloc()
//	err = w.SetBytes(data)
//	g := b.NewGraph()
//	g.Copy(g.GELU(g.MulMat(w, x)), y)
//	err = g.Compute()
//	rows, err := y.Floats()
//
// Dimensions are in ggml's order, the one that varies fastest first. ggml ends the process where
// shapes do not fit. Here an operation checks what ggml asserts, and the first that does not fit is
// the error of [Graph.Compute].
//
// Stores and graphs of one Backend must be used by one goroutine at a time, and Compute is called
// from the compute thread of the process.
package graph

// #cgo LDFLAGS: -lggml -lggml-base
import "C"
