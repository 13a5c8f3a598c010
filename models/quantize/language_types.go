package quantize

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// The tensors that have types of their own among the parameters of a quantization.
const (
	outputTensor    = "output.weight"
	embeddingTensor = "token_embd.weight"
)

// fitTypes gives the output matrix and the embedding types of whole blocks: libllama hands those
// that were asked for to libggml as they are, which ends the process or fails without a name.
func fitTypes(f *gguf.File, p llama.QuantizeParams) llama.QuantizeParams {
	for _, x := range []struct {
		tensor string
		typ    **ggml.Type
	}{{outputTensor, &p.OutputType}, {embeddingTensor, &p.EmbeddingType}} {
		t, ok := f.Tensor(x.tensor)
		if *x.typ == nil || !ok {
			continue
		}
		fit := fitting(**x.typ, rowLength(t))
		*x.typ = &fit
	}
	return p
}

// rowLength is the number of elements of a tensor's row.
func rowLength(t *gguf.Tensor) int {
	if len(t.Dims) == 0 {
		return 1
	}
	return int(t.Dims[0])
}

// fitting returns the type, or that which libllama takes in its place where a row is no whole
// number of its blocks (tensor_type_fallback of llama.cpp, src/llama-quant.cpp).
func fitting(t ggml.Type, row int) ggml.Type {
	fits := func(t ggml.Type) bool { n := t.BlockSize(); return n > 0 && row%n == 0 }
	if fits(t) {
		return t
	}
	switch t {
	case ggml.TQ1_0, ggml.TQ2_0, ggml.Q2_0, ggml.Q2_K, ggml.Q3_K:
		t = ggml.Q4_0
	case ggml.IQ1_S, ggml.IQ1_M, ggml.IQ2_XXS, ggml.IQ2_XS, ggml.IQ2_S, ggml.IQ3_XXS, ggml.IQ3_S,
		ggml.IQ4_XS:
		t = ggml.IQ4_NL
	case ggml.Q4_K:
		t = ggml.Q5_0
	case ggml.Q5_K:
		t = ggml.Q5_1
	case ggml.Q6_K:
		t = ggml.Q8_0
	}
	if fits(t) {
		return t
	}
	return ggml.F16
}

// checkRules refuses rules whose types libllama knows no other for where rows do not fit them.
func checkRules(f *gguf.File, p llama.QuantizeParams) error {
	for _, t := range f.Tensors() {
		want, ok := typeOverride(llama.QuantizeParams{TensorTypes: p.TensorTypes}, t.Name)
		if !ok || len(t.Dims) < 2 {
			continue
		}
		if typ, row := ggml.Type(want), rowLength(t); fitting(typ, row) == ggml.F16 &&
			noFallback(typ) {
			return fmt.Errorf("quantize: %s: %w: rows of %d elements are no whole blocks of %v; give it another type", t.Name, ErrOptions, row, want)
		}
	}
	return nil
}

// noFallback reports whether libllama ends at rows that do not fit a type.
func noFallback(t ggml.Type) bool { return t == ggml.NVFP4 || t == ggml.Q1_0 }

// typeOverride returns the type that the parameters name for a tensor.
func typeOverride(p llama.QuantizeParams, name string) (t gguf.Type, ok bool) {
	for _, rule := range p.TensorTypes {
		if r, err := regexp.Compile(rule.Pattern); err == nil && r.MatchString(name) {
			t, ok = gguf.Type(rule.Type), true
		}
	}
	switch {
	case name == outputTensor && p.OutputType != nil:
		return gguf.Type(*p.OutputType), true
	case name == embeddingTensor && p.EmbeddingType != nil:
		return gguf.Type(*p.EmbeddingType), true
	}
	return t, ok
}

// markFallbacks marks the tensors whose rows do not fit the type that was named for them.
func (p *Plan) markFallbacks(params llama.QuantizeParams) {
	for i := range p.Tensors {
		t := &p.Tensors[i]
		want, ok := typeOverride(params, t.Name)
		if tensor, found := p.File.Tensor(t.source()); ok && found && want != t.To {
			n := want.BlockSize()
			t.Fallback = n > 0 && rowLength(tensor)%n != 0
		}
	}
}

// checkLanguage refuses what libllama or libggml would end at: rows of no whole blocks, and types
// that want an importance matrix where there is none of the tensor.
func (p *Plan) checkLanguage(params llama.QuantizeParams) error {
	for _, t := range p.Tensors {
		tensor, ok := p.File.Tensor(t.source())
		if !ok || t.To == t.From {
			continue
		}
		if quantized := t.From != gguf.F32 && t.From != gguf.F16 &&
			t.From != gguf.BF16; quantized && !params.AllowRequantize {
			return alreadyQuantized(p.File)
		}
		if n := t.To.BlockSize(); n <= 0 || rowLength(tensor)%n != 0 {
			return fmt.Errorf("quantize: %s: %w: rows of %d elements are no whole blocks of %v; give it another type", t.Name, ErrOptions, rowLength(tensor), t.To)
		}
		if !wantsImportance(t, params.Type) || len(params.Imatrix[t.source()]) > 0 {
			continue
		}
		whose, mixture := "", params.Type.String()
		if _, ruled := typeOverride(params, t.Name); !ruled && !strings.HasPrefix(mixture,
			t.To.String()+" ") {
			whose = fmt.Sprintf(" (the mixture %s stores it so)", mixture)
		}
		if len(params.Imatrix) == 0 {
			return fmt.Errorf("quantize: %s: %w: %v needs an importance matrix%s: collect one and give it", t.Name, ErrOptions, t.To, whose)
		}
		return fmt.Errorf("quantize: %s: %w: %v needs an importance matrix%s, and the one given knows nothing of this tensor: collect it from more text and pictures, or give it another type",
			t.Name, ErrOptions, t.To, whose)
	}
	return nil
}

// Unweighted lists the tensors that become fewer bits without an importance matrix, which knows
// nothing of them. The embedding and the output, of which it seldom does, are left out.
func (p *Plan) Unweighted(imatrix map[string][]float32) (names []string) {
	for _, t := range p.Tensors {
		if t.To != t.From && t.To.BlockSize() > 1 && t.Name != embeddingTensor &&
			t.Name != outputTensor && len(imatrix[t.source()]) == 0 {
			names = append(names, t.Name)
		}
	}
	return names
}

// wantsImportance reports whether a tensor can be quantized so only by an importance matrix:
// libllama says so of its own mixtures (tensor_requires_imatrix of llama.cpp, src/llama-quant.cpp),
// and libggml aborts on the others.
func wantsImportance(t TensorPlan, mixture llama.FileType) bool {
	if t.Name == embeddingTensor || t.Name == outputTensor {
		return ggml.Type(t.To).RequiresImatrix()
	}
	switch ggml.Type(t.To) {
	case ggml.IQ1_S, ggml.IQ1_M, ggml.IQ2_XXS, ggml.IQ2_XS, ggml.IQ2_S, ggml.IQ3_XXS:
		return true
	case ggml.Q2_K:
		q2ks, err := llama.ParseFileType("Q2_K_S")
		return err == nil && mixture == q2ks
	}
	return false
}

// Overlap is a tensor that several rules match, of different types.
type Overlap struct {
	Tensor string
	Rules  []string // PATTERN=TYPE, in their order; the last one counts
}

// Overlaps lists the matrices for which rules contradict each other.
func Overlaps(f *gguf.File, rules []llama.TensorType) (list []Overlap) {
	for _, t := range f.Tensors() {
		if len(t.Dims) < 2 { // which no rule is for
			continue
		}
		o := Overlap{Tensor: t.Name}
		types := map[ggml.Type]bool{}
		for _, rule := range rules {
			if r, err := regexp.Compile(rule.Pattern); err == nil && r.MatchString(t.Name) {
				o.Rules = append(o.Rules, fmt.Sprintf("%s=%v", rule.Pattern, rule.Type))
				types[rule.Type] = true
			}
		}
		if len(types) > 1 {
			list = append(list, o)
		}
	}
	return list
}
