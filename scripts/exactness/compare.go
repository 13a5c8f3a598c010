package main

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// window is what was found over a window of a text, means over its places.
type window struct {
	Surprise float64 // -log p of the token that follows, in nats
	KL       float64 // Kullback-Leibler divergence from the exact probabilities, in nats
}

// both are the windows by ggml alone, and with the accelerator.
type both struct{ GGML, Accel []window }

// logProbabilities turns logits into logarithms of probabilities, in place.
func logProbabilities(logits []float32) {
	top, sum := slices.Max(logits), 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x - top))
	}
	norm := float64(top) + math.Log(sum)
	for i, x := range logits {
		logits[i] = float32(float64(x) - norm)
	}
}

// divergence returns the Kullback-Leibler divergence of q from p, both given as logarithms. The
// terms are written as sums of numbers that are never negative, p log(p/q) - p + q, so that
// rounding to float32 does not drown a small one.
func divergence(p, q []float32) float64 {
	sum := 0.0
	for i := range p {
		d := float64(q[i]) - float64(p[i])
		term := math.Expm1(d) - d
		if math.Abs(d) < 1e-2 { // its first terms, without the difference of almost equal numbers
			term = d * d / 2 * (1 + d/3*(1+d/4))
		}
		sum += math.Exp(float64(p[i])) * term
	}
	return sum
}

// estimate is a mean and its standard error.
type estimate struct{ mean, err float64 }

func estimateOf(x []float64) estimate {
	mean, deviation := stat.MeanStdDev(x, nil)
	return estimate{mean, deviation / math.Sqrt(float64(len(x)))}
}

func each(w []window, f func(window) float64) []float64 {
	x := make([]float64, len(w))
	for i := range w {
		x[i] = f(w[i])
	}
	return x
}

func surpriseOf(w window) float64   { return w.Surprise }
func divergenceOf(w window) float64 { return w.KL }

// perplexity is the exponential of the mean surprise.
func perplexity(w []window) estimate {
	e := estimateOf(each(w, surpriseOf))
	return estimate{math.Exp(e.mean), math.Exp(e.mean) * e.err}
}

// change is by how much the perplexity of a is larger than that of b, as a share; windows are
// compared in pairs.
func change(a, b []window) estimate {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i].Surprise - b[i].Surprise
	}
	e := estimateOf(d)
	return estimate{math.Expm1(e.mean), math.Exp(e.mean) * e.err}
}

func tableHead(exact []window) string {
	p := perplexity(exact)
	return fmt.Sprintf("Exact: perplexity %.4f ± %.4f\n\n", p.mean, p.err) +
		"| level | perplexity, ggml alone | from exact | KL from exact " +
		"| with the accelerator | from exact | KL from exact |\n|---|---|---|---|---|---|---|\n"
}

func tableRow(level string, exact []window, found both) string {
	row := "| " + level
	for _, w := range [][]window{found.GGML, found.Accel} {
		p, c, kl := perplexity(w), change(w, exact), estimateOf(each(w, divergenceOf))
		row += fmt.Sprintf(" | %.4f | %+.4f ± %.4f %% | %.2e ± %.1e", p.mean, 100*c.mean, 100*c.err,
			kl.mean, kl.err)
	}
	return row + " |\n"
}
