package engine

import (
	"cmp"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/reply"
)

// sampler builds the chain of a request, whose penalties know the tokens of its prompt, and returns
// the seed in use.
func (m *Model) sampler(r *Request, held reply.Constraint,
	prompt []Token) (*llama.Sampler, uint32, error) {
	s := &r.Sampling
	seed := uint32(0)
	if s.Seed != nil {
		seed = *s.Seed
	} else {
		var b [4]byte
		_, _ = crand.Read(b[:])
		seed = binary.LittleEndian.Uint32(b[:])
	}
	// libllama would draw one of its own, and nobody could repeat the answer
	if seed == llama.RandomSeed {
		seed--
	}
	stages := m.constraints(r, held)
	if s.Temperature < 0 || math.IsNaN(float64(s.Temperature)) {
		return nil, 0, fmt.Errorf("%w: temperature %v; give 0 or more", ErrRequest, s.Temperature)
	}
	switch {
	case s.Mirostat < 0 || s.Mirostat > 2:
		return nil, 0, fmt.Errorf("%w: Mirostat is %d; give 0, 1 or 2", ErrRequest, s.Mirostat)
	case s.Temperature == 0:
		stages = append(stages, llama.Greedy())
	case s.Mirostat != 0:
		stages = append(stages, llama.Temperature(s.Temperature), mirostat(s, seed))
	default:
		stages = append(stages, narrowing(s)...)
		stages = append(stages, llama.Temperature(s.Temperature), llama.Dist(seed))
	}
	chain, err := llama.NewSampler(m.lm, stages...)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := chain.AcceptPrompt(prompt[max(len(prompt)-m.lookBack(s), 0):]); err != nil {
		chain.Close()
		return nil, 0, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return chain, seed, nil
}

// lookBack is how many tokens penalties look back on. More than the context holds has no use, and
// would take memory.
func (m *Model) lookBack(s *Sampling) int {
	switch {
	case s.PenaltyLastN == 0:
		return 64
	case s.PenaltyLastN < 0:
		return m.cells
	}
	return min(s.PenaltyLastN, m.cells)
}

// constraints are the stages that hold at every temperature. The grammar comes before anything that
// could remove the tokens it allows.
func (m *Model) constraints(r *Request, held reply.Constraint) []llama.Stage {
	var stages []llama.Stage
	s := &r.Sampling
	bias := s.LogitBias
	if s.IgnoreEnd {
		bias = map[Token]float32{}
		maps.Copy(bias, s.LogitBias)
		for _, t := range m.endings() {
			bias[t] = float32(math.Inf(-1))
		}
	}
	if len(bias) > 0 {
		stages = append(stages, llama.LogitBias(bias))
	}
	switch {
	case held.Trigger != "":
		stages = append(stages, llama.LazyGrammar(held.GBNF, "root", []string{held.Trigger}, nil))
	case held.GBNF != "":
		stages = append(stages, llama.Grammar(held.GBNF, "root"))
	}
	repeat := s.RepeatPenalty
	if repeat == 0 {
		repeat = 1
	}
	if repeat != 1 || s.FrequencyPenalty != 0 || s.PresencePenalty != 0 {
		stages = append(stages, llama.Penalties(m.lookBack(s), repeat, s.FrequencyPenalty,
			s.PresencePenalty))
	}
	return stages
}

// mirostat is the stage that selects in the place of narrowing. The first algorithm estimates the
// vocabulary's slope from so many tokens.
func mirostat(s *Sampling, seed uint32) llama.Stage {
	const estimate = 100
	tau, eta := cmp.Or(s.MirostatTau, 5), cmp.Or(s.MirostatEta, 0.1)
	if s.Mirostat == 1 {
		return llama.Mirostat(seed, tau, eta, estimate)
	}
	return llama.MirostatV2(seed, tau, eta)
}

// impossible is a part of the best token's probability below which a token will never be drawn.
const impossible = 1e-30

// narrowing are the stages that cut off the tail of the distribution, in llama.cpp's usual order.
func narrowing(s *Sampling) []llama.Stage {
	var stages []llama.Stage
	if s.TopK > 0 {
		stages = append(stages, llama.TopK(s.TopK))
	}
	if s.TypicalP > 0 && s.TypicalP < 1 {
		// Of tokens that a grammar or a bias forbids, libllama's typical sampling makes an entropy
		// that is not a number: they go before.
		stages = append(stages, llama.MinP(impossible, 1), llama.Typical(s.TypicalP, 1))
	}
	if s.TopP > 0 && s.TopP < 1 {
		stages = append(stages, llama.TopP(s.TopP, 1))
	}
	if s.MinP > 0 {
		stages = append(stages, llama.MinP(s.MinP, 1))
	}
	return stages
}

// logprob measures a token in the distribution that logits stand for, before any sampler stage: log
// softmax in float64.
func (m *Model) logprob(logits []float32, token llama.Token, top int) TokenLogprob {
	norm := logSum(logits)
	vocab := m.lm.Vocab()
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
