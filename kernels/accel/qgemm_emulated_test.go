package accel

import (
	"math"
	"os"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/kernels/accel/internal/emulate"
)

// The kernels for AVX-VNNI give every bit of what those for AVX2 and for AVX-512 VNNI do, all of
// which add integers up without rounding: AVX2's, where activations are rounded to 8 bits there and
// where no offset is left out of the integers; AVX-512's, for all types. Where the processor has no
// AVX-VNNI its instructions are emulated.
func TestAVXVNNIGivesTheBitsOfOtherInstructions(t *testing.T) {
	stop, ok := emulate.Start()
	if !ok {
		t.Skip("neither AVX-VNNI nor a processor and system that let it be emulated")
	}
	defer stop()
	t.Cleanup(func() { useIntegers("") })
	before := emulate.Count()
	// a tile and less, tiles that share weights, a panel for three tiles
	rows, n, k := []int{5, 8, 17}, 16, 256
	if os.Getenv("EYELET_SLOW") != "" { // an instruction takes microseconds
		rows, n, k = []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 19, 34}, 17, 512
	}
	for _, typ := range integerTypes {
		dense, weights := encode(t, typ, normals(n*k, 1), k)
		for _, m := range rows {
			if !emulateIntegers("avxvnni") {
				t.Fatal("there are no kernels for AVX-VNNI")
			}
			p := newIntegerProduct(t, typ, m, n, k, 1, dense)
			if err := p.run(2); err != nil {
				t.Fatal(err)
			}
			exactIntegers("avxvnni", &p.product, weights).check(t, &p.product)
			for _, other := range []string{"avx2", "vnni"} {
				if other == "avx2" && !offsetsApart(typ) || !useIntegers(other) {
					continue
				}
				q := newIntegerProduct(t, typ, m, n, k, 1, dense)
				if err := q.run(2); err != nil {
					t.Fatal(err)
				}
				checkBits(t, typ, other, m, p.y, q.y)
			}
		}
	}
	t.Logf("%d instructions were emulated", emulate.Count()-before)
}

// offsetsApart tells whether kernels for AVX2 and AVX-VNNI have the same integers of a type.
func offsetsApart(typ ggml.Type) bool {
	switch typ {
	case ggml.Q4_0, ggml.Q5_0, ggml.Q8_0, ggml.IQ4_NL:
		return false
	}
	return true
}

// The same of weights that ggml's CPU backend has repacked.
func TestAVXVNNIGivesTheBitsOfOthersOfRepackedWeights(t *testing.T) {
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	stop, ok := emulate.Start()
	if !ok || !reads(ggml.Q4_K) {
		stop()
		t.Skip("AVX-VNNI cannot be emulated, or the CPU backend repacks no Q4_K")
	}
	defer stop()
	t.Cleanup(func() { useIntegers("") })
	const n, k = 16, 256
	w, _ := newMatrices(t, ggml.Q4_K, [4]int{k, n, 1, 1}, plain, 0, 1)
	w.repacked = true
	for _, rows := range []int{5, 8, 20} {
		x, _ := newMatrices(t, ggml.F32, [4]int{k, rows, 1, 1}, plain, 0, 2)
		var of [2][]float32
		for i, use := range []func() bool{func() bool { return emulateIntegers("avxvnni") },
			func() bool { return useIntegers("avx2") }} {
			if !use() {
				t.Fatal("there are no such kernels")
			}
			var err error
			if of[i], err = runGraph(integers, w, x, nil, 2, rows*n); err != nil {
				t.Fatal(err)
			}
		}
		checkBits(t, ggml.Q4_K, "avx2", rows, of[0], of[1])
	}
}

// checkBits compares what kernels for AVX-VNNI have made of so many rows with what others have.
func checkBits(t *testing.T, typ ggml.Type, other string, rows int, got, want []float32) {
	t.Helper()
	for i, y := range got {
		if math.Float32bits(y) != math.Float32bits(want[i]) {
			t.Fatalf("%v, %d rows: number %d is %v, by %s %v", typ, rows, i, y, other, want[i])
		}
	}
}
