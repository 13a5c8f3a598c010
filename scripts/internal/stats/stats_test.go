package stats

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{
		{[]float64{7}, 7}, {[]float64{9, 1}, 5}, {[]float64{3, 100, 1}, 3},
		{[]float64{4, 1, 100, 2}, 3}, {[]float64{2, 2, 1, 9, 9}, 2},
	} {
		before := slices.Clone(c.x)
		if got := Median(c.x); got != c.want {
			t.Errorf("of %v: %v, want %v", c.x, got, c.want)
		}
		if !slices.Equal(c.x, before) {
			t.Errorf("%v became %v", before, c.x)
		}
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, c := range []struct {
		x       []float64
		p, want float64
	}{
		// Five values, as Wikipedia's article on percentiles has them.
		{[]float64{15, 20, 35, 40, 50}, 5, 15}, {[]float64{15, 20, 35, 40, 50}, 30, 20},
		{[]float64{15, 20, 35, 40, 50}, 40, 20}, {[]float64{15, 20, 35, 40, 50}, 50, 35},
		{[]float64{15, 20, 35, 40, 50}, 100, 50},
		{hundred, 50, 50}, {hundred, 95, 95}, {hundred, 99, 99}, {hundred, 100, 100},
		{[]float64{8}, 1, 8}, {[]float64{8}, 99, 8},
	} {
		if got := Percentile(c.x, c.p); got != c.want {
			t.Errorf("%v %% of %d values: %v, want %v", c.p, len(c.x), got, c.want)
		}
	}
}

func TestRatioIsThatOfTheMedians(t *testing.T) {
	// The mean of the ratios would be 1.25, and the ratio of the means 1.
	if got := Ratio([]float64{2, 1, 3, 4}, []float64{4, 1, 2, 3}); got != 1 {
		t.Errorf("the same values in another order: %v", got)
	}
	if got := Ratio([]float64{3, 1000, 1}, []float64{2, 2, 0}); math.Abs(got-1.5) > 1e-15 {
		t.Errorf("%v, want 1.5", got)
	}
	if got, want := Range([]float64{2, 0.125, 33.333}), "0.12 to 33.33"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestGaps(t *testing.T) {
	start := time.Now()
	at := func(ms float64) time.Time { return start.Add(time.Duration(ms * 1e6)) }
	got := Gaps([]time.Time{at(0), at(30), at(30), at(1130.5)})
	if want := []float64{30, 0, 1100.5}; !slices.EqualFunc(got, want, func(a, b float64) bool {
		return math.Abs(a-b) < 1e-6
	}) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Gaps([]time.Time{at(5)}); len(got) != 0 {
		t.Errorf("of one moment: %v", got)
	}
}
