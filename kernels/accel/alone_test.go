package accel

import (
	"math"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
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

// A query of few is attended to by the same bits whatever queries are computed with it, and however
// many keys that it does not see lie behind those that it does.
func TestAQueryIsTheSameAloneAndAmongOthers(t *testing.T) {
	onEachISA(t, func(t *testing.T) {
		for _, heads := range [][2]int{{3, 3}, {4, 2}, {9, 3}, {16, 2}, {40, 2}} {
			s := attentionShape{width: 64, valueWidth: 64, queries: 15, keys: 1024, heads: heads[0],
				keyHeads: heads[1], keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1,
				maskBatch: 1, interleaved: true, scale: 0.125, batch: 1}
			all := mustAttention(t, s)
			all.fill(t, causal, 1)
			if err := all.run(2); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct{ first, queries, keys int }{{0, 1, 1024}, {7, 1, 1024},
				{14, 1, 1024}, {0, 2, 1012}, {3, 5, 1020}, {1, 14, 1024}} {
				s.queries, s.keys = c.queries, c.keys
				some := mustAttention(t, s)
				copy(some.k(), all.k())
				copy(some.v(), all.v())
				row := s.heads * s.width
				copy(some.q(), all.q()[c.first*row:])
				for i := range c.queries {
					copy(some.mask()[i*c.keys:][:c.keys], all.mask()[(c.first+i)*1024:])
				}
				if err := some.run(1); err != nil {
					t.Fatal(err)
				}
				for i, y := range some.out() {
					if want := all.out()[c.first*row+i]; math.Float32bits(y) !=
						math.Float32bits(want) {
						t.Fatalf("%v heads, %+v: number %d is %v, among 15 queries %v", heads, c, i,
							y, want)
					}
				}
				some.close()
			}
			all.close()
		}
	})
}
