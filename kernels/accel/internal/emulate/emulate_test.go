package emulate

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// plain is what the instructions are defined to compute.
func plain(pairs bool, sum *[8]int32, w, x *[32]byte) {
	for lane := range sum {
		for i := 4 * lane; i < 4*lane+4; i++ {
			switch {
			case !pairs:
				sum[lane] += int32(w[i]) * int32(int8(x[i]))
			case i%2 == 0:
				sum[lane] += int32(int16(binary.LittleEndian.Uint16(w[i:]))) *
					int32(int16(binary.LittleEndian.Uint16(x[i:])))
			}
		}
	}
}

// The same numbers come out by the definition, by the emulated instructions and, where there are
// any, by those of AVX-512, the largest and those that overflow included.
func TestInstructionsComputeWhatTheyAreDefinedTo(t *testing.T) {
	stop, ok := Start()
	if !ok {
		t.Skip("this processor or system does not let instructions of AVX2's size be emulated")
	}
	defer stop()
	rng := rand.New(rand.NewPCG(1, 2))
	before := Count()
	for round := range 400 {
		var w, x [32]byte
		var sum [8]int32
		for i := range w {
			w[i], x[i] = byte(rng.Uint32()), byte(rng.Uint32())
			if round%4 == 0 {
				w[i], x[i] = 255*byte(rng.Uint32()%2), 127+byte(rng.Uint32()%2)
			}
		}
		for i := range sum {
			sum[i] = int32(rng.Uint32())
		}
		for _, pairs := range []bool{false, true} {
			want, got, wide := sum, sum, sum
			plain(pairs, &want, &w, &x)
			if add(pairs, &got, &w, &x); got != want {
				t.Fatalf("pairs %v, w %v, x %v, %v: got %v, want %v", pairs, w, x, sum, got, want)
			}
			if addWide(pairs, &wide, &w, &x) && wide != want {
				t.Fatalf("pairs %v, w %v, x %v, %v: AVX-512 gives %v, the definition %v", pairs, w,
					x, sum, wide, want)
			}
		}
	}
	if n := Count() - before; n != 0 && n != 800 {
		t.Errorf("%d of 800 instructions were emulated", n)
	}
}
