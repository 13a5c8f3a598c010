package sampling

import (
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// TokenLogprob is a token of the answer with the natural logarithm of its probability.
type TokenLogprob struct {
	Token   llama.Token
	Text    string // the token's bytes; may be part of a character
	Logprob float64
	Top     []TokenLogprob // the most probable tokens at this place, best first
}

// Logprob measures a token, and the most probable ones beside it, in the distribution that logits
// stand for, before anything is done to them: log softmax in float64.
func Logprob(vocab *llama.Vocab, logits []float32, token llama.Token, top int) TokenLogprob {
	norm := logSum(logits)
	entry := func(t llama.Token) TokenLogprob {
		return TokenLogprob{Token: t, Text: string(vocab.Piece(t, true)),
			Logprob: float64(logits[t]) - norm}
	}
	out := entry(token)
	for _, t := range topTokens(logits, top) {
		out.Top = append(out.Top, entry(t))
	}
	return out
}

// topTokens are the n tokens of the highest logits, best first, lower ids first among equals.
func topTokens(logits []float32, n int) []llama.Token {
	top := make([]llama.Token, 0, n+1)
	for i, l := range logits {
		if len(top) == n && (n == 0 || l <= logits[top[n-1]]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, l, func(t llama.Token, l float32) int {
			if logits[t] >= l {
				return -1
			}
			return 1
		})
		top = slices.Insert(top, at, llama.Token(i))
		top = top[:min(len(top), n)]
	}
	return top
}

// logSum is the logarithm of the sum of exponentials, by which logits become logarithms of
// probabilities.
func logSum(logits []float32) float64 {
	best := float64(slices.Max(logits))
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - best)
	}
	return best + math.Log(sum)
}
