package engine

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// The estimate is compared with what libllama says of the state of a full context, which holds the
// cache and little else.
func TestMemoryOfAModelIsEstimated(t *testing.T) {
	for _, cache := range []string{"f16", "q8_0"} {
		// nobody to read beside
		spec := ModelSpec{Model: seedModel, Context: 512, CacheType: cache, Parallel: 1}
		small, err := spec.Memory()
		if err != nil {
			t.Fatal(err)
		}
		spec.Context = 0 // what the model was trained for
		m := open(t, func(s *ModelSpec) { *s = spec })
		large, err := spec.Memory()
		if err != nil {
			t.Fatal(err)
		}
		n := 400
		if _, err := collect(t.Context(), m, Request{Prompt: strings.Repeat("a ", n),
			MaxTokens: 1}); err != nil {
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
			t.Errorf("%s: %.1f bytes a cell estimated, libllama holds %.1f (%d cells)", cache,
				estimate, perCell, held)
		}
		spec.Parallel = 0
		if both, err := spec.Memory(); err != nil ||
			float64(both-large) < estimate*float64(m.Info().Context) ||
			float64(both-large) > 2*estimate*float64(m.Info().Context)+16<<20 {
			t.Errorf("%s: a reader adds %d bytes, %v", cache, both-large, err)
		}
		if weights := small - int64(estimate*512) - computed(t, seedModel); weights <
			int64(m.Info().Bytes) || weights > int64(m.Info().Bytes)*11/10 {
			t.Errorf("%s: %d bytes of weights estimated, %d loaded", cache, weights, m.Info().Bytes)
		}
	}
	spec := ModelSpec{Model: rewrite(t, seedModel, t.TempDir()+"/huge.gguf",
		map[string]any{"llama.attention.key_length": uint32(math.MaxUint32),
			"llama.block_count": uint32(math.MaxUint32)}, nil), Context: 1 << 24}
	if n, err := spec.Memory(); !errors.Is(err, ErrModelFile) {
		t.Errorf("absurd metadata: %d bytes, %v", n, err)
	}
}

// computed is what computeBytes makes of a model's file.
func computed(t *testing.T, path string) int64 {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return int64(computeBytes(f, microBatch))
}

// The estimate of what a model computes in is held against what libllama says in its log.
func TestComputeBuffersAreEstimated(t *testing.T) {
	var mu sync.Mutex
	said := regexp.MustCompile(`compute buffer size *= *([0-9.]+) MiB`)
	most := 0.0
	defer ggml.TapLog(func(_ slog.Level, line string) {
		mu.Lock()
		defer mu.Unlock()
		if m := said.FindStringSubmatch(line); m != nil {
			n, _ := strconv.ParseFloat(m[1], 64)
			most = max(most, n)
		}
	})()
	models := []string{seedModel}
	if synth := os.Getenv("EYELET_SYNTH"); synth != "" { // a model of some size
		models = append(models, synth)
	}
	for _, model := range models {
		mu.Lock()
		most = 0
		mu.Unlock()
		open(t, textOnly, func(s *ModelSpec) { s.Model = model })
		mu.Lock()
		estimate := float64(computed(t, model)) / (1 << 20)
		if most == 0 || estimate < 0.7*most || estimate > 3*most {
			t.Errorf("%s: %.1f MiB estimated, libllama says %.1f", model, estimate, most)
		}
		t.Logf("%s: %.1f MiB estimated, libllama says %.1f", model, estimate, most)
		mu.Unlock()
	}
}

func TestDecodedPicturesAndSecondContextsCountAsMemory(t *testing.T) {
	bytes := func(spec ModelSpec) int64 {
		n, err := spec.Memory()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	see := ModelSpec{Model: seedModel, Projector: seedProjector}
	more := see
	more.DecodeBytes = media.DefaultDecodeBytes + 1000
	if d := bytes(more) - bytes(see); d != 1000 {
		t.Errorf("1000 bytes more of decoded pictures count as %d", d)
	}
	embeds := ModelSpec{Model: rewrite(t, seedModel, t.TempDir()+"/embeds.gguf",
		map[string]any{"llama.pooling_type": uint32(1)}, nil)}
	plain := ModelSpec{Model: seedModel}
	f, err := gguf.Open(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	context := int64(cacheBytes(f, 0, ggml.F16, ggml.F16)) + computed(t, seedModel)
	if d := bytes(embeds) - bytes(plain); d < context || d > context+1<<16 {
		t.Errorf("a second context counts as %d bytes, want %d", d, context)
	}
}

func TestSpellingsOfTheCacheTypeAreOneIdentity(t *testing.T) {
	m := open(t, textOnly)
	seen := map[string]bool{}
	for _, spelling := range []string{"", "f16", "F16"} {
		id, err := m.stateIdentity(ModelSpec{Model: seedModel, CacheType: spelling})
		if err != nil {
			t.Fatal(err)
		}
		seen[id] = true
	}
	other, err := m.stateIdentity(ModelSpec{Model: seedModel, CacheType: "q8_0"})
	if err != nil || len(seen) != 1 || seen[other] {
		t.Errorf("%d identities of one type, %v", len(seen), err)
	}
}
