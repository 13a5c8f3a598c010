package imatrix

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// statisticNames are the figures of a matrix's tensor NAME.stats, as llama-imatrix 0.7 orders and
// names them.
var statisticNames = []string{"sum_sq", "mean", "elements", "std_deviation", "skewness", "kurtosis",
	"gain", "h_norm", "l2_dist", "cossim", "pearson", "covariance"}

// layerName parts the name of a layer's matrix into what comes before and after its number.
var layerName = regexp.MustCompile(`^((?:v\.)?blk\.)(\d+)(\..*)$`)

// statistics are the figures of a matrix: over the means of its columns, the sum of the squares'
// means, the mean, the count, the standard deviation, skewness and excess kurtosis; the entropy of
// the squares in percent of the largest possible; and, beside the same matrix of the layer before,
// the ratio of the roots of the sums, the distance, cosine, correlation and covariance of the
// means. Those are NaN where there is no such matrix. All moments are of the population. The
// formulas were found from llama-imatrix's files, which a test compares with.
func (m *Matrix) statistics(name string) []float32 {
	s := m.Entries[name]
	means, squares := s.means(s.Values), s.means(s.Squares)
	sum, n := floats.Sum(squares), float64(len(means))
	mean, sd := stat.PopMeanStdDev(means, nil)
	var skew, kurtosis, entropy float64
	for i, x := range means {
		if z := (x - mean) / sd; sd > 0 {
			skew += z * z * z / n
			kurtosis += z * z * z * z / n
		}
		if p := squares[i] / sum; p > 0 {
			entropy -= p * math.Log2(p)
		}
	}
	if sd > 0 {
		kurtosis -= 3
	}
	if n > 1 {
		entropy *= 100 / math.Log2(n)
	}
	all := []float64{sum, mean, n, sd, skew, kurtosis, math.NaN(), entropy, math.NaN(), math.NaN(),
		math.NaN(), math.NaN()}
	if before := m.layerBefore(name); before != nil && len(before.Values) == len(s.Values) {
		theirs := before.means(before.Values)
		all[6] = math.Sqrt(sum / floats.Sum(before.means(before.Squares)))
		all[8] = floats.Distance(means, theirs, 2)
		all[9] = floats.Dot(means, theirs) / (floats.Norm(means, 2) * floats.Norm(theirs, 2))
		all[10] = stat.Correlation(means, theirs, nil)
		all[11] = stat.Covariance(means, theirs, nil) * (n - 1) / n
	}
	out := make([]float32, len(all))
	for i, x := range all {
		out[i] = float32(x)
	}
	return out
}

// layerBefore finds the same matrix of the layer before, nil for none.
func (m *Matrix) layerBefore(name string) *Sums {
	part := layerName.FindStringSubmatch(name)
	if part == nil {
		return nil
	}
	layer, err := strconv.Atoi(part[2])
	if err != nil || layer == 0 {
		return nil
	}
	return m.Entries[fmt.Sprint(part[1], layer-1, part[3])]
}

// means are sums by the rows that were added, 0 where there was none.
func (s *Sums) means(sums []float32) []float64 {
	columns := s.Columns()
	out := make([]float64, len(sums))
	for i, x := range sums {
		if n := s.Counts[i/columns]; n > 0 {
			out[i] = float64(x) / float64(n)
		}
	}
	return out
}
