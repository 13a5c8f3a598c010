// Package isa holds everything that computes to one level of instruction sets, so that what other
// processors do can be run and tested on this one. The environment variable EYELET_ISA names the
// level:
//
//	EYELET_ISA=avx2 eyelet run ...
//
// It is read once, by C kernels (isa.h) and by Go alike: [github.com/eyelet-engine/eyelet/cgo/ggml]
// chooses ggml's CPU library by it, [github.com/eyelet-engine/eyelet/cgo/onednn] and the
// accelerator limit oneDNN, and the kernels of this project choose their forms.
package isa

// #include "isa.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"
)

// Variable is the environment variable that names the level.
const Variable = "EYELET_ISA"

// ErrLevel is wrapped by the errors about a level that does not exist, or that this processor does
// not have.
var ErrLevel = errors.New("no such level of instruction sets")

// Level is a set of instructions that processors came with.
type Level int

// The levels. Each includes those before it, except that AVX-VNNI is not part of the levels with
// AVX-512 below AMX.
const (
	Plain   Level = C.eyelet_isa_plain   // what compilers take for granted: SSE2 on x86-64
	AVX2    Level = C.eyelet_isa_avx2    // AVX2, FMA, F16C and BMI2
	AVXVNNI Level = C.eyelet_isa_avxvnni // and AVX-VNNI
	AVX512  Level = C.eyelet_isa_avx512  // AVX2's and AVX-512 F, CD, BW, DQ and VL
	VNNI    Level = C.eyelet_isa_vnni    // and AVX-512 VNNI
	BF16    Level = C.eyelet_isa_bf16    // and AVX-512 BF16
	AMX     Level = C.eyelet_isa_amx     // and the tiles of AMX
	Native  Level = C.eyelet_isa_native  // whatever the processor has, also what no level names
)

// String returns the name that [Parse] takes.
func (l Level) String() string {
	if l < Plain || l > Native {
		return fmt.Sprintf("Level(%d)", int(l))
	}
	return C.GoString(C.eyelet_isa_name(C.int(l)))
}

// Includes tells whether the level has all instructions of another.
func (l Level) Includes(other Level) bool {
	return bool(C.eyelet_isa_includes(C.int(l), C.int(other)))
}

// Present tells whether this processor, and the system on it, has the level. Where it is not an
// x86-64 there is only [Native].
func (l Level) Present() bool { return bool(C.eyelet_isa_present(C.int(l))) }

// Levels returns the levels that this processor has, the plainest first and Native last.
func Levels() []Level {
	var all []Level
	for l := Plain; l <= Native; l++ {
		if l.Present() {
			all = append(all, l)
		}
	}
	return all
}

// Parse returns the level of a name, in letters of either case; "" stands for Native. The error
// lists the levels of this processor, also where it lacks the one that is named.
func Parse(name string) (Level, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	level := Level(C.eyelet_isa_named(cname))
	switch {
	case level > Native:
		return Native, fmt.Errorf("%w: %q; this processor has %s", ErrLevel, name, names(Levels()))
	case !level.Present():
		return Native, fmt.Errorf("%w here: %v; this processor has %s", ErrLevel, level,
			names(Levels()))
	}
	return level, nil
}

// Chosen returns the level that this process is held to: that of [Variable], Native if it is not
// set. The error is that of [Parse]; what computes all the same computes as with Native.
func Chosen() (Level, error) {
	level := Level(C.eyelet_isa_chosen())
	if level <= Native && level.Present() {
		return level, nil
	}
	_, err := Parse(os.Getenv(Variable))
	if err == nil { // changed since it was read
		err = ErrLevel
	}
	return Native, fmt.Errorf("%s: %w", Variable, err)
}

// Allows tells whether kernels of a level may run: the processor has it, and the chosen level
// includes it.
func Allows(l Level) bool { return bool(C.eyelet_isa_allows(C.int(l))) }

func names(levels []Level) string {
	words := make([]string, len(levels))
	for i, l := range levels {
		words[i] = l.String()
	}
	return strings.Join(words, ", ")
}
