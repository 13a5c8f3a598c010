package accel

import (
	"errors"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// Weights that change under the device, which those of models do not, tell from its results whether
// it has kept them.
func TestWeightsAreKeptBelowTheLimit(t *testing.T) {
	const n, k, rows = 200, 300, 19
	for _, typ := range []ggml.Type{ggml.F16, ggml.BF16, ggml.F32} {
		for _, p := range paths {
			if p.path != onednnBF16 && p.path != onednnF32 {
				continue
			}
			t.Run(typ.String()+" by "+p.name, func(t *testing.T) {
				w, weights := newMatrices(t, typ, [4]int{k, n, 1, 1}, plain, 0, 1)
				other, otherWeights := newMatrices(t, typ, [4]int{k, n, 1, 1}, plain, 0, 3)
				x, numbers := newMatrices(t, ggml.F32, [4]int{k, rows, 1, 1}, plain, 0, 2)
				want, magnitude := expected(w, x, weights, numbers, 0, nil)
				otherWant, otherMagnitude := expected(other, x, otherWeights, numbers, 0, nil)
				size := uint64(n * k * 4)
				if p.path == onednnBF16 {
					size /= 2
				}
				for _, test := range []struct {
					name  string
					cache uint64
					keeps bool
				}{{"ample", 1 << 30, true}, {"just too little", size - 1, false},
					{"none", 0, false}} {
					y, kept, err := runChanging(p.path, test.cache, w, other, x, 2, len(want))
					if errors.Is(err, errDeclined) && p.path == onednnBF16 {
						t.Skip("this processor has no products in bfloat16")
					}
					if err != nil {
						t.Fatal(err)
					}
					compare(t, y[0], want, magnitude, p.tolerance)
					if test.keeps {
						compare(t, y[1], want, magnitude, p.tolerance)
					} else {
						compare(t, y[1], otherWant, otherMagnitude, p.tolerance)
					}
					compare(t, y[2], otherWant, otherMagnitude, p.tolerance)
					if keeps := kept >= size && kept <= test.cache; keeps != test.keeps ||
						!keeps && kept != 0 {
						t.Errorf("%s: %d bytes are kept of a limit of %d, the weights have %d",
							test.name, kept, test.cache, size)
					}
				}
			})
		}
	}
}

// Quantized weights that no path over integers reads are converted, and kept as well.
func TestQuantizedWeightsAreKept(t *testing.T) {
	const n, k, rows = 70, 512, 40
	w, weights := newMatrices(t, ggml.Q4_K, [4]int{k, n, 1, 1}, plain, 0, 1)
	x, numbers := newMatrices(t, ggml.F32, [4]int{k, rows, 1, 1}, plain, 0, 2)
	want, magnitude := expected(w, x, weights, numbers, 0, nil)
	y, kept, err := runChanging(onednnF32, 1<<30, w, w, x, 3, len(want))
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range y {
		compare(t, got, want, magnitude, 8*unit)
	}
	if kept < n*k*4 {
		t.Errorf("%d bytes are kept", kept)
	}
}
