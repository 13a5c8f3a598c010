package main

import (
	"math"
	"strings"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

func logs(p ...float64) []float32 {
	l := make([]float32, len(p))
	for i := range p {
		l[i] = float32(math.Log(p[i]))
	}
	return l
}

func TestDivergence(t *testing.T) {
	p, q := []float64{0.5, 0.3, 0.2}, []float64{0.4, 0.4, 0.2}
	want := 0.5*math.Log(0.5/0.4) + 0.3*math.Log(0.3/0.4)
	near(t, "by its definition", divergence(logs(p...), logs(q...)), want, 1e-7)
	near(t, "of a distribution from itself", divergence(logs(p...), logs(p...)), 0, 0)
	// Far below what logarithms in float32 could tell apart as a sum of terms of either sign: half
	// of d squared, for opposite changes of two halves.
	const d = 1e-4
	small := divergence(logs(0.5, 0.5), logs(0.5*(1+d), 0.5*(1-d)))
	near(t, "a small one", small, d*d/2, 1e-11)
	if small < 0 {
		t.Errorf("a divergence of %g", small)
	}
}

func TestLogProbabilities(t *testing.T) {
	l := []float32{1000, 1001, 999}
	logProbabilities(l)
	sum := 0.0
	for _, x := range l {
		sum += math.Exp(float64(x))
	}
	near(t, "their sum", sum, 1, 1e-6)
	near(t, "a difference", float64(l[1]-l[0]), 1, 1e-6)
}

func TestEstimates(t *testing.T) {
	a := []window{{1, 0.1}, {2, 0.2}, {3, 0.3}}
	b := []window{{1.1, 0}, {2, 0}, {2.9, 0}}
	p := perplexity(a)
	near(t, "perplexity", p.mean, math.Exp(2), 1e-12)
	// a deviation of 1 over three windows
	near(t, "its error", p.err, math.Exp(2)/math.Sqrt(3), 1e-12)
	c := change(a, b)
	near(t, "the change", c.mean, 0, 1e-12)
	near(t, "its error", c.err, 0.1/math.Sqrt(3), 1e-12)
	near(t, "the change of one and a half", change(a[:2], []window{{0.5, 0}, {1.5, 0}}).mean,
		math.Exp(0.5)-1, 1e-12)
}

func TestARowHasACellForEachColumn(t *testing.T) {
	w := []window{{1, 0.1}, {2, 0.2}}
	head := strings.Split(strings.TrimSpace(tableHead(w)), "\n")
	row := tableRow("avx2", w, both{w, w})
	if want := strings.Count(head[len(head)-1], "|"); strings.Count(row, "|") != want ||
		!strings.HasPrefix(row, "| avx2 |") {
		t.Errorf("%d columns: %s", want-1, row)
	}
}
