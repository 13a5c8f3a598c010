package llama

// #include "shim.h"
import "C"

import "time"

// Perf are the counters of a Context made with MeasurePerf, since its start or the last ResetPerf.
type Perf struct {
	// time spent loading, on batches of several tokens, and on single tokens
	Load, Prompt, Generate                             time.Duration
	PromptTokens, GeneratedTokens                      int
	GraphsReused, GraphsReallocSame, GraphsReallocDiff int
}

// Perf reads the counters.
func (c *Context) Perf() Perf {
	if c.c == nil {
		return Perf{}
	}
	p := C.llama_perf_context(c.c)
	ms := func(v C.double) time.Duration {
		return time.Duration(float64(v) * float64(time.Millisecond))
	}
	return Perf{Load: ms(p.t_load_ms), Prompt: ms(p.t_p_eval_ms), Generate: ms(p.t_eval_ms),
		PromptTokens: int(p.n_p_eval), GeneratedTokens: int(p.n_eval),
		GraphsReused: int(p.n_reused), GraphsReallocSame: int(p.n_reallocs_same),
		GraphsReallocDiff: int(p.n_reallocs_diff)}
}

// ResetPerf sets the counters to zero.
func (c *Context) ResetPerf() {
	if c.c != nil {
		C.llama_perf_context_reset(c.c)
	}
}
