package accel

import (
	"math"
	"testing"
)

// A row is computed to the same bits whatever rows are computed with it: embeddings of a text
// depend on no other.
func TestARowIsTheSameAloneAndAmongOthers(t *testing.T) {
	onEachIntegerISA(t, func(t *testing.T, isa string) {
		for _, typ := range integerTypes {
			const n, most = 40, 61
			k := 3 * 256
			dense, _ := encode(t, typ, normals(n*k, 1), k)
			all := newIntegerProduct(t, typ, most, n, k, 0, dense)
			if err := all.run(2); err != nil {
				t.Fatal(err)
			}
			for m := 1; m < 14; m++ {
				first := most - 14 - m
				some := newIntegerProduct(t, typ, m, n, k, 0, dense)
				copy(some.x, all.x[first*k:])
				if err := some.run(2); err != nil {
					t.Fatal(err)
				}
				for i, y := range some.y {
					if want := all.y[first*n+i]; math.Float32bits(y) != math.Float32bits(want) {
						t.Fatalf("%v: %d rows: y[%d][%d] is %v, among %d rows %v", typ, m, i/n, i%n,
							y, most, want)
					}
				}
			}
		}
	})
}
