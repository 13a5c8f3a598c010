package sched

import (
	"cmp"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
)

// guesser guesses the tokens that follow by what followed the same tokens earlier in the prompt or
// the answer (prompt lookup decoding, Saxena 2023). Guesses are computed beside the next token, and
// those that the answer then draws are gained. How many are made follows from how many of this
// answer came true, and from nothing that a clock tells: the size of a decode changes the last bits
// of logits, and an answer that is asked for again should find the same ones.
type guesser struct {
	rate  float64 // of guesses that came true, smoothed; 0 before the first
	quiet int     // tokens since guessing stopped to pay
	prior float64 // what is believed of rate before anything is known; 0 for textRate
	weigh float64 // of a guess in rate; 0 for 0.2
}

const (
	// textRate is what is believed of a text of which nothing is known, draftRate of a draft model,
	// forcedRate of text that a grammar forces: only how it falls into tokens is open.
	textRate, draftRate, forcedRate = 0.6, 0.7, 0.97
	// forcedWeight is that of such a guess in what is believed: how the first of them is cut or
	// laid out says little of the others.
	forcedWeight = 0.05
	// ProcessorRow and DeviceRow are what a row beside the next token's is taken to cost, in
	// decodes of one token. Measured were 0.3 to 0.9 on processors, where quantized weights are
	// unpacked for each row: what is taken there costs a seventh of the speed at worst. GPUs have
	// arithmetic to spare, and so have processors whose kernels unpack weights once for several
	// rows of a model that is larger than their caches: reading it takes most of the time.
	ProcessorRow, DeviceRow, FewRow = 0.5, 0.05, 0.15
	// mostGuesses at a time, mostForced of text that a grammar forces.
	mostGuesses, mostForced = 8, 16
	// tryAgain is the number of tokens after which a text that did not repeat itself is given
	// another chance.
	tryAgain = 64
)

// wanted is how many guesses to make, at most most, 0 where that does not pay beside the answers
// that share the decode. Costs are in decodes of one token: row is that of a row more, extra that
// of making a guess.
func (g *guesser) wanted(most, answers int, row, extra float64) int {
	if g.rate == 0 {
		g.rate = cmp.Or(g.prior, textRate)
	}
	k := g.worth(most, answers, row, extra)
	if k == 0 {
		if g.quiet++; g.quiet >= tryAgain {
			g.quiet, g.rate = 0, 0
		}
	}
	return k
}

// worth is the number of guesses that makes tokens come fastest. With k guesses of which each comes
// true with probability p if those before it did, p + p^2 + ... + p^k tokens are gained.
func (g *guesser) worth(most, answers int, row, extra float64) (best int) {
	n := float64(answers)
	alone := 1 + row*(n-1)
	speed := n / alone
	gained, p := 0.0, g.rate
	for k := 1; k <= most; k++ {
		gained += p
		p *= g.rate
		if v := (n + gained) / (alone + (row+extra)*float64(k)); v > speed {
			best, speed = k, v
		}
	}
	return best
}

// ahead returns guesses of what follows an answer, at most most: what its grammar forces or, where
// it is free, what followed the same tokens earlier.
func (t *Task) ahead(most, answers int, row float64) (guesses []llama.Token, forced bool) {
	if most <= 0 {
		return nil, false
	}
	if found := t.Answer.Ahead(min(most, mostForced)); len(found) > 0 {
		t.forced.prior, t.forced.weigh = forcedRate, forcedWeight
		if k := t.forced.wanted(len(found), answers, row, 0); k > 0 {
			return found[:k], true
		}
	}
	k := t.guess.wanted(min(most, mostGuesses), answers, row, 0)
	return lookUp(t.Prompt.Items, k), false
}

// learn notes how many guesses came true.
func (g *guesser) learn(guessed, right int) {
	// The guess after the last right one was wrong; those behind it say nothing.
	tried := min(right+1, guessed)
	g.rate += cmp.Or(g.weigh, 0.2) * (float64(right)/float64(tried) - g.rate)
}

// lookUp finds the latest earlier place where the last three or two items stand, and returns the
// tokens that followed there.
func lookUp(items []kv.Item, k int) []llama.Token {
	if k <= 0 {
		return nil
	}
	for _, n := range []int{3, 2} {
		if len(items) < n+1 {
			continue
		}
		tail := items[len(items)-n:]
		if slices.ContainsFunc(tail, func(i kv.Item) bool { return !i.IsToken() }) {
			continue
		}
		for at := len(items) - n - 1; at >= 0; at-- {
			if !slices.Equal(items[at:at+n], tail) {
				continue
			}
			var found []llama.Token
			for _, i := range items[at+n : min(at+n+k, len(items))] {
				if !i.IsToken() {
					break
				}
				found = append(found, llama.Token(i.Value))
			}
			if len(found) > 0 {
				return found
			}
		}
	}
	return nil
}
