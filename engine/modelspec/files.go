package modelspec

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// CheckFile reads the header of a language model or projector file and returns the reason why it
// could not be loaded, as far as the header tells. Errors wrap the engine's ErrModelFile, or
// ErrMismatch for a model that draws.
func CheckFile(path string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	defer f.Close()
	if f.Architecture() != "clip" {
		if _, err := CheckLanguageModel(path); err != nil {
			return err
		}
		if err := checkTokens(f); err != nil {
			return fmt.Errorf("%w: %s: %w", fault.ErrModelFile, path, err)
		}
		return nil
	}
	if err := checkEpsilons(f); err != nil {
		return fmt.Errorf("%w: %s: %w", fault.ErrModelFile, path, err)
	}
	return nil
}

// checkTokens refuses a vocabulary with two tokens of one text, on which libllama asserts. Empty
// texts may repeat: libllama names those tokens itself.
func checkTokens(f *gguf.File) error {
	tokens, _ := f.Strings("tokenizer.ggml.tokens")
	first := make(map[string]int, len(tokens))
	for i, text := range tokens {
		if k, twice := first[text]; twice && text != "" {
			return fmt.Errorf("the tokens %d and %d of its vocabulary are both %.80q", k, i, text)
		}
		first[text] = i
	}
	return nil
}

// CheckLanguageModel reads the header of a model file and returns the embedding width.
func CheckLanguageModel(path string) (width int, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	defer f.Close()
	arch := f.Architecture()
	if arch == "clip" {
		return 0, fmt.Errorf("%w: %s is a vision projector; "+
			"give it as the projector, and the language model as the model", fault.ErrModelFile,
			path)
	}
	n, ok := f.Uint(arch + ".embedding_length")
	if !ok || n == 0 || n > math.MaxInt32 {
		if _, err := diffusion.Inspect(path, nil); err == nil || errors.Is(err, diffusion.ErrPart) {
			return 0, fmt.Errorf("%w: %s draws pictures and answers no questions",
				fault.ErrMismatch, path)
		}
		return 0, fmt.Errorf("%w: %s has no usable %s.embedding_length; it is not a language model",
			fault.ErrModelFile, path, arch)
	}
	if err := checkEpsilons(f); err != nil {
		return 0, fmt.Errorf("%w: %s: %w", fault.ErrModelFile, path, err)
	}
	// numbers are rotated in pairs; libggml asserts it
	if n, ok := f.Uint(arch + ".rope.dimension_count"); ok && n%2 != 0 {
		return 0, fmt.Errorf("%w: %s: %s.rope.dimension_count is %d, an odd number",
			fault.ErrModelFile, path, arch, n)
	}
	if err := checkSections(f, arch, n); err != nil {
		return 0, fmt.Errorf("%w: %s: %w", fault.ErrModelFile, path, err)
	}
	// Rows of pictures go into the first layers too, where all tokens still are; libggml asserts
	// that the last is none of them.
	layers, _ := f.Uint(arch + ".block_count")
	if deep, ok := f.Uint(arch + ".n_deepstack_layers"); ok && deep > 0 && deep >= layers {
		return 0, fmt.Errorf("%w: %s: %s.n_deepstack_layers is %d, of %d layers",
			fault.ErrModelFile, path, arch, deep, layers)
	}
	return int(n), nil
}

// checkSections refuses sections of a rotation (how many numbers rotate by time, by row and by
// column) whose sum is 0 or more than a head has: libggml asserts on it, and divides by it.
func checkSections(f *gguf.File, arch string, width uint64) error {
	key := arch + ".rope.dimension_sections"
	sections, ok := f.Ints(key)
	if !ok {
		return nil
	}
	head, ok := f.Uint(arch + ".attention.key_length")
	if heads, one := f.Uint(arch + ".attention.head_count"); !ok && one && heads > 0 {
		head = width / heads
	}
	sum := int64(0)
	for _, n := range sections[:min(len(sections), 4)] {
		if n < 0 || n > math.MaxInt32 {
			return fmt.Errorf("%s is %v", key, sections)
		}
		sum += n
	}
	if sum == 0 || head > 0 && uint64(sum) > head {
		return fmt.Errorf("%s is %v, of a head of %d numbers", key, sections, head)
	}
	return nil
}

// checkProjector compares the projector's output width with the model's before either is loaded.
func checkProjector(path, model string, width int) error {
	f, err := gguf.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	defer f.Close()
	if arch := f.Architecture(); arch != "clip" {
		return fmt.Errorf("%w: %s is a %s model, not a vision projector", fault.ErrModelFile, path,
			arch)
	}
	if err := checkEpsilons(f); err != nil {
		return fmt.Errorf("%w: %s: %w", fault.ErrModelFile, path, err)
	}
	// LLaVA's projectors end in mm.2 (MLP) or mm.0 (linear); other families are compared by libmtmd
	// when it loads them.
	for _, name := range []string{"mm.2.weight", "mm.0.weight"} {
		kind, _ := f.Str("clip.projector_type")
		t, ok := f.Tensor(name)
		if !ok || len(t.Dims) != 2 || kind != "mlp" {
			continue
		}
		if int(t.Dims[1]) != width {
			return fmt.Errorf("%w: %s makes embeddings %d wide, %s takes %d; "+
				"use the mmproj file that came with the model", fault.ErrMismatch, path, t.Dims[1],
				model, width)
		}
		break
	}
	return nil
}

// checkEpsilons refuses an epsilon of a norm that is negative or not finite: libggml's assertion
// would abort the process.
func checkEpsilons(f *gguf.File) error {
	for _, kv := range f.Keys() {
		if x, ok := kv.Value.Float(); ok && strings.HasSuffix(kv.Key, "epsilon") &&
			(math.IsNaN(x) || math.IsInf(x, 0) || x < 0) {
			return fmt.Errorf("%s is %v", kv.Key, x)
		}
	}
	return nil
}

// CheckRotation refuses a model that rotates its keys, but none of their numbers: libllama 0.7
// would compute for ever. Hybrid models may have none, and so may models that rotate only within
// their sliding windows.
func CheckRotation(lm *llama.Model) error {
	arch, _ := lm.Meta("general.architecture")
	key := arch + ".rope.dimension_count"
	n, _ := lm.Meta(key)
	if _, windows := lm.Meta(key + "_swa"); n != "0" || windows ||
		lm.RopeType() == llama.RopeNone || lm.IsHybrid() || lm.IsRecurrent() {
		return nil
	}
	return fmt.Errorf("%w: %s: %s is 0", fault.ErrModelFile, lm.Path(), key)
}
