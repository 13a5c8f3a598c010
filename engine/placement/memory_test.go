package placement

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// openContext loads a model, and makes a context of so many cells as an engine does.
func openContext(t *testing.T, spec modelspec.Spec, cells int) (*llama.Model, *llama.Context) {
	t.Helper()
	if err := llama.Init(); err != nil {
		t.Fatal(err)
	}
	params, err := spec.Check()
	if err != nil {
		t.Fatal(err)
	}
	loading, err := Begin(t.Context(), &spec)
	if err != nil {
		t.Fatal(err)
	}
	defer loading.End(true)
	lm, err := llama.LoadModel(t.Context(), spec.Model, loading.Params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lm.Close() })
	params.NCtx, params.NSeqMax = cells, spec.Parallel+modelspec.KeptSequences
	lc, err := llama.NewContext(lm, params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lc.Close() })
	return lm, lc
}

// memory is what [Memory] says of a model.
func memory(t *testing.T, spec modelspec.Spec) int64 {
	t.Helper()
	n, err := Memory(&spec)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// changed copies the built-in language model with other metadata.
func changed(t *testing.T, set map[string]any) string {
	t.Helper()
	f, err := gguf.Open(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := gguf.NewWriter(f.Architecture())
	for _, kv := range f.Keys() {
		w.Set(kv.Key, kv.Value)
	}
	for key, value := range set {
		w.Set(key, value)
	}
	for _, tensor := range f.Tensors() {
		w.AddTensor(tensor.Name, tensor.Type, tensor.Dims, tensor.Data())
	}
	path := t.TempDir() + "/changed.gguf"
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// The estimate is compared with what libllama says of the state of a sequence, which holds the
// cache and little else.
func TestMemoryOfAModelIsEstimated(t *testing.T) {
	const least, most, tokens = 512, 1024, 400
	for _, cache := range []string{"f16", "q8_0"} {
		// nobody to read beside
		spec := modelspec.Spec{Model: seedModel, Context: least, CacheType: cache, Parallel: 1}
		small := memory(t, spec)
		spec.Context = most
		large := memory(t, spec)
		lm, lc := openContext(t, spec, most)
		batch := llama.NewTokenBatch(tokens, 1)
		defer batch.Close()
		for i := range tokens {
			if err := batch.Add(10, llama.Pos(i), false, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := lc.Decode(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		state, err := lc.StateSize(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		perCell := float64(state) / tokens
		estimate := float64(large-small) / (most - least)
		if math.Abs(perCell/estimate-1) > 0.05 {
			t.Errorf("%s: %.1f bytes a cell estimated, libllama holds %.1f", cache, estimate,
				perCell)
		}
		spec.Parallel = 0
		if more := float64(memory(t, spec) - large); more < estimate*most ||
			more > 2*estimate*most+16<<20 {
			t.Errorf("%s: a reader adds %v bytes", cache, more)
		}
		weights := small - int64(estimate*least) - computed(t, seedModel)
		if size := int64(lm.Size()); weights < size || weights > size*11/10 {
			t.Errorf("%s: %d bytes of weights estimated, %d loaded", cache, weights, size)
		}
	}
	spec := modelspec.Spec{Context: 1 << 24, Model: changed(t, map[string]any{
		"llama.attention.key_length": uint32(math.MaxUint32),
		"llama.block_count":          uint32(math.MaxUint32)})}
	if n, err := Memory(&spec); !errors.Is(err, fault.ErrModelFile) {
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
		openContext(t, modelspec.Spec{Model: model}, 1024)
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
	see := modelspec.Spec{Model: seedModel, Projector: seedProjector}
	more := see
	more.DecodeBytes = media.DefaultDecodeBytes + 1000
	if d := memory(t, more) - memory(t, see); d != 1000 {
		t.Errorf("1000 bytes more of decoded pictures count as %d", d)
	}
	embeds := modelspec.Spec{Model: changed(t, map[string]any{"llama.pooling_type": uint32(1)})}
	plain := modelspec.Spec{Model: seedModel}
	f, err := gguf.Open(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	context := int64(cacheBytes(f, 0, ggml.F16, ggml.F16)) + computed(t, seedModel)
	if d := memory(t, embeds) - memory(t, plain); d < context || d > context+1<<16 {
		t.Errorf("a second context counts as %d bytes, want %d", d, context)
	}
}
