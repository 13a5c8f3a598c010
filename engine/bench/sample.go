package bench

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Sample is what repeated measurements of one thing gave.
type Sample struct {
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	StdDev float64 `json:"std_dev"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Outliers counts values beyond one and a half times the distance of the quartiles from them
	// (Tukey 1977).
	Outliers int       `json:"outliers"`
	Values   []float64 `json:"values"`
	// RunMeans are the means of the values of each process, where several measured.
	RunMeans []float64 `json:"run_means,omitempty"`
}

// with returns the sample of the values of both, of which other is that of one process more. Either
// may be nil.
func (s *Sample) with(other *Sample) *Sample {
	switch {
	case s == nil:
		return other
	case other == nil:
		return s
	}
	both := sampleOf(slices.Concat(s.Values, other.Values))
	both.RunMeans = append(slices.Clone(s.runMeans()), other.runMeans()...)
	return both
}

// runMeans are the means of each process.
func (s *Sample) runMeans() []float64 {
	if len(s.RunMeans) == 0 {
		return []float64{s.Mean}
	}
	return s.RunMeans
}

// sampleOf sums values up, one at least.
func sampleOf(values []float64) *Sample {
	sorted := slices.Sorted(slices.Values(values))
	s := &Sample{Mean: stat.Mean(values, nil), Median: percentile(sorted, 0.5), Low: sorted[0],
		High: sorted[len(sorted)-1], Values: values}
	if len(values) > 1 {
		s.StdDev = stat.StdDev(values, nil)
	}
	q1, q3 := percentile(sorted, 0.25), percentile(sorted, 0.75)
	for _, x := range values {
		if len(values) >= 4 && (x < q1-1.5*(q3-q1) || x > q3+1.5*(q3-q1)) {
			s.Outliers++
		}
	}
	return s
}

// maxFigure bounds what a results file may give for a speed or a time.
const maxFigure = 1e15

// sound reports whether a sample from a file has figures that can be compared and drawn.
func (s *Sample) sound() bool {
	if s == nil || len(s.Values) == 0 {
		return false
	}
	wild := func(x float64) bool { return !(x >= 0 && x <= maxFigure) }
	return !wild(s.Mean) && !wild(s.Median) && !wild(s.StdDev) && !wild(s.Low) && !wild(s.High) &&
		!slices.ContainsFunc(s.Values, wild) && !slices.ContainsFunc(s.RunMeans,
		func(x float64) bool { return wild(x) || x == 0 })
}

// positive reports whether something can be divided by a sample.
func (s *Sample) positive() bool { return s.Mean > 0 && s.Median > 0 }

// meanError is the standard error of the sample's mean.
func (s *Sample) meanError() float64 {
	if len(s.Values) < 2 {
		return 0
	}
	return s.StdDev / math.Sqrt(float64(len(s.Values)))
}
