package llama

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// RandomSeed makes a stage seed itself from the system.
const RandomSeed uint32 = C.LLAMA_DEFAULT_SEED

// Stage is one step of a sampler chain. Its parameters are checked by NewSampler.
type Stage struct {
	name    string
	selects bool
	build   func(*Model) (*C.struct_llama_sampler, error)

	grammar bool // forbids single tokens, by what the text is so far
	single  bool // changes the logits of single tokens, whatever others there are
	keeps   int  // the best tokens that are kept, and nothing else changed; 0 for other stages
}

// stage makes a Stage whose constructor cannot fail once want holds.
func stage(name string, want error, build func(*Model) *C.struct_llama_sampler) Stage {
	return Stage{name: name, build: func(m *Model) (*C.struct_llama_sampler, error) {
		if want != nil {
			return nil, want
		}
		s := build(m)
		if s == nil {
			return nil, errors.New("libllama refused it")
		}
		return s, nil
	}}
}

// selecting marks a stage as one that ends a chain.
func selecting(s Stage) Stage {
	s.selects = true
	return s
}

// need returns an error unless ok.
func need(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func finite(f float32) bool { return !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) }

// history checks the length of a stage's memory of tokens, which it allocates at once.
func history(lastN int) error {
	const most = 1 << 22
	return need(lastN >= 0 && lastN <= most, "lastN is %d; give 0 to %d", lastN, most)
}

// Greedy selects the most probable token.
func Greedy() Stage {
	s := selecting(stage("greedy", nil, func(*Model) *C.struct_llama_sampler {
		return C.llama_sampler_init_greedy()
	}))
	s.keeps = 1
	return s
}

// Dist draws a token with its probability.
func Dist(seed uint32) Stage {
	return selecting(stage("dist", nil, func(*Model) *C.struct_llama_sampler {
		return C.llama_sampler_init_dist(C.uint32_t(seed))
	}))
}

// TopK keeps the k most probable tokens (Fan et al. 2018); k <= 0 keeps all.
func TopK(k int) Stage {
	s := stage("top-k", need(k <= math.MaxInt32, "k is %d", k),
		func(*Model) *C.struct_llama_sampler {
			return C.llama_sampler_init_top_k(C.int32_t(max(k, 0)))
		})
	s.keeps = max(k, 0)
	return s
}

// TopP keeps the smallest set of tokens whose probabilities add up to p, at least minKeep (Holtzman
// et al. 2019).
func TopP(p float32, minKeep int) Stage {
	return stage("top-p", probability(p, minKeep), func(*Model) *C.struct_llama_sampler {
		return C.llama_sampler_init_top_p(C.float(p), C.size_t(minKeep))
	})
}

// MinP keeps tokens at least p times as probable as the best, at least minKeep.
func MinP(p float32, minKeep int) Stage {
	return stage("min-p", probability(p, minKeep), func(*Model) *C.struct_llama_sampler {
		return C.llama_sampler_init_min_p(C.float(p), C.size_t(minKeep))
	})
}

// Typical keeps tokens of typical surprise up to mass p, at least minKeep (Meister et al. 2022).
func Typical(p float32, minKeep int) Stage {
	return stage("typical", probability(p, minKeep), func(*Model) *C.struct_llama_sampler {
		return C.llama_sampler_init_typical(C.float(p), C.size_t(minKeep))
	})
}

func probability(p float32, minKeep int) error {
	return errors.Join(need(finite(p) && p >= 0 && p <= 1, "p is %v; give 0 to 1", p),
		need(minKeep >= 0, "minKeep is %d", minKeep))
}

// Temperature divides logits by t; t <= 0 leaves only the best token.
func Temperature(t float32) Stage {
	return stage("temperature", need(finite(t), "temperature is %v", t),
		func(*Model) *C.struct_llama_sampler {
			return C.llama_sampler_init_temp(C.float(t))
		})
}

// Mirostat selects so that the surprise stays near tau, learning at rate eta over m tokens (Basu et
// al. 2020).
func Mirostat(seed uint32, tau, eta float32, m int) Stage {
	want := errors.Join(need(finite(tau) && finite(eta), "tau or eta is not finite"),
		need(m > 1 && m <= math.MaxInt32, "m is %d; give 2 or more", m))
	return selecting(stage("mirostat", want, func(model *Model) *C.struct_llama_sampler {
		return C.llama_sampler_init_mirostat(C.int32_t(model.vocab.N()), C.uint32_t(seed),
			C.float(tau), C.float(eta), C.int32_t(m))
	}))
}

// MirostatV2 is the second, simpler version of Mirostat.
func MirostatV2(seed uint32, tau, eta float32) Stage {
	return selecting(stage("mirostat-v2", need(finite(tau) && finite(eta),
		"tau or eta is not finite"), func(*Model) *C.struct_llama_sampler {
		return C.llama_sampler_init_mirostat_v2(C.uint32_t(seed), C.float(tau), C.float(eta))
	}))
}

// Penalties lowers the logits of tokens among the last lastN: repeat divides (1 is off), frequency
// and presence subtract.
func Penalties(lastN int, repeat, frequency, presence float32) Stage {
	want := errors.Join(history(lastN), need(finite(repeat) && repeat > 0,
		"repeat is %v; give more than 0", repeat),
		need(finite(frequency) && finite(presence), "frequency or presence is not finite"))
	s := stage("penalties", want, func(m *Model) *C.struct_llama_sampler {
		return C.llama_sampler_init_penalties(C.int32_t(m.vocab.N()), C.int32_t(lastN),
			C.float(repeat), C.float(frequency), C.float(presence))
	})
	s.single = true
	return s
}

// LogitBias adds to the logits of single tokens; negative infinity forbids one.
func LogitBias(bias map[Token]float32) Stage {
	build := func(m *Model) (*C.struct_llama_sampler, error) {
		list := make([]C.llama_logit_bias, 0, len(bias)+1)
		for t, b := range bias {
			if !m.vocab.valid(t) {
				return nil, fmt.Errorf("token %d is not in the vocabulary of %d", t, m.vocab.N())
			}
			if math.IsNaN(float64(b)) {
				return nil, fmt.Errorf("the bias of token %d is not a number", t)
			}
			list = append(list, C.llama_logit_bias{token: C.llama_token(t), bias: C.float(b)})
		}
		return C.llama_sampler_init_logit_bias(C.int32_t(m.vocab.N()), C.int32_t(len(list)),
			unsafe.SliceData(list)), nil
	}
	return Stage{name: "logit bias", single: true, build: build}
}

// Grammar allows only tokens that keep the text within a GBNF grammar. Sampling fails with
// ErrSampling when none is left.
func Grammar(gbnf, root string) Stage { return grammar(gbnf, root, false, nil, nil) }

// LazyGrammar lets text run free until it matches one of patterns (regular expressions, from the
// start of the text) or one of tokens appears, and holds it to the grammar from the pattern's first
// group, or the token, on.
func LazyGrammar(gbnf, root string, patterns []string, tokens []Token) Stage {
	return grammar(gbnf, root, true, patterns, tokens)
}

func grammar(gbnf, root string, lazy bool, patterns []string, tokens []Token) Stage {
	build := func(m *Model) (*C.struct_llama_sampler, error) {
		if err := errors.Join(need(strings.TrimSpace(gbnf) != "", "the grammar is empty"),
			need(root != "", "the root rule has no name"), noNUL(gbnf, root), noNUL(patterns...),
			shallow(gbnf)); err != nil {
			return nil, err
		}
		for _, t := range tokens {
			if !m.vocab.valid(t) {
				return nil, fmt.Errorf("token %d is not in the vocabulary of %d", t, m.vocab.N())
			}
		}
		var arena cArena
		defer arena.free()
		logged := ggml.CollectErrors()
		var out *C.struct_llama_sampler
		var eb errBuf
		ok := C.shim_sampler_grammar(m.vocab.c, arena.str(gbnf), arena.str(root), C.bool(lazy),
			arena.strings(patterns), C.size_t(len(patterns)),
			(*C.llama_token)(unsafe.Pointer(unsafe.SliceData(tokens))), C.size_t(len(tokens)), &out,
			eb.ptr(), eb.cap())
		if !bool(ok) {
			return nil, logged.Wrap(errors.New(eb.String()))
		}
		if out == nil {
			return nil, logged.Wrap(errors.New("it does not parse"))
		}
		logged.Stop()
		return out, nil
	}
	return Stage{name: "grammar", grammar: true, build: build}
}

// shallow bounds what libllama's grammar parser recurses into, once for each open parenthesis and
// along each chain of rules: far beyond any real grammar, far below what overflows a thread's
// stack.
func shallow(gbnf string) error {
	const maxDepth, maxRules = 256, 8192
	depth, quote := 0, byte(0)
	for i := 0; i < len(gbnf); i++ {
		switch c := gbnf[i]; {
		case c == '\\' && quote != 0 && quote != '\n':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"':
			quote = '"'
		case c == '[':
			quote = ']'
		case c == '#':
			quote = '\n'
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth > maxDepth {
			return fmt.Errorf("parentheses are nested more than %d deep", maxDepth)
		}
	}
	return need(strings.Count(gbnf, "::=") <= maxRules, "there are more than %d rules", maxRules)
}

// noNUL refuses texts that C would cut short.
func noNUL(texts ...string) error {
	for _, t := range texts {
		if strings.ContainsRune(t, 0) {
			return fmt.Errorf("text %.20q contains a NUL byte", t)
		}
	}
	return nil
}
