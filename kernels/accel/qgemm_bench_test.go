package accel

import (
	"flag"
	"fmt"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

var benchISA = flag.String("isa", "",
	"`instructions` of the integer kernels to measure, also if the processor lacks them")

// BenchmarkIntegerProduct reports rates over weights that are in no cache, as those of a model are
// not.
func BenchmarkIntegerProduct(b *testing.B) {
	const threads = 2
	if *benchISA != "" {
		defer useIntegers("")
		if !emulateIntegers(*benchISA) {
			b.Fatalf("no kernels for %s", *benchISA)
		}
	}
	for _, typ := range integerTypes {
		for _, s := range [][3]int{{512, 2048, 2048}, {512, 5632, 2048}, {512, 2048, 5632},
			{64, 2048, 2048}, {64, 5632, 2048}, {32, 5632, 2048}, {16, 2048, 2048},
			{16, 5632, 2048}, {12, 5632, 2048}, {8, 2048, 2048}, {8, 5632, 2048},
			{4, 5632, 2048}} {
			m, n, k := s[0], s[1], s[2]
			b.Run(fmt.Sprintf("%v/%dx%dx%d", typ, m, n, k), func(b *testing.B) {
				p := newIntegerProduct(b, typ, m, n, k, 0, repeated(b, typ, n, k))
				copies := copiesOf(p.w)
				b.ResetTimer()
				for i := range b.N {
					p.w = copies[i%len(copies)]
					if err := p.run(threads); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(2e-9*float64(m)*float64(n)*float64(k)*float64(b.N)/b.Elapsed().
					Seconds(), "GFLOP/s")
			})
		}
	}
}

// repeated encodes some rows, and repeats them up to n.
func repeated(b *testing.B, typ ggml.Type, n, k int) []byte {
	some, _ := encode(b, typ, normals(16*k, 1), k)
	var all []byte
	for len(all) < n*len(some)/16 {
		all = append(all, some...)
	}
	return all
}
