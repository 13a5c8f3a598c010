package bench

import (
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/models/vision"
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
	With string `json:"with"` // the reference
	vision.Difference
}

// compare needs rows of the same number and width, one at least.
func compare(with string, x, y []float32, width int) Agreement {
	return Agreement{With: with, Difference: vision.Compare(x, y, width)}
}
