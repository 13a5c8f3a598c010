// Package stats is the arithmetic of the figures that benchmarks publish.
package stats

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Median returns the middle of some values, at least one, or the mean of the two in the middle. It
// leaves their order alone.
func Median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Percentile returns the least of some values, at least one, that p per cent of them do not exceed:
// the nearest rank. P is above 0 and at most 100.
func Percentile(x []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(x))
	rank := int(math.Ceil(p * float64(len(s)) / 100))
	return s[min(max(rank, 1), len(s))-1]
}

// Ratio returns the median of a over that of b: the figure that counts where two sides take turns.
func Ratio(a, b []float64) float64 { return Median(a) / Median(b) }

// Gaps returns the milliseconds from each moment, as of a token, to the next one.
func Gaps(moments []time.Time) []float64 {
	var gaps []float64
	for i := 1; i < len(moments); i++ {
		gaps = append(gaps, moments[i].Sub(moments[i-1]).Seconds()*1000)
	}
	return gaps
}

// Range returns the least and the greatest of some values, at least one, in words.
func Range(x []float64) string {
	return fmt.Sprintf("%.2f to %.2f", slices.Min(x), slices.Max(x))
}
