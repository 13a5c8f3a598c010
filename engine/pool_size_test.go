package engine

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// The estimate is compared with what libllama says of the state of a full context, which holds the cache and little else.
func TestMemoryOfAModelIsEstimated(t *testing.T) {
	for _, cache := range []string{"f16", "q8_0"} {
		spec := ModelSpec{Model: seedModel, Context: 512, CacheType: cache, Parallel: 1} // nobody to read beside
		small, err := spec.bytes()
		if err != nil {
			t.Fatal(err)
		}
		spec.Context = 0 // what the model was trained for
		m := open(t, func(s *ModelSpec) { *s = spec })
		large, err := spec.bytes()
		if err != nil {
			t.Fatal(err)
		}
		n := 400
		if _, err := collect(t.Context(), m, Request{Prompt: strings.Repeat("a ", n), MaxTokens: 1}); err != nil {
			t.Fatal(err)
		}
		var held, state int
		_ = m.sched.Do(func() {
			s := m.cache.Finished()[0]
			held = s.Len()
			m.run(func() { state, err = m.decoder.StateSize(s.ID) })
		})
		if err != nil {
			t.Fatal(err)
		}
		perCell := float64(state) / float64(held)
		estimate := float64(large-small) / float64(m.Info().Context-512)
		if math.Abs(perCell/estimate-1) > 0.05 {
			t.Errorf("%s: %.1f bytes a cell estimated, libllama holds %.1f (%d cells)", cache, estimate, perCell, held)
		}
		spec.Parallel = 0
		if both, err := spec.bytes(); err != nil || float64(both-large) < estimate*float64(m.Info().Context) || float64(both-large) > 2*estimate*float64(m.Info().Context)+16<<20 {
			t.Errorf("%s: a reader adds %d bytes, %v", cache, both-large, err)
		}
		if weights := small - int64(estimate*512); weights < int64(m.Info().Bytes) || weights > int64(m.Info().Bytes)*11/10 {
			t.Errorf("%s: %d bytes of weights estimated, %d loaded", cache, weights, m.Info().Bytes)
		}
	}
	spec := ModelSpec{Model: rewrite(t, seedModel, t.TempDir()+"/huge.gguf", map[string]any{"llama.attention.key_length": uint32(math.MaxUint32), "llama.block_count": uint32(math.MaxUint32)}, nil), Context: 1 << 24}
	if n, err := spec.bytes(); !errors.Is(err, ErrModelFile) {
		t.Errorf("absurd metadata: %d bytes, %v", n, err)
	}
}
