package bench

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Interval is a mean with its 95 % confidence interval.
type Interval struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	N    int     `json:"n"`
}

// resamples is the number of draws of a bootstrap.
const resamples = 2000

// bootstrap returns the mean of values, one at least, with the percentile interval of Efron's
// bootstrap (1979): the means of samples drawn with replacement. It gives the same for the same
// values.
func bootstrap(values []float64) Interval {
	n := len(values)
	means := make([]float64, resamples)
	r := rand.New(rand.NewPCG(1979, uint64(n)))
	for i := range means {
		sum := 0.0
		for range n {
			sum += values[r.IntN(n)]
		}
		means[i] = sum / float64(n)
	}
	slices.Sort(means)
	return Interval{
		Mean: stat.Mean(values, nil), N: n,
		Low: stat.Quantile(0.025, stat.Empirical, means, nil), High: stat.Quantile(0.975,
			stat.Empirical, means, nil),
	}
}

// differences are those of paired values.
func differences(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}

// standardError is that of the mean of values; 0 for fewer than two.
func standardError(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	return stat.StdDev(values, nil) / math.Sqrt(float64(len(values)))
}

// percentile is that of sorted values, interpolated between neighbours, as llama-perplexity takes
// it.
func percentile(sorted []float64, share float64) float64 {
	p := share * float64(len(sorted)-1)
	i := int(p)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (p-float64(i))*(sorted[i+1]-sorted[i])
}
