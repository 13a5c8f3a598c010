package bench

import (
	"fmt"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// The distributions of a base are kept as llama-perplexity keeps them
// (tools/perplexity/perplexity.cpp, --save-all-logits): the logarithm of each probability in 16
// bits between the largest and, at most, 16 below it, so that both compute the same.
const distributionRange = 16

// distribution is a next-token distribution in 16 bits: log p = low + scale·code.
type distribution struct {
	scale, low float32
	codes      []uint16
}

// logSum returns the largest logit and the logarithm of the sum of exp(x - largest).
func logSum(logits []float32) (largest float32, log float64) {
	largest = slices.Max(logits)
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - float64(largest))
	}
	return largest, math.Log(sum)
}

// setLogits makes d the distribution of the logits.
func (d *distribution) setLogits(logits []float32) {
	largest, log := logSum(logits)
	least := max(slices.Min(logits), largest-distributionRange)
	d.scale = (largest - least) / math.MaxUint16
	d.low = least - largest - float32(log)
	d.codes = slices.Grow(d.codes[:0], len(logits))[:len(logits)]
	for i, x := range logits {
		if x > least && d.scale > 0 {
			d.codes[i] = uint16(math.RoundToEven(float64((x - least) / d.scale)))
		} else {
			d.codes[i] = 0
		}
	}
}

// log is the logarithm of a token's probability.
func (d *distribution) log(t llama.Token) float64 {
	return float64(d.scale)*float64(d.codes[t]) + float64(d.low)
}

// comparison adds up what the distributions of a model are beside those of a base, place by place.
type comparison struct {
	nll  []float64 // -log p of the token that follows
	base []float64 // the same of the base; empty for the base itself
	kl   []float64 // KL divergence of the model's distribution from the base's
	same []float64 // 1 where both have the same most probable token
}

// add adds a place: logits of the model, the base's distribution or nil, and the token that
// follows.
func (c *comparison) add(logits []float32, base *distribution, next llama.Token) error {
	if int(next) >= len(logits) || next < 0 {
		return fmt.Errorf("bench: token %d is not in a vocabulary of %d", next, len(logits))
	}
	largest, log := logSum(logits)
	if math.IsNaN(log) {
		return fmt.Errorf("bench: the model computes a logit that is not a number")
	}
	norm := float64(largest) + log
	c.nll = append(c.nll, norm-float64(logits[next]))
	if base == nil {
		return nil
	}
	if len(base.codes) != len(logits) {
		return fmt.Errorf("bench: the base has a vocabulary of %d tokens, this model one of %d: they cannot be compared", len(base.codes), len(logits))
	}
	c.base = append(c.base, -base.log(next))
	sum, top, baseTop := 0.0, 0, 0
	for i, x := range logits {
		if x > logits[top] {
			top = i
		}
		if base.codes[i] > base.codes[baseTop] {
			baseTop = i
		}
		if p := base.log(llama.Token(i)); p > -distributionRange {
			sum += math.Exp(p) * (p - float64(x) + norm)
		}
	}
	c.kl = append(c.kl, sum)
	if top == baseTop {
		c.same = append(c.same, 1)
	} else {
		c.same = append(c.same, 0)
	}
	return nil
}
