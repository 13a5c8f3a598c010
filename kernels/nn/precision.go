package nn

// #include "nn.h"
import "C"

import (
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// Precision is the arithmetic of the matrix products.
type Precision int

// The precisions, see the package comment.
const (
	// BF16 where the processor multiplies such matrices natively, else Int16 where its products are
	// faster than F32's, else F32
	Auto Precision = iota
	F32
	BF16
	Int8
	Int16
)

var precisionNames = [...]string{"auto", "f32", "bf16", "int8", "int16"}

// String returns the name that [ParsePrecision] takes.
func (p Precision) String() string {
	if p < 0 || int(p) >= len(precisionNames) {
		return fmt.Sprintf("Precision(%d)", int(p))
	}
	return precisionNames[p]
}

// ParsePrecision reads "auto", "f32", "bf16", "int8" or "int16".
func ParsePrecision(s string) (Precision, error) {
	for i, name := range precisionNames {
		if strings.EqualFold(s, name) {
			return Precision(i), nil
		}
	}
	return Auto, fmt.Errorf("nn: unknown precision %q; known are %s", s,
		strings.Join(precisionNames[:], ", "))
}

// Resolve returns the precision that Auto stands for on this processor, and others as they are.
func (p Precision) Resolve() Precision {
	cpu := onednn.CPU()
	switch {
	case p != Auto:
		return p
	case cpu.BF16:
		return BF16
	case hasPanels() && (cpu.VNNI || strings.HasPrefix(cpu.ISA, "avx2")):
		return Int16
	}
	return F32
}

// Native reports whether the processor has instructions for the precision's products. Others are
// carried out exactly, and slowly.
func (p Precision) Native() bool {
	switch p.Resolve() {
	case BF16:
		return onednn.CPU().BF16
	case Int16:
		return hasPanels()
	}
	return true
}

// integers tells whether weights and activations are integers.
func (p Precision) integers() bool { return p == Int8 || p == Int16 && hasPanels() }

// RoundToBF16 rounds numbers to bfloat16 in place, to nearest, ties to even.
func RoundToBF16(v []float32) {
	if len(v) > 0 {
		C.nn_row_round((*C.float)(addressOf(v)), C.int(len(v)))
	}
}
