package ggml

// #include "bridge.h"
import "C"

import "unsafe"

// Fibers returns the functions of fiber.h (struct eyelet_fibers), with which the bindings compute
// long graphs bit by bit.
func Fibers() unsafe.Pointer { return unsafe.Pointer(C.eyelet_fibers()) }
