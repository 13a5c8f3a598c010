package ggml

import (
	"math"
	"testing"
)

func TestRowSize(t *testing.T) {
	const maxInt = int(^uint(0) >> 1)
	tests := []struct {
		name string
		t    Type
		n    int
		want int // -1: error
	}{
		{"nothing", Q4_0, 0, 0},
		{"floats", F32, 3, 12},
		{"a block", Q4_0, 32, 18},
		{"a super-block", Q4_K, 256, 144},
		{"two rows of 128 that make a super-block", Q6_K, 256, 210},
		{"half a block", Q4_0, 16, -1},
		{"less than nothing", Q4_0, -32, -1},
		{"a number that overflows", F64, maxInt / 4, -1},
		{"a removed type", Type(4), 32, -1},
		{"a negative type", Type(-1), 32, -1},
		{"a type of the future", Type(math.MaxInt32), 32, -1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.t.RowSize(test.n)
			if test.want == -1 {
				if err == nil {
					t.Errorf("got %d, want an error", got)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %d, %v; want %d", got, err, test.want)
			}
		})
	}
}

func TestUnknownTypesHaveNoSizes(t *testing.T) {
	for _, typ := range []Type{-1, 4, 5, 31, 99, math.MinInt32} {
		if typ.Known() || typ.BlockSize() != 0 || typ.TypeSize() != 0 ||
			typ.CanQuantize() || typ.CanDequantize() || typ.RequiresImatrix() {
			t.Errorf("%v passes for a type", typ)
		}
		if typ.String() == "" {
			t.Errorf("type %d has no name", int32(typ))
		}
	}
}

func TestTypeNames(t *testing.T) {
	for typ, want := range map[Type]string{F32: "f32", BF16: "bf16", Q8_0: "q8_0", Q4_K: "q4_K",
		IQ4_XS: "iq4_xs"} {
		if got := typ.String(); got != want {
			t.Errorf("type %d is called %q, want %q", int32(typ), got, want)
		}
	}
}
