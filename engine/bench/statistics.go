package bench

import (
	"math"
	"slices"
	"time"
)

// Spread is what repeated measurements of one thing gave.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`  // the least
	High   float64 `json:"high"` // the greatest
}

// spreadOf returns the spread of some numbers, at least one.
func spreadOf(values []float64) Spread {
	s := slices.Sorted(slices.Values(values))
	middle := s[len(s)/2]
	if len(s)%2 == 0 {
		middle = (s[len(s)/2-1] + middle) / 2
	}
	return Spread{Median: middle, Low: s[0], High: s[len(s)-1]}
}

// ratios divides the numbers of the same round.
func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Agreement compares the rows of an encoding, one an image token, with those of a reference.
type Agreement struct {
	With         string  `json:"with"` // the reference
	LowestCosine float64 `json:"lowest_cosine"`
	MeanCosine   float64 `json:"mean_cosine"`
	MaxError     float64 `json:"max_error"`      // of a single number, absolute
	Relative     float64 `json:"relative_error"` // |x - y| / |y| over all numbers, as vectors
}

// compare needs rows of the same number and width, one at least.
func compare(with string, x, y []float32, width int) Agreement {
	a := Agreement{With: with, LowestCosine: math.Inf(1)}
	var difference, norm float64
	for i := 0; i < len(x); i += width {
		var dot, xx, yy float64
		for k := i; k < i+width; k++ {
			p, q := float64(x[k]), float64(y[k])
			dot, xx, yy = dot+p*q, xx+p*p, yy+q*q
			difference += (p - q) * (p - q)
			a.MaxError = max(a.MaxError, math.Abs(p-q))
		}
		norm += yy
		cosine := 0.0
		if xx > 0 && yy > 0 {
			cosine = dot / math.Sqrt(xx*yy)
		}
		a.LowestCosine = min(a.LowestCosine, cosine)
		a.MeanCosine += cosine * float64(width) / float64(len(x))
	}
	if norm > 0 {
		a.Relative = math.Sqrt(difference / norm)
	}
	return a
}
