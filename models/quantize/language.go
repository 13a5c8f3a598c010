package quantize

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/imatrix"
)

// PlanLanguage tells what [Language] would make of each tensor of a language model, without writing
// anything. f is the model's file. What libllama would end at is an error that names the tensor.
func PlanLanguage(ctx context.Context, f *gguf.File, p llama.QuantizeParams) (*Plan, error) {
	plan, _, err := planLanguage(ctx, f, p)
	return plan, err
}

// planLanguage also returns the parameters with types that fit.
func planLanguage(ctx context.Context, f *gguf.File,
	p llama.QuantizeParams) (*Plan, llama.QuantizeParams, error) {
	if err := checkRules(f, p); err != nil {
		return nil, p, err
	}
	if err := checkPruning(f, p.PruneLayers); err != nil {
		return nil, p, err
	}
	fitted := fitTypes(f, p)
	plan, err := askLibllama(ctx, f, fitted)
	if err != nil {
		return nil, p, err
	}
	plan.markFallbacks(p)
	return plan, fitted, plan.checkLanguage(fitted)
}

// askLibllama plans by a dry run of libllama's.
func askLibllama(ctx context.Context, f *gguf.File, p llama.QuantizeParams) (*Plan, error) {
	for _, t := range p.TensorTypes {
		// What Go cannot read may be an expression of C++ all the same.
		if r, err := regexp.Compile(t.Pattern); err == nil && !matchesAny(f, r) {
			return nil, noMatch(f, t.Pattern)
		}
	}
	plans, err := llama.PlanQuantize(ctx, f.Path(), p)
	if err != nil {
		return nil, explain(f, p, err)
	}
	plan := &Plan{File: f}
	for _, t := range plans {
		source := sourceName(t.Name, p.PruneLayers)
		tensor, ok := f.Tensor(source)
		if !ok {
			return nil, fmt.Errorf("quantize: libllama speaks of a tensor %s, which is not in %s",
				t.Name, f.Path())
		}
		plan.Tensors = append(plan.Tensors, TensorPlan{Name: t.Name, Source: source,
			From: tensor.Type, To: gguf.Type(t.To), Elements: tensor.Elements()})
	}
	return plan, nil
}

// writeLanguage writes the file that libllama would, byte for byte: its types in its order, the
// keys that it sets last. Rows are converted by libggml's routines, and by kernels that write the
// same bytes sooner.
func (p *Plan) writeLanguage(ctx context.Context, out string, params llama.QuantizeParams,
	keys []gguf.KV) (*Result, error) {
	switch same, err := sameFile(p.File, out); {
	case err != nil:
		return nil, err
	case same:
		return nil, fmt.Errorf("quantize: %w: input and output are the same file %s", ErrOptions,
			out)
	}
	w := new(gguf.Writer)
	again := map[string]bool{keyVersion: true, keyFileType: true} // keys that are set below
	for _, kv := range keys {
		again[kv.Key] = true
	}
	for _, kv := range p.File.Keys() {
		// the result is one file
		if !strings.HasPrefix(kv.Key, "split.") && !again[kv.Key] {
			w.Set(kv.Key, kv.Value)
		}
	}
	w.Set(keyVersion, uint32(quantizationVersion))
	w.Set(keyFileType, uint32(params.Type))
	for _, kv := range keys {
		w.Set(kv.Key, kv.Value)
	}
	p.addTensors(ctx, w, WriteOptions{Threads: params.Threads, Progress: params.Progress},
		p.importance(params))
	if err := w.WriteFile(out); err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	return Sum(ctx, out)
}

// importance are the weights that take part: those of a tensor's columns, matrix after matrix.
// Others, as those of a tensor that the matrix knows in another shape, do not.
func (p *Plan) importance(params llama.QuantizeParams) map[string][]float32 {
	list := map[string][]float32{}
	for _, plan := range p.Tensors {
		t, _ := p.File.Tensor(plan.source())
		matrices := 1
		if len(t.Dims) > 2 {
			matrices = int(t.Dims[2])
		}
		w := params.Imatrix[plan.source()]
		if len(w) == rowLength(t)*matrices && t.Elements() > 0 &&
			int(t.Elements())/rowLength(t)%matrices == 0 {
			list[plan.source()] = w
		}
	}
	return list
}

// sameFile tells whether a path is that of one of the model's files.
func sameFile(f *gguf.File, path string) (bool, error) {
	out, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("quantize: %w", err)
	}
	for _, part := range f.Parts() {
		if in, err := os.Stat(part); err == nil && os.SameFile(in, out) {
			return true, nil
		}
	}
	return false, nil
}

// Language quantizes a language model: types are chosen by libllama, and the file is the one that
// llama-quantize writes. The result appears under its name when it is whole; with p.KeepSplit there
// are several files, and the Result is that of the first. keys are set in a single file's metadata.
func Language(ctx context.Context, f *gguf.File, out string, p llama.QuantizeParams,
	keys ...gguf.KV) (*Result, error) {
	plan, p, err := planLanguage(ctx, f, p)
	if err != nil {
		return nil, err
	}
	if err := CheckSpace(out, plan.Bytes()); err != nil {
		return nil, err
	}
	if err := atomicfile.Check(out); err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	if !p.KeepSplit && !p.Copy && len(p.PruneLayers) == 0 {
		return plan.writeLanguage(ctx, out, p, keys)
	}
	if err := llama.Quantize(ctx, f.Path(), out, p); err != nil {
		return nil, explain(f, p, err)
	}
	if _, err := os.Stat(out); p.KeepSplit && errors.Is(err, os.ErrNotExist) {
		if first, _ := filepath.Glob(strings.TrimSuffix(out, ".gguf") +
			"-00001-of-*.gguf"); len(first) == 1 {
			out = first[0]
		}
	}
	return Sum(ctx, out)
}

// explain adds what can be done about a quantized source, about a mixture that wants to know what
// matters, and about a rule that is no regular expression.
func explain(f *gguf.File, p llama.QuantizeParams, err error) error {
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "requantizing"):
		return alreadyQuantized(f)
	case errors.Is(err, ErrOptions):
	case strings.Contains(err.Error(), "no tensor type fallback"):
		_, name, _ := strings.Cut(err.Error(), "for type ")
		return fmt.Errorf("quantize: %s: %w: its rows are no whole blocks of %s, and libllama knows no other type for that mixture", firstMisfit(f, name), ErrOptions, name)
	case strings.Contains(err.Error(), "importance matrix"):
		return fmt.Errorf("quantize: %w: %w: collect one and give it", ErrOptions, err)
	}
	for _, t := range p.TensorTypes {
		if _, bad := regexp.Compile(t.Pattern); bad != nil && err != nil {
			said := err.Error()
			if _, reason, ok := strings.Cut(said, "failed to quantize: "); ok {
				said = reason
			}
			return fmt.Errorf("quantize: %w: the pattern %q is none: %s", ErrOptions, t.Pattern,
				said)
		}
	}
	return err
}

func alreadyQuantized(f *gguf.File) error {
	return fmt.Errorf("quantize: %s is quantized already: %w; quantize the F16 or F32 edition, or allow to quantize it again", f.Path(), ErrOptions)
}

// OpenImatrix reads an importance matrix, of whatever model, with no importance that [Language]
// would refuse. Errors wrap imatrix.ErrInvalid, or say why the file could not be read.
func OpenImatrix(path string) (*imatrix.Matrix, map[string][]float32, error) {
	m, err := imatrix.Open(path)
	if err != nil {
		return nil, nil, err
	}
	weights := m.Weights()
	for name, values := range weights {
		if largest := slices.Max(values); !(largest <= llama.MaxImportance) {
			return nil, nil, fmt.Errorf(
				"quantize: %s: %w: %s has a column of importance %g; collect it again", path,
				imatrix.ErrInvalid, name, largest)
		}
	}
	return m, weights, nil
}

// ReadImatrix reads an importance matrix for a model and checks that it belongs to it: each entry
// must be as long as the rows of its tensor, times the matrices of a stack, and one at least must
// be there. use says which tensors take part by it, nil that all do. keys are those by which
// llama-quantize tells of it in the result. Errors are those of [OpenImatrix], and wrap ErrOptions
// where use leaves nothing.
func ReadImatrix(path string, f *gguf.File,
	use func(tensor string) bool) (weights map[string][]float32, keys []gguf.KV, err error) {
	m, weights, err := OpenImatrix(path)
	if err != nil {
		return nil, nil, err
	}
	known := 0
	for name, values := range weights {
		t, ok := f.Tensor(name)
		if !ok {
			continue
		}
		known++
		want := uint64(1)
		for i, n := range t.Dims {
			if i != 1 { // a value a column, not a row
				want *= n
			}
		}
		if uint64(len(values)) != want {
			return nil, nil, fmt.Errorf(
				"quantize: %s: %w: %d values for %s, which takes %d: it was made of another model",
				path, imatrix.ErrInvalid, len(values), name, want)
		}
	}
	if known == 0 {
		return nil, nil, fmt.Errorf(
			"quantize: %s: %w: it knows no tensor of %s: it was made of another model", path,
			imatrix.ErrInvalid, f.Path())
	}
	if use != nil {
		maps.DeleteFunc(weights, func(name string, _ []float32) bool { return !use(name) })
	}
	if len(weights) == 0 {
		return nil, nil, fmt.Errorf("quantize: %s: %w: of its tensors none is left to use", path,
			ErrOptions)
	}
	return weights, imatrixKeys(path, m, len(weights)), nil
}

// imatrixKeys are the keys of tools/quantize/quantize.cpp, in their order; what the matrix does not
// say is left out. used is how many of its entries take part.
func imatrixKeys(path string, m *imatrix.Matrix, used int) (keys []gguf.KV) {
	set := func(key string, value any) {
		v, err := gguf.NewValue(value)
		if err == nil { // texts and numbers are values
			keys = append(keys, gguf.KV{Key: "quantize.imatrix." + key, Value: v})
		}
	}
	// llama.cpp keeps such texts in 127 bytes.
	short := func(s string) string { return s[:min(len(s), 127)] }
	set("file", short(path))
	if len(m.Datasets) > 0 {
		set("dataset", short(m.Datasets[0]))
	}
	set("entries_count", uint32(used))
	if m.Chunks > 0 {
		set("chunks_count", uint32(m.Chunks))
	}
	return keys
}

// firstMisfit names the first matrix whose rows are no whole blocks of a type, or the file.
func firstMisfit(f *gguf.File, typ string) string {
	for _, known := range ggml.Types() {
		if !strings.EqualFold(known.String(), typ) {
			continue
		}
		for _, t := range f.Tensors() {
			if n := known.BlockSize(); len(t.Dims) >= 2 && n > 0 && rowLength(t)%n != 0 {
				return t.Name
			}
		}
	}
	return f.Path()
}
