package sampling

import (
	"cmp"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"math"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/models/reply"
)

// build makes the chain, and decides the seed.
func (s *Sampler) build(o *Options, held reply.Constraint, prompt []llama.Token) error {
	if o.Seed != nil {
		s.Seed = *o.Seed
	} else {
		var b [4]byte
		_, _ = crand.Read(b[:])
		s.Seed = binary.LittleEndian.Uint32(b[:])
	}
	// libllama would draw one of its own, and nobody could repeat the answer
	if s.Seed == llama.RandomSeed {
		s.Seed--
	}
	stages := s.host.constraints(o, held)
	if o.Temperature < 0 || math.IsNaN(float64(o.Temperature)) {
		return fmt.Errorf("%w: temperature %v; give 0 or more", fault.ErrRequest, o.Temperature)
	}
	switch {
	case o.Mirostat < 0 || o.Mirostat > 2:
		return fmt.Errorf("%w: Mirostat is %d; give 0, 1 or 2", fault.ErrRequest, o.Mirostat)
	case o.Temperature == 0:
		stages = append(stages, llama.Greedy())
	case o.Mirostat != 0:
		stages = append(stages, llama.Temperature(o.Temperature), mirostat(o, s.Seed))
	default:
		stages = append(stages, narrowing(o)...)
		stages = append(stages, llama.Temperature(o.Temperature), llama.Dist(s.Seed))
	}
	var err error
	if s.Chain, err = llama.NewSampler(s.host.Context.Model(), stages...); err != nil {
		return fmt.Errorf("%w: %w", fault.ErrRequest, err)
	}
	if err := s.Chain.AcceptPrompt(prompt[max(len(prompt)-s.host.lookBack(o), 0):]); err != nil {
		s.Chain.Close()
		return fmt.Errorf("%w: %w", fault.ErrRequest, err)
	}
	return nil
}

// lookBack is how many tokens penalties look back on. More than the context holds has no use, and
// would take memory.
func (h *Host) lookBack(o *Options) int {
	switch {
	case o.PenaltyLastN == 0:
		return 64
	case o.PenaltyLastN < 0:
		return h.Cells
	}
	return min(o.PenaltyLastN, h.Cells)
}

// constraints are the stages that hold at every temperature. The grammar comes before anything that
// could remove the tokens it allows.
func (h *Host) constraints(o *Options, held reply.Constraint) []llama.Stage {
	var stages []llama.Stage
	bias := o.LogitBias
	if o.IgnoreEnd {
		bias = map[llama.Token]float32{}
		maps.Copy(bias, o.LogitBias)
		for _, t := range h.Ends() {
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
	repeat := o.RepeatPenalty
	if repeat == 0 {
		repeat = 1
	}
	if repeat != 1 || o.FrequencyPenalty != 0 || o.PresencePenalty != 0 {
		stages = append(stages, llama.Penalties(h.lookBack(o), repeat, o.FrequencyPenalty,
			o.PresencePenalty))
	}
	return stages
}

// mirostat is the stage that selects in the place of narrowing. The first algorithm estimates the
// vocabulary's slope from so many tokens.
func mirostat(o *Options, seed uint32) llama.Stage {
	const estimate = 100
	tau, eta := cmp.Or(o.MirostatTau, 5), cmp.Or(o.MirostatEta, 0.1)
	if o.Mirostat == 1 {
		return llama.Mirostat(seed, tau, eta, estimate)
	}
	return llama.MirostatV2(seed, tau, eta)
}

// impossible is a part of the best token's probability below which a token will never be drawn.
const impossible = 1e-30

// narrowing are the stages that cut off the tail of the distribution, in llama.cpp's usual order.
func narrowing(o *Options) []llama.Stage {
	var stages []llama.Stage
	if o.TopK > 0 {
		stages = append(stages, llama.TopK(o.TopK))
	}
	if o.TypicalP > 0 && o.TypicalP < 1 {
		// Of tokens that a grammar or a bias forbids, libllama's typical sampling makes an entropy
		// that is not a number: they go before.
		stages = append(stages, llama.MinP(impossible, 1), llama.Typical(o.TypicalP, 1))
	}
	if o.TopP > 0 && o.TopP < 1 {
		stages = append(stages, llama.TopP(o.TopP, 1))
	}
	if o.MinP > 0 {
		stages = append(stages, llama.MinP(o.MinP, 1))
	}
	return stages
}
