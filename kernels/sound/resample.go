package sound

import (
	"context"
	"fmt"
	"math"
)

// The filter of Resample: a sinc of so many zero crossings on each side under a Kaiser window,
// which keeps what it does not let through below -80 dB, and lets through what lies below so much
// of the lower rate's half.
const (
	crossings = 32
	kaiser    = 8.0
	rolloff   = 0.945
)

// Resample brings samples from one rate to another.
func Resample(ctx context.Context, samples []float32, from, to int) ([]float32, error) {
	if from < 1 || to < 1 || from > maxRate || to > maxRate {
		return nil, fmt.Errorf("%w: from %d to %d samples a second", ErrUnsupported, from, to)
	}
	g := gcd(from, to)
	up, down := to/g, from/g
	n := int((int64(len(samples))*int64(up) + int64(down) - 1) / int64(down))
	cutoff := rolloff * math.Min(1, float64(to)/float64(from)) // of half the rate of the file
	half := int(math.Ceil(crossings / cutoff))
	var table [][]float32 // of each phase, made when it is first needed
	if up <= 1<<12 {
		table = make([][]float32, up)
	}
	out := make([]float32, n)
	for i := range out {
		if i%(1<<14) == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		at := int64(i) * int64(down)
		centre, phase := int(at/int64(up)), int(at%int64(up))
		var taps []float32
		if table != nil {
			if table[phase] == nil {
				table[phase] = tapsOf(float64(phase)/float64(up), cutoff, half)
			}
			taps = table[phase]
		} else {
			taps = tapsOf(float64(phase)/float64(up), cutoff, half)
		}
		sum := float32(0)
		first := centre - half + 1
		for k := max(0, -first); k < min(len(taps), len(samples)-first); k++ {
			sum += taps[k] * samples[first+k]
		}
		out[i] = sum
	}
	return out, nil
}

// tapsOf are the weights of the samples around a place that lies a part of a sample behind one.
func tapsOf(part, cutoff float64, half int) []float32 {
	taps := make([]float32, 2*half)
	for k := range taps {
		x := float64(k-half+1) - part
		if math.Abs(x) >= float64(half) {
			continue
		}
		sinc := 1.0
		if y := math.Pi * x * cutoff; y != 0 {
			sinc = math.Sin(y) / y
		}
		r := x / float64(half)
		taps[k] = float32(cutoff * sinc * bessel(kaiser*math.Sqrt(1-r*r)) / bessel(kaiser))
	}
	return taps
}

// bessel is the modified Bessel function of the first kind and order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
