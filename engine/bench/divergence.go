package bench

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Distribution says how well a model foretells a text, and how far its next-token distributions are
// from those of a base. Errors are standard errors, of places taken to be independent, as
// llama-perplexity gives them (tools/perplexity/perplexity.cpp).
type Distribution struct {
	Tokens          int      `json:"tokens"` // places where a token was foretold
	Perplexity      float64  `json:"perplexity"`
	PerplexityError float64  `json:"perplexity_error"`
	Against         *Against `json:"against_base,omitempty"` // nil for the base itself
}

// Against compares with a base, in the figures that llama-perplexity prints.
type Against struct {
	BasePerplexity      float64 `json:"base_perplexity"`
	BasePerplexityError float64 `json:"base_perplexity_error"`
	// PerplexityRatio is the model's perplexity over the base's, LnRatio its logarithm. Correlation
	// is that of the logarithms of both perplexities, from -1 to 1: the closer to 1, the less of
	// PerplexityError is in the ratio.
	PerplexityRatio      float64 `json:"perplexity_ratio"`
	PerplexityRatioError float64 `json:"perplexity_ratio_error"`
	LnRatio              float64 `json:"ln_perplexity_ratio"`
	LnRatioError         float64 `json:"ln_perplexity_ratio_error"`
	Correlation          float64 `json:"ln_perplexity_correlation"`

	KLMean      float64 `json:"kl_mean"` // in nats
	KLMeanError float64 `json:"kl_mean_error"`
	KLMedian    float64 `json:"kl_median"`
	KL99        float64 `json:"kl_99"`
	KLMax       float64 `json:"kl_max"`
	// KLQuantiles are those of the divergence at 50, 90, 95, 99, 99.9 and 100 % of the places.
	KLQuantiles []Quantile `json:"kl_quantiles"`

	// PChange is the mean change of the right token's probability from the base, PChangeRMS the
	// root of its mean square.
	PChange         float64 `json:"p_change"`
	PChangeError    float64 `json:"p_change_error"`
	PChangeRMS      float64 `json:"p_change_rms"`
	PChangeRMSError float64 `json:"p_change_rms_error"`

	// share of places where both hold the same token for the most probable
	SameTop      float64 `json:"same_top"`
	SameTopError float64 `json:"same_top_error"`
}

// Quantile is what a share of values does not exceed, with a 95 % interval.
type Quantile struct {
	Share float64 `json:"share"` // from 0 to 1; 1 is the largest value
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// klShares are the quantiles of divergence that are told.
var klShares = []float64{0.5, 0.9, 0.95, 0.99, 0.999, 1}

// result sums the places up; there must be one at least.
func (c *comparison) result() *Distribution {
	mean := stat.Mean(c.nll, nil)
	d := &Distribution{Tokens: len(c.nll), Perplexity: math.Exp(mean),
		PerplexityError: math.Exp(mean) * standardError(c.nll)}
	if len(c.kl) == 0 {
		return d
	}
	sorted := slices.Sorted(slices.Values(c.kl))
	a := &Against{KLMean: stat.Mean(c.kl, nil), KLMeanError: standardError(c.kl),
		KLMedian: percentile(sorted, 0.5), KL99: percentile(sorted, 0.99),
		KLMax:   sorted[len(sorted)-1],
		SameTop: stat.Mean(c.same, nil), SameTopError: standardError(c.same)}
	for _, share := range klShares {
		a.KLQuantiles = append(a.KLQuantiles, quantileOf(sorted, share))
	}
	a.perplexities(c.nll, c.base)
	a.probabilities(c.nll, c.base)
	d.Against = a
	return d
}

// perplexities compares perplexities of negative logarithms of the same tokens' probabilities. The
// error of the ratio is that of the mean difference, in which what both have in common cancels.
func (a *Against) perplexities(nll, base []float64) {
	ln := stat.Mean(base, nil)
	a.BasePerplexity, a.BasePerplexityError = math.Exp(ln), math.Exp(ln)*standardError(base)
	a.LnRatio, a.LnRatioError = stat.Mean(nll, nil)-ln, standardError(differences(nll, base))
	a.PerplexityRatio = math.Exp(a.LnRatio)
	a.PerplexityRatioError = a.PerplexityRatio * a.LnRatioError
	if r := stat.Correlation(nll, base, nil); !math.IsNaN(r) { // one of both is the same everywhere
		a.Correlation = r
	}
}

// probabilities compares the probabilities of the tokens that followed. The error of a root is half
// that of its square over it.
func (a *Against) probabilities(nll, base []float64) {
	change, square := make([]float64, len(nll)), make([]float64, len(nll))
	for i := range nll {
		change[i] = math.Exp(-nll[i]) - math.Exp(-base[i])
		square[i] = change[i] * change[i]
	}
	a.PChange, a.PChangeError = stat.Mean(change, nil), standardError(change)
	if a.PChangeRMS = math.Sqrt(stat.Mean(square, nil)); a.PChangeRMS > 0 {
		a.PChangeRMSError = standardError(square) / (2 * a.PChangeRMS)
	}
}

// quantileOf returns a quantile of sorted values, one at least, with the interval between the
// values whose ranks lie 1.96 standard deviations of the binomial distribution to both sides: it
// supposes nothing of how values are distributed. Of the largest, the three next are within the
// interval: a sample drawn again lacks all four with a probability of exp(-4), which is 2 %.
func quantileOf(sorted []float64, share float64) Quantile {
	n := float64(len(sorted))
	middle, half := share*(n-1), ci95*math.Sqrt(n*share*(1-share))
	if share == 1 {
		half = 3
	}
	at := func(rank float64) float64 { return sorted[int(max(0, min(rank, n-1)))] }
	return Quantile{Share: share, Value: percentile(sorted, share),
		Low: at(math.Floor(middle - half)), High: at(math.Ceil(middle + half))}
}
