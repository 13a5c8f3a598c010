// Package sampling draws the tokens of an answer from a model's logits: by a request's options,
// held by a grammar, steered away from a negative prompt.
package sampling

import (
	"context"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/models/reply"
)

// Options say how tokens are chosen. The zero value always takes the most probable one.
type Options struct {
	// 0 takes the most probable token; the rest is ignored then, but for penalties and bias
	Temperature float32
	TopK        int     // 0 keeps all
	TopP        float32 // 0 or 1 keeps all
	MinP        float32 // 0 keeps all
	TypicalP    float32 // 0 or 1 keeps all
	Seed        *uint32 // nil draws one; Sampler.Seed tells which

	RepeatPenalty    float32 // 0 or 1 is off
	FrequencyPenalty float32
	PresencePenalty  float32
	// PenaltyLastN is how many tokens penalties look back on, those of the prompt included and
	// pictures left out; 0 means 64, negative all that the context holds.
	PenaltyLastN int

	// SpareNewline keeps penalties from counting for the newline, without which lists and verses
	// run into one line.
	SpareNewline bool

	LogitBias map[llama.Token]float32 // added to logits; negative infinity forbids a token
	IgnoreEnd bool                    // forbids the tokens that end an answer

	// Mirostat draws tokens so that the text stays about as surprising as MirostatTau bits a token
	// (Basu et al. 2021): 1 and 2 are the paper's two algorithms, 0 is off. TopK, TopP, MinP and
	// TypicalP are ignored with it.
	Mirostat    int
	MirostatTau float32 // 0 means 5
	MirostatEta float32 // how fast it corrects itself; 0 means 0.1
}

// Anew returns how an answer is drawn again: by another seed, and at random where it was not.
func (o Options) Anew() Options {
	if o.Temperature == 0 {
		o.Temperature = 0.7
	}
	if o.Seed != nil {
		seed := *o.Seed + 1
		o.Seed = &seed
	}
	return o
}

// Host is the model whose tokens are drawn.
type Host struct {
	Context *llama.Context       // with the logits
	Cells   int                  // of it, which is as far as penalties look back
	Ends    func() []llama.Token // that end an answer
	Threads int
	Thread  *compute.Thread
	// Open makes another context of the model.
	Open func(context.Context, llama.ContextParams) (*llama.Context, error)
}

func (h *Host) vocab() *llama.Vocab { return h.Context.Model().Vocab() }

// Sampler draws the tokens of an answer. It is used on the compute thread but for its beginning and
// its end.
type Sampler struct {
	Chain *llama.Sampler // its stages in libllama
	Seed  uint32         // the one in use

	host  Host
	lines *newlines // nil without Options.SpareNewline
	guide *guidance // nil without a negative prompt
}

// New makes a sampler whose penalties know the tokens of a prompt, and which is held to a grammar.
// Errors wrap the engine's ErrRequest.
func New(host Host, o *Options, held reply.Constraint, prompt []llama.Token) (*Sampler, error) {
	s := &Sampler{host: host, lines: newNewlines(&host, o, prompt)}
	if err := s.build(o, held, prompt); err != nil {
		return nil, err
	}
	return s, nil
}

// Draw draws the token that follows an output.
func (s *Sampler) Draw(output int) (token llama.Token, err error) {
	lc := s.host.Context
	if s.guide == nil && s.lines == nil {
		return s.Chain.Sample(lc, output)
	}
	logits, err := lc.Logits(output)
	if err == nil && s.guide != nil {
		err = s.guide.steer(logits)
	}
	if err != nil {
		return token, err
	}
	if s.lines != nil {
		defer s.lines.spare(logits)()
	}
	if token, err = s.Chain.Sample(lc, output); err != nil {
		return token, err
	}
	if s.guide != nil {
		s.guide.drawn(token)
	}
	if s.lines != nil {
		s.lines.drawn(token)
	}
	return token, nil
}

// Close frees the sampler. Nobody draws any more.
func (s *Sampler) Close() {
	if s == nil {
		return
	}
	if s.guide != nil {
		_ = s.host.Thread.Do(context.Background(), s.guide.close)
	}
	s.Chain.Close()
}
