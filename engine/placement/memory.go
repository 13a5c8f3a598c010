package placement

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// Memory estimates the bytes of memory that a model takes once it is loaded, without what would lie
// in that of devices now: its files, its KV cache, the buffers that it computes in, and the
// pictures that are decoded for it. Errors are those of its files and options.
func Memory(spec *modelspec.Spec) (int64, error) {
	p, err := now(context.Background(), spec)
	switch {
	case err != nil:
		return 0, err
	case p == nil:
		return MemoryBeside(spec, nil)
	}
	return MemoryBeside(spec, p.shares)
}

// MemoryBeside is [Memory] for a model of which shares lie on devices.
func MemoryBeside(spec *modelspec.Spec, shares []Share) (int64, error) {
	params, err := spec.ContextParams()
	if err != nil {
		return 0, err
	}
	total, err := languageBytes(spec.Model, params.NCtx, params.TypeK, params.TypeV)
	if err != nil {
		return 0, err
	}
	if spec.Parallel != 1 || spec.StateDir != "" {
		beside, err := besideBytes(spec.Model, params, spec.Parallel != 1)
		if err != nil {
			return 0, err
		}
		total += beside
	}
	if spec.Draft != "" {
		draft, err := languageBytes(spec.Draft, params.NCtx, ggml.F16, ggml.F16)
		if err != nil {
			return 0, err
		}
		total += draft
	}
	if spec.Projector != "" {
		info, err := os.Stat(spec.Projector)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", fault.ErrModelFile, err)
		}
		total += float64(info.Size())
	}
	for _, s := range shares {
		if !s.Shared {
			total -= float64(s.Bytes)
		}
	}
	if total = max(total, 0); spec.Projector != "" {
		total += float64(cmp.Or(spec.DecodeBytes, media.DefaultDecodeBytes))
	}
	if !(total < math.MaxInt64/2) { // or NaN
		return 0, fmt.Errorf("%w: by what %s says of itself, it would take %.3g bytes of memory",
			fault.ErrModelFile, spec.Model, total)
	}
	return int64(total), nil
}

// languageBytes is the size of a language model's files, all parts of a split one, of its KV cache,
// and of what it computes in. A model that makes embeddings alone has a second context, as long as
// the first, as soon as it is asked for one.
func languageBytes(path string, nCtx int, keys, values ggml.Type) (float64, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	defer f.Close()
	context := cacheBytes(f, nCtx, keys, values) + computeBytes(f, microBatch)
	if _, embeds := f.Lookup(f.Architecture() + ".pooling_type"); embeds {
		context *= 2
	}
	return float64(f.Size()) + context, nil
}

// microBatch is how many tokens libllama computes at once, unless it is told otherwise.
const microBatch = 512

// computeBytes is about what a context computes a prompt in: a handful of rows of the layers for
// each token of a micro-batch, and the logits of the vocabulary for those of its tokens whose
// logits may be asked for, as float32.
func computeBytes(f *gguf.File, outputs int) float64 {
	arch := f.Architecture() + "."
	width, _ := f.Uint(arch + "embedding_length")
	ff, _ := f.Uint(arch + "feed_forward_length")
	tokens, _ := f.Lookup("tokenizer.ggml.tokens")
	return 4 * (microBatch*(4*float64(width)+2*float64(ff)) +
		float64(outputs)*float64(tokens.Len()))
}

// besideBytes is the most that copies of cells outside a model's cache take, and, if it has one,
// its reader while that is open.
func besideBytes(path string, params llama.ContextParams, reader bool) (float64, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	defer f.Close()
	copies := min(sched.CopiedShare*cacheBytes(f, params.NCtx, params.TypeK, params.TypeV),
		sched.MostCopies)
	if !reader {
		return copies, nil
	}
	cells := min(positions(f, params.NCtx), compute.MostReaderCells)
	return copies + cacheBytes(f, int(cells), params.TypeK, params.TypeV) + computeBytes(f,
		compute.ReaderOutputs), nil
}

// positions is the number of cells of a context that was asked for with nCtx of them: 0 means as
// many as Load would take.
func positions(f *gguf.File, nCtx int) float64 {
	if nCtx > 0 {
		return float64(nCtx)
	}
	n := float64(modelspec.DefaultContext)
	if train, _ := f.Uint(f.Architecture() + ".context_length"); train > 0 {
		n = min(n, float64(train))
	}
	return n
}

// cacheBytes is the size of the KV cache by a model's metadata: for each layer and position a row
// of keys and one of values, of attention.head_count_kv heads, attention.key_length and
// value_length wide. Layers with a sliding window, which keep fewer positions, count in full. nCtx
// 0 means as many positions as Load would take. The result may be anything, as the metadata may.
func cacheBytes(f *gguf.File, nCtx int, keys, values ggml.Type) float64 {
	arch := f.Architecture() + "."
	number := func(key string) float64 {
		n, _ := f.Uint(arch + key)
		return float64(n)
	}
	heads := number("attention.head_count")
	width := 0.0
	if heads > 0 {
		width = number("embedding_length") / heads
	}
	keyWidth, valueWidth := width, width
	if n := number("attention.key_length"); n > 0 {
		keyWidth = n
	}
	if n := number("attention.value_length"); n > 0 {
		valueWidth = n
	}
	// One number for all layers, or one for each.
	kvHeads := heads * number("block_count")
	if n, ok := f.Uint(arch + "attention.head_count_kv"); ok {
		kvHeads = float64(n) * number("block_count")
	} else if list, ok := f.Ints(arch + "attention.head_count_kv"); ok {
		kvHeads = 0
		for _, n := range list {
			kvHeads += float64(n)
		}
	}
	perNumber := func(t ggml.Type) float64 { return float64(t.TypeSize()) / float64(t.BlockSize()) }
	return positions(f, nCtx) * kvHeads * (keyWidth*perNumber(keys) + valueWidth*perNumber(values))
}
