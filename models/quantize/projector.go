package quantize

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

var (
	// ErrOptions: the options make no sense.
	ErrOptions = errors.New("bad options")
	// ErrShape: a type does not fit the shape of a tensor.
	ErrShape = errors.New("the type does not fit")
)

// ProjectorTypes are the types that matrices of a tower can be given.
var ProjectorTypes = []gguf.Type{
	gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0, gguf.Q5_1, gguf.Q5_0, gguf.Q4_1, gguf.Q4_0,
	gguf.IQ4_NL, gguf.Q6_K, gguf.Q5_K, gguf.Q4_K, gguf.Q3_K, gguf.Q2_K,
}

// ParseType finds one of [ProjectorTypes] by name, in either case.
func ParseType(name string) (gguf.Type, error) {
	var names []string
	for _, t := range ProjectorTypes {
		if strings.EqualFold(name, t.String()) {
			return t, nil
		}
		names = append(names, strings.ToLower(t.String()))
	}
	return 0, fmt.Errorf("quantize: %w: unknown type %q of a projector; give %s", ErrOptions, name,
		strings.Join(names, ", "))
}

// Options say what becomes of the tensors of a projector file.
//
// The rule: the matrices of transformer blocks and of the projector are given Type. The projector's
// own, through which everything goes, are given no less than 8 bits (Q8_0), unless Pure is set.
// Everything else stays as it is: the patch embedding, which is a convolution, positions, class
// token and newline, norms and biases. A matrix whose rows are no whole blocks of the type takes
// the next larger type that fits: see [Fallback]. Of towers that package vision does not know, only
// the matrices of blocks are touched, since libmtmd does other things than products with the rest.
type Options struct {
	Type    gguf.Type
	Pure    bool       // the projector's own matrices are given Type as well
	Tensors []Override // exceptions; the last that matches counts
	// Importance is how much each column of a matrix matters, by the matrix's name, and Keys tell
	// of it in the file; see [ReadImatrix].
	Importance map[string][]float32
	Keys       []gguf.KV
}

// Override gives the tensors whose name matches a type of its own.
type Override struct {
	Pattern *regexp.Regexp
	Type    gguf.Type
}

// blockMatrix matches the matrices of transformer blocks, as libmtmd names them in all families.
var blockMatrix = regexp.MustCompile(
	`^v\.blk\.\d+\.(attn_(q|k|v|qkv|out)|ffn_(up|down|gate))\.weight$`)

// isBlockMatrix and isProjection tell what the rule quantizes.
func isBlockMatrix(t *gguf.Tensor) bool {
	return len(t.Dims) == 2 && blockMatrix.MatchString(t.Name)
}

func isProjection(t *gguf.Tensor) bool {
	return len(t.Dims) == 2 && strings.HasPrefix(t.Name, "mm.") && strings.HasSuffix(t.Name,
		".weight")
}

// Fallback returns t if rows of n elements are whole blocks of it, or the next larger type that
// fits, of which F16 always does. The steps are libllama's own.
func Fallback(t gguf.Type, n uint64) gguf.Type {
	for n%uint64(t.BlockSize()) != 0 {
		switch t {
		case gguf.Q2_K, gguf.Q3_K:
			t = gguf.IQ4_NL
		case gguf.Q4_K:
			t = gguf.Q5_0
		case gguf.Q5_K:
			t = gguf.Q5_1
		case gguf.Q6_K:
			t = gguf.Q8_0
		default:
			t = gguf.F16
		}
	}
	return t
}

// bits is the number of bits of an element.
func bits(t gguf.Type) float64 { return 8 * float64(t.TypeSize()) / float64(t.BlockSize()) }

// Plan says what each tensor of a file becomes.
type Plan struct {
	File    *gguf.File
	Type    gguf.Type // that was asked for
	Tensors []TensorPlan
	// Importance and Keys are those of an importance matrix; nil for none.
	Importance map[string][]float32
	Keys       []gguf.KV
}

// TensorPlan is what one tensor becomes.
type TensorPlan struct {
	Name string
	// Source is the tensor's name in the file that is quantized, where it is another: layers move
	// up where others are left out.
	Source   string
	From, To gguf.Type
	Elements uint64
	Fallback bool // the rows do not fit the type that the rule gives
}

// source is the tensor's name in the file that is quantized.
func (t *TensorPlan) source() string { return cmp.Or(t.Source, t.Name) }

// Bytes is the size of the tensor after.
func (t *TensorPlan) Bytes() int64 { return size(t.To, t.Elements) }

func size(t gguf.Type, elements uint64) int64 {
	return int64(elements / uint64(t.BlockSize()) * uint64(t.TypeSize()))
}

// Bytes is the size of all tensors after; padding and metadata come on top.
func (p *Plan) Bytes() (n int64) {
	for i := range p.Tensors {
		n += p.Tensors[i].Bytes()
	}
	return n
}

// PlanProjector applies the rule to a projector file, which must stay open while the plan is in
// use. It is an error if no tensor would be given the type, or if an override does not fit.
func PlanProjector(f *gguf.File, o Options) (*Plan, error) {
	if arch := f.Architecture(); arch != "clip" {
		return nil, fmt.Errorf("quantize: %w: general.architecture is %q: it is no projector file",
			vision.ErrUnknownTower, arch)
	}
	if err := checkType(o.Type); err != nil {
		return nil, err
	}
	var rules []rule
	for _, override := range o.Tensors {
		if !matchesAny(f, override.Pattern) {
			return nil, noMatch(f, override.Pattern.String())
		}
		rules = append(rules, rule{override,
			slices.ContainsFunc(f.Tensors(), func(t *gguf.Tensor) bool {
				return len(t.Dims) > 1 && override.Pattern.MatchString(t.Name)
			})})
	}
	_, err := vision.Describe(f)
	known := err == nil
	p := &Plan{File: f, Type: o.Type, Importance: o.Importance, Keys: o.Keys}
	fits := false
	for _, t := range f.Tensors() {
		plan := TensorPlan{Name: t.Name, From: t.Type, To: t.Type, Elements: t.Elements()}
		override, ok := overrideOf(rules, t)
		switch {
		case ok:
			if err := checkOverride(t, override); err != nil {
				return nil, err
			}
			plan.To = override
		case isBlockMatrix(t), isProjection(t) && known:
			want := o.Type
			if isProjection(t) && !o.Pure && bits(want) < bits(gguf.Q8_0) {
				want = gguf.Q8_0
			}
			plan.To = Fallback(want, t.Dims[0])
			plan.Fallback = plan.To != want
			fits = fits || plan.To == o.Type
		}
		p.Tensors = append(p.Tensors, plan)
	}
	if !fits {
		return nil, fmt.Errorf("quantize: %s: %w: no matrix of the tower has rows of whole blocks of %v, which are %d long", f.Path(), ErrShape, o.Type, o.Type.BlockSize())
	}
	return p, nil
}

// matchesAny reports whether an exception is one of any tensor.
func matchesAny(f *gguf.File, r *regexp.Regexp) bool {
	return slices.ContainsFunc(f.Tensors(), func(t *gguf.Tensor) bool {
		return r.MatchString(t.Name)
	})
}

func noMatch(f *gguf.File, pattern string) error {
	return fmt.Errorf("quantize: %s: %w: no tensor's name matches %q; a dry run lists them",
		f.Path(), ErrOptions, pattern)
}

// rule is an exception of a file.
type rule struct {
	Override
	ofMatrices bool // it matches one at least
}

// overrideOf is the type that the last exception gives a tensor. One that matches matrices has
// nothing to say of the biases beside them, which are named alike.
func overrideOf(rules []rule, tensor *gguf.Tensor) (t gguf.Type, ok bool) {
	for _, r := range rules {
		if r.Pattern.MatchString(tensor.Name) && (len(tensor.Dims) > 1 || !r.ofMatrices) {
			t, ok = r.Type, true
		}
	}
	return t, ok
}

func checkType(t gguf.Type) error {
	for _, known := range ProjectorTypes {
		if t == known {
			return nil
		}
	}
	return fmt.Errorf("quantize: %w: a projector cannot be %v; give one of %v", ErrOptions, t,
		ProjectorTypes)
}

// checkOverride wants whole blocks, and plain numbers where no product is computed.
func checkOverride(t *gguf.Tensor, to gguf.Type) error {
	if err := checkType(to); err != nil {
		return err
	}
	row := uint64(1)
	if len(t.Dims) > 0 {
		row = t.Dims[0]
	}
	switch {
	case row%uint64(to.BlockSize()) != 0:
		return fmt.Errorf("quantize: %w: rows of %s have %d elements, which are no whole blocks of %v (%d); give %v", ErrShape, t.Name, row, to, to.BlockSize(), Fallback(to, row))
	case len(t.Dims) < 2 && to != gguf.F32, len(t.Dims) > 2 && to != gguf.F32 && to != gguf.F16,
		len(t.Dims) == 2 && !isBlockMatrix(t) && !isProjection(t) && to != gguf.F32:
		return fmt.Errorf("quantize: %w: %s is no matrix of a product, and libmtmd reads it as %v alone", ErrShape, t.Name, t.Type)
	}
	return nil
}
