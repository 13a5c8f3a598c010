package llama

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// FileType is a mixture of tensor types that libllama quantizes to, as llama_ftype counts them.
type FileType int

// fileTypes are the mixtures by the names that llama-quantize knows.
var fileTypes = map[string]FileType{
	"F32": C.LLAMA_FTYPE_ALL_F32, "F16": C.LLAMA_FTYPE_MOSTLY_F16,
	"BF16": C.LLAMA_FTYPE_MOSTLY_BF16,
	"Q4_0": C.LLAMA_FTYPE_MOSTLY_Q4_0, "Q4_1": C.LLAMA_FTYPE_MOSTLY_Q4_1,
	"Q5_0": C.LLAMA_FTYPE_MOSTLY_Q5_0, "Q5_1": C.LLAMA_FTYPE_MOSTLY_Q5_1,
	"Q8_0": C.LLAMA_FTYPE_MOSTLY_Q8_0,
	"Q2_K": C.LLAMA_FTYPE_MOSTLY_Q2_K, "Q2_K_S": C.LLAMA_FTYPE_MOSTLY_Q2_K_S,
	"Q3_K_S": C.LLAMA_FTYPE_MOSTLY_Q3_K_S, "Q3_K_M": C.LLAMA_FTYPE_MOSTLY_Q3_K_M,
	"Q3_K_L": C.LLAMA_FTYPE_MOSTLY_Q3_K_L,
	"Q4_K_S": C.LLAMA_FTYPE_MOSTLY_Q4_K_S, "Q4_K_M": C.LLAMA_FTYPE_MOSTLY_Q4_K_M,
	"Q5_K_S": C.LLAMA_FTYPE_MOSTLY_Q5_K_S, "Q5_K_M": C.LLAMA_FTYPE_MOSTLY_Q5_K_M,
	"Q6_K":  C.LLAMA_FTYPE_MOSTLY_Q6_K,
	"IQ1_S": C.LLAMA_FTYPE_MOSTLY_IQ1_S, "IQ1_M": C.LLAMA_FTYPE_MOSTLY_IQ1_M,
	"IQ2_XXS": C.LLAMA_FTYPE_MOSTLY_IQ2_XXS, "IQ2_XS": C.LLAMA_FTYPE_MOSTLY_IQ2_XS,
	"IQ2_S": C.LLAMA_FTYPE_MOSTLY_IQ2_S, "IQ2_M": C.LLAMA_FTYPE_MOSTLY_IQ2_M,
	"IQ3_XXS": C.LLAMA_FTYPE_MOSTLY_IQ3_XXS, "IQ3_XS": C.LLAMA_FTYPE_MOSTLY_IQ3_XS,
	"IQ3_S": C.LLAMA_FTYPE_MOSTLY_IQ3_S, "IQ3_M": C.LLAMA_FTYPE_MOSTLY_IQ3_M,
	"IQ4_NL": C.LLAMA_FTYPE_MOSTLY_IQ4_NL, "IQ4_XS": C.LLAMA_FTYPE_MOSTLY_IQ4_XS,
	"TQ1_0": C.LLAMA_FTYPE_MOSTLY_TQ1_0, "TQ2_0": C.LLAMA_FTYPE_MOSTLY_TQ2_0,
	"MXFP4_MOE": C.LLAMA_FTYPE_MOSTLY_MXFP4_MOE, "Q1_0": C.LLAMA_FTYPE_MOSTLY_Q1_0,
	"Q2_0": C.LLAMA_FTYPE_MOSTLY_Q2_0,
}

// needsImatrix are the mixtures that libllama refuses, or aborts on, without an importance matrix.
var needsImatrix = map[FileType]bool{
	C.LLAMA_FTYPE_MOSTLY_IQ1_S: true, C.LLAMA_FTYPE_MOSTLY_IQ1_M: true,
	C.LLAMA_FTYPE_MOSTLY_IQ2_XXS: true, C.LLAMA_FTYPE_MOSTLY_IQ2_XS: true,
	C.LLAMA_FTYPE_MOSTLY_IQ2_S: true, C.LLAMA_FTYPE_MOSTLY_IQ2_M: true,
	C.LLAMA_FTYPE_MOSTLY_Q2_K_S: true,
}

// aliases are names that stand for one of several mixtures, as for llama-quantize.
var aliases = map[string]string{"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}

// ParseFileType finds a mixture by name, for example "Q4_K_M", by the shorter "Q4_K", or by the
// number of llama_ftype.
func ParseFileType(name string) (FileType, error) {
	upper := strings.ToUpper(name)
	if alias, ok := aliases[upper]; ok {
		upper = alias
	}
	if t, ok := fileTypes[upper]; ok {
		return t, nil
	}
	if n, err := strconv.Atoi(name); err == nil && FileType(n).known() {
		return FileType(n), nil
	}
	return 0, fmt.Errorf("llama: unknown file type %q; known are %s", name,
		strings.Join(FileTypes(), ", "))
}

// FileTypes lists the names that ParseFileType knows, sorted.
func FileTypes() []string {
	return slices.Sorted(maps.Keys(fileTypes))
}

// String is libllama's name of the mixture, for example "Q4_K - Medium".
func (t FileType) String() string { return C.GoString(C.llama_ftype_name(C.enum_llama_ftype(t))) }

func (t FileType) known() bool {
	return slices.Contains(slices.Collect(maps.Values(fileTypes)), t)
}

// TensorType gives the tensors whose name matches a regular expression (of C++, searched for) a
// type of their own.
type TensorType struct {
	Pattern string
	Type    ggml.Type
}

// QuantizeParams are the options of Quantize.
type QuantizeParams struct {
	Type            FileType
	Threads         int          // 0 means one a CPU
	OutputType      *ggml.Type   // type of output.weight, nil for the mixture's choice
	EmbeddingType   *ggml.Type   // type of token_embd.weight, nil for the mixture's choice
	TensorTypes     []TensorType // exceptions; the last that matches counts
	AllowRequantize bool         // accept a source that is itself quantized
	KeepOutput      bool         // leave output.weight as it is
	Pure            bool         // every tensor to the same type
	KeepSplit       bool         // as many files as the source has
	// every tensor as it is; Type and the types of tensors count for nothing
	Copy bool
	// PruneLayers are the numbers of layers that are left out, each once and not all of them; those
	// behind them move up. The caller checks that the model has them.
	PruneLayers []int
	// importance of each column, matrix after matrix, by tensor name; from 0 to MaxImportance
	Imatrix map[string][]float32

	// Progress is called as each tensor is begun, from libllama's own log. It must not panic: there
	// are C++ frames between it and its caller.
	Progress func(done, total int, tensor string)
}

// Quantize writes the model of file in to file out with other tensor types. It blocks; when ctx is
// done it stops before the next tensor. The result appears under its name only when it is whole.
func Quantize(ctx context.Context, in, out string, p QuantizeParams) error {
	if err := Init(); err != nil {
		return err
	}
	if err := ggml.CheckFile(in); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if needsImatrix[p.Type] && len(p.Imatrix) == 0 && !p.Copy {
		return fmt.Errorf("llama: quantize: %v needs an importance matrix", p.Type)
	}
	if same, err := sameFile(in, out); err != nil || same {
		return errors.Join(err,
			need(!same, "llama: quantize: input and output are the same file %s", in))
	}
	var arena cArena
	defer arena.free()
	cp, err := p.toC(&arena)
	if err != nil {
		return err
	}
	// A split result is several files, named after the one asked for: a folder takes whatever
	// comes.
	tmp, err := os.MkdirTemp(filepath.Dir(out), filepath.Base(out)+".tmp*")
	if err != nil {
		return fmt.Errorf("llama: quantize: %w", err)
	}
	defer os.RemoveAll(tmp)
	name := filepath.Base(out)
	if p.KeepSplit { // libllama puts the numbers and the ending behind the whole name
		name = strings.TrimSuffix(name, ".gguf")
	}
	if err := quantize(ctx, in, filepath.Join(tmp, name), cp, &arena, p.Progress); err != nil {
		return err
	}
	files, err := os.ReadDir(tmp)
	if err != nil {
		return fmt.Errorf("llama: quantize: %w", err)
	}
	for _, f := range files {
		if err := os.Rename(filepath.Join(tmp, f.Name()), filepath.Join(filepath.Dir(out),
			f.Name())); err != nil {
			return fmt.Errorf("llama: quantize: %w", err)
		}
	}
	return nil
}

// TensorPlan is what a quantization makes of one tensor.
type TensorPlan struct {
	Name     string
	From, To ggml.Type
}

// PlanQuantize returns what [Quantize] would make of each tensor, in libllama's order, and writes
// nothing. What the importance matrix is for is not checked.
func PlanQuantize(ctx context.Context, in string, p QuantizeParams) ([]TensorPlan, error) {
	if err := Init(); err != nil {
		return nil, err
	}
	if err := ggml.CheckFile(in); err != nil {
		return nil, err
	}
	var arena cArena
	defer arena.free()
	p.KeepSplit = false
	cp, err := p.toC(&arena)
	if err != nil {
		return nil, err
	}
	cp.dry_run = true
	types := map[string]ggml.Type{}
	for _, t := range ggml.Types() {
		types[strings.ToLower(t.String())] = t
	}
	plans := planReader{types: types}
	untap := ggml.TapLog(func(_ slog.Level, line string) { plans.read(line) })
	err = quantize(ctx, in, in+".dry-run", cp, &arena, nil)
	untap()
	if err == nil {
		err = plans.err
	}
	return plans.plans, err
}

// planReader reads what libllama logs in a dry run. "[ 3/ 57] blk.0.attn_q.weight - [ 256, 256, 1,
// 1], type = f16, " begins a tensor; "size = 0.12 MiB -> 0.04 MiB (q4_K)" ends it, in a line of its
// own or not. The arrow is missing where a tensor stays as it is.
type planReader struct {
	types map[string]ggml.Type
	plans []TensorPlan
	err   error
}

func (r *planReader) read(line string) {
	if _, _, name, ok := parseQuantizeLine(line); ok {
		_, rest, _ := strings.Cut(line, "type =")
		from, _, _ := strings.Cut(rest, ",")
		t := r.typeOf(from)
		r.plans = append(r.plans, TensorPlan{Name: name, From: t, To: t})
	}
	_, size, found := strings.Cut(line, "->")
	_, to, named := strings.Cut(size, "(")
	if to, _, _ = strings.Cut(to, ")"); found && named && len(r.plans) > 0 {
		r.plans[len(r.plans)-1].To = r.typeOf(to)
	}
}

func (r *planReader) typeOf(name string) ggml.Type {
	t, ok := r.types[strings.ToLower(strings.TrimSpace(name))]
	if !ok && r.err == nil {
		r.err = fmt.Errorf("llama: quantize: libllama %s speaks of a type %q, which is unknown here", Version(), name)
	}
	return t
}

// quantize runs on its own OS thread, since the shim's cancellation looks at the thread that logs.
func quantize(ctx context.Context, in, out string, cp *C.llama_model_quantize_params, arena *cArena,
	progress func(int, int, string)) error {
	flag := C.shim_flag_new()
	if flag == nil {
		return errors.New("llama: out of memory")
	}
	defer C.shim_flag_free(flag)
	finished := make(chan struct{})
	unregister := context.AfterFunc(ctx, func() { C.shim_flag_set(flag, true); close(finished) })
	defer func() {
		if !unregister() {
			<-finished
		}
	}()
	if progress != nil {
		defer ggml.TapLog(func(_ slog.Level, line string) {
			if done, total, tensor, ok := parseQuantizeLine(line); ok {
				progress(done, total, tensor)
				// at once, if it was progress that ended it: the news takes as long as other
				// programs let it
				if ctx.Err() != nil {
					C.shim_flag_set(flag, true)
				}
			}
		})()
	}
	logged := ggml.CollectErrors()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var rc C.uint32_t
	var cancelled C.bool
	var eb errBuf
	ok := C.shim_quantize(arena.str(in), arena.str(out), cp, flag, &rc, &cancelled, eb.ptr(),
		eb.cap())
	switch {
	// done before the news came: the caller has given up all the same
	case bool(cancelled), ctx.Err() != nil && bool(ok) && rc == 0:
		logged.Stop()
		return fmt.Errorf("llama: quantize %s: %w", in, context.Cause(ctx))
	case !bool(ok):
		return logged.Wrap(fmt.Errorf("llama: quantize %s: %s", in, eb.String()))
	case rc != 0:
		return logged.Wrap(fmt.Errorf("llama: quantize %s failed", in))
	}
	logged.Stop()
	return nil
}

func (p *QuantizeParams) toC(arena *cArena) (*C.llama_model_quantize_params, error) {
	c := (*C.llama_model_quantize_params)(
		arena.alloc(unsafe.Sizeof(C.llama_model_quantize_params{})))
	*c = C.llama_model_quantize_default_params()
	if !p.Type.known() {
		return nil, fmt.Errorf("llama: quantize: unknown file type %d", int(p.Type))
	}
	if p.Threads < 0 || p.Threads > maxThreads {
		return nil, fmt.Errorf("llama: quantize: Threads is %d; give 0 to %d", p.Threads,
			maxThreads)
	}
	if err := p.checkTypes(); err != nil {
		return nil, err
	}
	c.ftype = C.enum_llama_ftype(p.Type)
	c.nthread = C.int32_t(p.Threads)
	if p.OutputType != nil {
		c.output_tensor_type = C.enum_ggml_type(*p.OutputType)
	}
	if p.EmbeddingType != nil {
		c.token_embedding_type = C.enum_ggml_type(*p.EmbeddingType)
	}
	c.allow_requantize = C.bool(p.AllowRequantize)
	c.quantize_output_tensor = C.bool(!p.KeepOutput)
	c.pure = C.bool(p.Pure)
	c.keep_split = C.bool(p.KeepSplit)
	c.only_copy = C.bool(p.Copy)
	if n := len(p.PruneLayers); n > 0 {
		list := unsafe.Slice((*C.int32_t)(arena.alloc(uintptr(4*(n+1)))), n+1)
		// libllama supposes that they are sorted.
		for i, layer := range slices.Sorted(slices.Values(p.PruneLayers)) {
			if layer < 0 || layer > math.MaxInt32 {
				return nil, fmt.Errorf("llama: quantize: a model has no layer %d", layer)
			}
			list[i] = C.int32_t(layer)
		}
		list[n] = -1 // libllama's end of the list
		c.prune_layers = &list[0]
	}
	if len(p.TensorTypes) > 0 {
		size := unsafe.Sizeof(C.struct_llama_model_tensor_override{})
		list := unsafe.Slice((*C.struct_llama_model_tensor_override)(
			arena.alloc(size*uintptr(len(p.TensorTypes)+1))), len(p.TensorTypes)+1)
		for i, t := range p.TensorTypes {
			o := &list[len(p.TensorTypes)-1-i] // of several that match, libllama takes the first
			o.pattern, o._type = arena.str(t.Pattern), C.enum_ggml_type(t.Type)
		}
		c.tt_overrides = &list[0]
	}
	if len(p.Imatrix) > 0 {
		size := unsafe.Sizeof(C.struct_llama_model_imatrix_data{})
		list := unsafe.Slice((*C.struct_llama_model_imatrix_data)(
			arena.alloc(size*uintptr(len(p.Imatrix)+1))), len(p.Imatrix)+1)
		i := 0
		for name, values := range p.Imatrix {
			if err := checkImportance(name, values); err != nil {
				return nil, err
			}
			data := unsafe.Slice((*float32)(arena.alloc(uintptr(len(values))*4)),
				max(len(values), 1))
			copy(data, values)
			list[i].name, list[i].data, list[i].size = arena.str(name),
				(*C.float)(unsafe.Pointer(&data[0])), C.size_t(len(values))
			i++
		}
		c.imatrix = &list[0]
	}
	return c, nil
}

// checkTypes checks the types of single tensors, with which libllama indexes tables.
func (p *QuantizeParams) checkTypes() error {
	check := func(what string, t ggml.Type) error {
		return need(t.Known() && t.CanQuantize(), "llama: quantize: %s cannot be %v", what, t)
	}
	var errs []error
	// libllama asks for no importance matrix of these two tensors, and libggml aborts without one.
	for _, x := range []struct {
		what, tensor string
		typ          *ggml.Type
	}{{"OutputType", "output.weight", p.OutputType}, {"EmbeddingType", "token_embd.weight",
		p.EmbeddingType}} {
		if x.typ != nil {
			errs = append(errs, check(x.what, *x.typ),
				need(!x.typ.RequiresImatrix() || len(p.Imatrix[x.tensor]) > 0,
					"llama: quantize: %v needs an importance matrix of %s", *x.typ, x.tensor))
		}
	}
	for _, t := range p.TensorTypes {
		errs = append(errs, need(t.Pattern != "",
			"llama: quantize: an empty pattern of tensor names"), noNUL(t.Pattern),
			check(t.Pattern, t.Type))
	}
	return errors.Join(errs...)
}

// MaxImportance is the largest weight of an importance matrix. Products of larger ones with squares
// of weights overflow float32.
const MaxImportance = 1e30

// checkImportance wants weights from 0 to MaxImportance: the searches for the best code abort on
// others, or find none.
func checkImportance(name string, weights []float32) error {
	for i, w := range weights {
		if !(w >= 0 && w <= MaxImportance) {
			return fmt.Errorf("llama: quantize: importance %d of %s is %v; it must be from 0 to %g",
				i, name, w, MaxImportance)
		}
	}
	return nil
}

// quantizeLine is how libllama logs that a tensor is begun: "[   3/  57]  blk.0.attn_q.weight - [".
var quantizeLine = regexp.MustCompile(`^\s*\[\s*(\d+)\s*/\s*(\d+)\s*\]\s*(\S*)`)

func parseQuantizeLine(line string) (done, total int, tensor string, ok bool) {
	m := quantizeLine.FindStringSubmatch(line)
	if m == nil {
		return 0, 0, "", false
	}
	done, err1 := strconv.Atoi(m[1])
	total, err2 := strconv.Atoi(m[2])
	return done, total, m[3], err1 == nil && err2 == nil
}

func sameFile(a, b string) (bool, error) {
	ia, err := os.Stat(a)
	if err != nil {
		return false, fmt.Errorf("llama: %w", err)
	}
	ib, err := os.Stat(b)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("llama: %w", err)
	}
	if ib.IsDir() {
		return false, fmt.Errorf("llama: %s is a directory", b)
	}
	return os.SameFile(ia, ib), nil
}
