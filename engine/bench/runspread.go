package bench

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// RunSpread is how far a figure of the same files differs from one process to the next.
type RunSpread struct {
	Figure string  `json:"figure"`
	StdDev float64 `json:"std_dev"` // of the mean of a run, as a share of it
	Runs   int     `json:"runs"`    // beyond the first of each cell, that tell it
	// else there are too few runs, and it is what was seen elsewhere
	Measured bool `json:"measured"`
}

// AssumedSpread stands for what was not measured: repetitions of one process agreed within a
// hundredth while tg128 of the same files differed by up to 9 % from one process to the next,
// minutes apart, on a virtual machine with shared cores. leastRuns are those that tell it from
// chance.
const (
	AssumedSpread = 0.045
	leastRuns     = 3
)

// spreadOfRuns pools how the runs of each sample differ from their mean, in logarithms, so that
// slow and fast models count alike.
func spreadOfRuns(figure string, samples []*Sample) RunSpread {
	s := RunSpread{Figure: figure}
	sum := 0.0
	for _, sample := range samples {
		if sample == nil || len(sample.RunMeans) < 2 {
			continue
		}
		logs := make([]float64, len(sample.RunMeans))
		for i, x := range sample.RunMeans {
			logs[i] = math.Log(x)
		}
		sum += stat.Variance(logs, nil) * float64(len(logs)-1)
		s.Runs += len(logs) - 1
	}
	if s.Measured = s.Runs >= leastRuns; s.Measured {
		s.StdDev = math.Sqrt(sum / float64(s.Runs))
	} else {
		s.StdDev = AssumedSpread
	}
	return s
}

// chanceOf is the probability, two-sided, that two samples of the same differ as these do.
func (s *RunSpread) chanceOf(a, b *Sample) float64 {
	ra, rb := a.runMeans(), b.runMeans()
	far := math.Abs(math.Log(stat.Mean(ra, nil) / stat.Mean(rb, nil)))
	variance := s.StdDev * s.StdDev * (1/float64(len(ra)) + 1/float64(len(rb)))
	if s.Measured {
		if variance == 0 {
			return 0
		}
		return 2 * distuv.StudentsT{Mu: 0, Sigma: 1,
			Nu: float64(s.Runs)}.Survival(far/math.Sqrt(variance))
	}
	for _, x := range []*Sample{a, b} {
		variance += (x.meanError() / x.Mean) * (x.meanError() / x.Mean)
	}
	return 2 * distuv.UnitNormal.Survival(far/math.Sqrt(variance))
}
