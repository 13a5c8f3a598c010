// Package ggml binds the parts of libggml that the other bindings stand on: the backend libraries
// and their devices, the log, and the conversion of quantized rows.
//
// libggml computes nothing by itself. Its kernels live in backend libraries, one for each
// instruction set and each kind of GPU, which are loaded at run time. [Load] finds and loads them;
// it must have returned before anything else of libggml, libllama or libmtmd is called, and the
// packages that bind those call it themselves:
//
//	if err := ggml.Load(); err != nil {
//		return err // no CPU backend: says where it looked
//	}
//	for _, d := range ggml.Devices() {
//		fmt.Println(d.Name, d.Description)
//	}
//
// The three libraries write their log lines through one callback. It discards them until
// [SetLogger] is given a logger.
//
// The identifiers are those of ggml.h and ggml-backend.h without their prefix.
package ggml

// #cgo LDFLAGS: -lggml -lggml-base -ldl
import "C"
