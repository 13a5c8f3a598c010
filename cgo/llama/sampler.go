package llama

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// ErrSampling is returned when a sampler cannot go on, for example because no token fits its
// grammar.
var ErrSampling = errors.New("llama: sampling failed")

// Sampler is a chain of stages that narrow down the next token. The last stage (Greedy, Dist,
// Mirostat, AdaptiveP) selects it. A Sampler holds the history of one sequence: give each sequence
// its own. It belongs to one goroutine at a time.
type Sampler struct {
	c     *C.struct_llama_sampler
	model *Model

	candidates *C.llama_token_data // room for one a token of the vocabulary
	cut        C.shim_shortcut
}

// NewSampler builds a chain from stages, in order. Only the last one may select.
func NewSampler(model *Model, stages ...Stage) (*Sampler, error) {
	for i, stage := range stages {
		switch last := i == len(stages)-1; {
		case stage.build == nil:
			return nil, fmt.Errorf("llama: sampler: stage %d is empty", i)
		case stage.selects && !last:
			return nil, fmt.Errorf("llama: sampler: %s selects a token and must be the last stage",
				stage.name)
		}
	}
	if len(stages) == 0 || !stages[len(stages)-1].selects {
		return nil, errors.New("llama: a sampler must end with a stage that selects: Greedy, Dist, Mirostat, MirostatV2 or AdaptiveP")
	}
	if err := model.acquire(); err != nil {
		return nil, err
	}
	if model.vocab.N() == 0 {
		model.release()
		return nil, fmt.Errorf("llama: sampler: %s has no vocabulary", model.path)
	}
	var chain *C.struct_llama_sampler
	var eb errBuf
	if err := eb.err(C.shim_sampler_chain(&chain, eb.ptr(), eb.cap()), "sampler"); err != nil {
		model.release()
		return nil, err
	}
	s := newSampler(chain, model, shortcut(stages))
	for _, stage := range stages {
		built, err := stage.build(model)
		if err == nil {
			if err = eb.err(C.shim_sampler_chain_add(chain, built, eb.ptr(), eb.cap()),
				"sampler"); err != nil {
				C.llama_sampler_free(built)
			}
		}
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("llama: sampler %s: %w", stage.name, err)
		}
	}
	return s, nil
}

// shortcut finds out whether a grammar needs to see the best tokens alone: where nothing but a
// number of these is kept of what it allows, and what comes before that looks at single tokens. To
// ask a grammar about a whole vocabulary takes milliseconds.
func shortcut(stages []Stage) (cut C.shim_shortcut) {
	grammar := -1
	for i, stage := range stages {
		switch {
		case stage.grammar && grammar < 0:
			grammar = i
		case stage.single:
		case grammar >= 0 && stage.keeps > 0:
			return C.shim_shortcut{C.int32_t(grammar), C.int32_t(i), C.int32_t(stage.keeps)}
		default:
			return C.shim_shortcut{}
		}
	}
	return C.shim_shortcut{}
}

// newSampler takes over a chain, and a use of model that was acquired for it.
func newSampler(chain *C.struct_llama_sampler, model *Model, cut C.shim_shortcut) *Sampler {
	size := C.size_t(unsafe.Sizeof(C.llama_token_data{}))
	return &Sampler{c: chain, model: model, cut: cut,
		candidates: (*C.llama_token_data)(C.malloc(C.size_t(model.vocab.N()) * size))}
}

// Close frees the chain and its stages.
func (s *Sampler) Close() error {
	if s.c != nil {
		C.llama_sampler_free(s.c)
		C.free(unsafe.Pointer(s.candidates))
		s.c, s.candidates = nil, nil
		s.model.release()
	}
	return nil
}

// Sample chooses the token that follows entry i of the last batch of ctx, and accepts it into the
// sampler's history. When no token is left to choose, the error is ErrSampling and the history is
// as before.
func (s *Sampler) Sample(ctx *Context, i int) (Token, error) {
	if s.c == nil {
		return NoToken, ErrClosed
	}
	if ctx.model != s.model {
		return NoToken, errors.New("llama: the sampler was made for another model")
	}
	logits, err := ctx.Logits(i)
	if err != nil {
		return NoToken, err
	}
	left, err := s.run(logits, true)
	if err != nil {
		return NoToken, err
	}
	return Token(unsafe.Slice(left.data, left.size)[left.selected].id), nil
}

// run applies the chain and returns what is left of the candidates, in memory of the sampler or of
// one of its stages.
func (s *Sampler) run(logits []float32, accept bool) (C.llama_token_data_array, error) {
	var left C.llama_token_data_array
	var eb errBuf
	var cut C.shim_shortcut
	if accept { // and nobody looks at the candidates
		cut = s.cut
	}
	if !bool(C.shim_sampler_run(s.c, (*C.float)(unsafe.Pointer(&logits[0])), C.int32_t(len(logits)),
		s.candidates, &cut, C.bool(accept), &left, eb.ptr(), eb.cap())) {
		return left, fmt.Errorf("%w: %s", ErrSampling, &eb)
	}
	return left, nil
}

// Candidate is a token with its logit and, once a stage has computed it, its probability.
type Candidate struct {
	ID    Token
	Logit float32
	P     float32
}

// Apply runs the chain over logits (one a token of the vocabulary) without accepting a token. It
// returns the selected token and what is left of the candidates, in the chain's order.
func (s *Sampler) Apply(logits []float32) (Token, []Candidate, error) {
	if s.c == nil {
		return NoToken, nil, ErrClosed
	}
	if n := s.model.vocab.N(); len(logits) != n {
		return NoToken, nil, fmt.Errorf("llama: %d logits for a vocabulary of %d", len(logits), n)
	}
	left, err := s.run(logits, false)
	if err != nil {
		return NoToken, nil, err
	}
	data := unsafe.Slice(left.data, left.size)
	candidates := make([]Candidate, len(data))
	for i, d := range data {
		candidates[i] = Candidate{Token(d.id), float32(d.logit), float32(d.p)}
	}
	return candidates[left.selected].ID, candidates, nil
}

// Accept adds a token to the history without choosing it: tokens of a draft, a forced token. A
// token that the grammar forbids is an error, after which the sampler is of use only after Reset.
func (s *Sampler) Accept(t Token) error {
	if s.c == nil {
		return ErrClosed
	}
	if !s.model.vocab.valid(t) {
		return fmt.Errorf("llama: token %d is not in the vocabulary of %d", t, s.model.vocab.N())
	}
	var eb errBuf
	if !bool(C.shim_sampler_accept(s.c, C.llama_token(t), eb.ptr(), eb.cap())) {
		return fmt.Errorf("%w: %s", ErrSampling, eb.String())
	}
	return nil
}

// AcceptPrompt adds tokens of a prompt to the history of stages that look back on text, which are
// Penalties and DRY. Grammars and stages that select do not learn of them.
func (s *Sampler) AcceptPrompt(tokens []Token) error {
	if s.c == nil {
		return ErrClosed
	}
	for _, t := range tokens {
		if !s.model.vocab.valid(t) {
			return fmt.Errorf("llama: token %d is not in the vocabulary of %d", t,
				s.model.vocab.N())
		}
	}
	for i := range C.llama_sampler_chain_n(s.c) {
		stage := C.llama_sampler_chain_get(s.c, C.int32_t(i))
		if name := C.GoString(C.llama_sampler_name(stage)); name != "penalties" && name != "dry" {
			continue
		}
		for _, t := range tokens {
			C.llama_sampler_accept(stage, C.llama_token(t))
		}
	}
	return nil
}

// Reset forgets the history: penalties, grammar state, and the state of random number generators.
func (s *Sampler) Reset() error {
	if s.c == nil {
		return ErrClosed
	}
	var eb errBuf
	return eb.err(C.shim_sampler_reset(s.c, eb.ptr(), eb.cap()), "reset sampler")
}

// Clone copies the chain with its history.
func (s *Sampler) Clone() (*Sampler, error) {
	if s.c == nil {
		return nil, ErrClosed
	}
	if err := s.model.acquire(); err != nil {
		return nil, err
	}
	var out *C.struct_llama_sampler
	var eb errBuf
	if !bool(C.shim_sampler_clone(s.c, &out, eb.ptr(), eb.cap())) || out == nil {
		s.model.release()
		return nil, fmt.Errorf("%w: clone: %s", ErrSampling, eb.String())
	}
	return newSampler(out, s.model, s.cut), nil
}
