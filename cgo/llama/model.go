package llama

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/cgo"
	"strings"
	"sync"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// LoadMode says how weights reach memory.
type LoadMode int

// Load modes, as llama_load_mode names them.
const (
	LoadAuto      LoadMode = iota // whatever suits the devices
	LoadRead                      // read into allocated memory
	LoadMmap                      // map the file; pages come in on first use and are shared between processes
	LoadMlock                     // read and pin
	LoadMmapMlock                 // map and pin
	LoadDirectIO                  // read past the page cache
)

// SplitMode says how a model is divided among several GPUs.
type SplitMode int

// Split modes, as llama_split_mode names them.
const (
	SplitLayer  SplitMode = iota // whole layers and their KV cache (the default)
	SplitNone                    // everything on MainGPU
	SplitRow                     // rows of matrices
	SplitTensor                  // tensor parallel
)

// NoGPULayers keeps every layer on the CPU when given as ModelParams.GPULayers.
const NoGPULayers = -1

// ModelParams are the options of LoadModel. The zero value loads with libllama's defaults.
type ModelParams struct {
	GPULayers   int           // layers to place on GPUs: 0 means all, NoGPULayers means none
	Devices     []ggml.Device // devices to use; nil means all that are loaded
	SplitMode   SplitMode
	MainGPU     int       // the device of SplitNone
	TensorSplit []float32 // share of each device, in proportion; nil lets libllama choose
	LoadMode    LoadMode

	VocabOnly    bool // metadata and vocabulary, no weights: such a model takes no Context
	CheckTensors bool // look for NaN and infinite weights while loading
	NoRepack     bool // keep weights as they stand in the file instead of repacking them for the CPU's kernels

	// Overrides replaces metadata by key. Values are int, int64, float64, bool or string of at most 127 bytes.
	Overrides map[string]any

	// Progress is called with the fraction loaded, from 0 to 1, on the goroutine that loads. It must not panic: there are
	// C++ frames between it and its caller.
	Progress func(fraction float64)
}

// Model is a language model: weights, metadata and vocabulary. It may be used from several goroutines, Close only when none
// is using it any more.
type Model struct {
	c     *C.struct_llama_model
	path  string
	vocab Vocab
	only  bool // vocabulary only

	mu    sync.Mutex
	users int // open contexts, samplers and adapters, and what Retain counted
}

// LoadModel reads a GGUF file. It blocks until the model is loaded, ctx is done, or loading fails; a split model is named by
// its first file. The error names the file and what is wrong with it.
func LoadModel(ctx context.Context, path string, params ModelParams) (*Model, error) {
	if err := Init(); err != nil {
		return nil, err
	}
	if err := checkModelFile(path); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var arena cArena
	defer arena.free()
	p, err := params.toC(&arena)
	if err != nil {
		return nil, err
	}
	handle := cgo.NewHandle(progressFunc(func(fraction float64) bool {
		if params.Progress != nil {
			params.Progress(fraction)
		}
		return ctx.Err() == nil
	}))
	defer handle.Delete()

	logged := ggml.CollectErrors()
	var out *C.struct_llama_model
	var eb errBuf
	ok := C.shim_load_model(arena.str(path), p, true, C.uintptr_t(handle), &out, eb.ptr(), eb.cap())
	switch {
	case !bool(ok):
		return nil, logged.Wrap(fmt.Errorf("llama: load %s: %s", path, eb.String()))
	case out == nil && ctx.Err() != nil:
		logged.Stop()
		return nil, fmt.Errorf("llama: load %s: %w", path, ctx.Err())
	case out == nil:
		return nil, logged.Wrap(fmt.Errorf("llama: cannot load %s", path))
	}
	logged.Stop()
	m := &Model{c: out, path: path, only: params.VocabOnly}
	m.vocab = Vocab{model: m, c: C.llama_model_get_vocab(out)}
	m.vocab.n = int(C.llama_vocab_n_tokens(m.vocab.c))
	return m, nil
}

// checkModelFile looks at what libllama would report only as a null pointer.
func checkModelFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("llama: %w", err)
	case info.IsDir():
		return fmt.Errorf("llama: %s is a directory, not a GGUF file", path)
	case !info.Mode().IsRegular(): // opening a pipe would wait for a writer
		return fmt.Errorf("llama: %s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("llama: %w", err)
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != "GGUF" {
		return fmt.Errorf("llama: %s is not a GGUF file", path)
	}
	return nil
}

func (p *ModelParams) toC(arena *cArena) (C.struct_llama_model_params, error) {
	c := C.llama_model_default_params()
	switch {
	case p.GPULayers < NoGPULayers:
		return c, fmt.Errorf("llama: GPULayers is %d; give a count, 0 for all, or NoGPULayers", p.GPULayers)
	case p.GPULayers == NoGPULayers:
		c.n_gpu_layers = 0
	case p.GPULayers > 0:
		c.n_gpu_layers = C.int32_t(min(p.GPULayers, math.MaxInt32))
	default:
		c.n_gpu_layers = -1
	}
	modes := map[SplitMode]C.enum_llama_split_mode{SplitLayer: C.LLAMA_SPLIT_MODE_LAYER, SplitNone: C.LLAMA_SPLIT_MODE_NONE,
		SplitRow: C.LLAMA_SPLIT_MODE_ROW, SplitTensor: C.LLAMA_SPLIT_MODE_TENSOR}
	mode, ok := modes[p.SplitMode]
	if !ok {
		return c, fmt.Errorf("llama: unknown SplitMode %d", p.SplitMode)
	}
	c.split_mode = mode
	if p.LoadMode < LoadAuto || p.LoadMode > LoadDirectIO {
		return c, fmt.Errorf("llama: unknown LoadMode %d", p.LoadMode)
	}
	c.load_mode = C.enum_llama_load_mode(p.LoadMode) - 1 // llama_load_mode counts from -1 (auto)
	if p.MainGPU < 0 || p.MainGPU > math.MaxInt32 {
		return c, fmt.Errorf("llama: MainGPU is %d", p.MainGPU)
	}
	c.main_gpu = C.int32_t(p.MainGPU)
	c.vocab_only = C.bool(p.VocabOnly)
	c.check_tensors = C.bool(p.CheckTensors)
	c.use_extra_bufts = C.bool(!p.NoRepack)

	if p.Devices != nil {
		list := arena.pointers(len(p.Devices) + 1)
		for i, d := range p.Devices {
			if d.Pointer() == nil {
				return c, fmt.Errorf("llama: device %d of ModelParams.Devices is empty", i)
			}
			list[i] = d.Pointer()
		}
		c.devices = (*C.ggml_backend_dev_t)(unsafe.Pointer(&list[0]))
	}
	if p.TensorSplit != nil {
		n := int(C.llama_max_devices())
		if len(p.TensorSplit) > n {
			return c, fmt.Errorf("llama: TensorSplit has %d shares, at most %d devices are possible", len(p.TensorSplit), n)
		}
		for i, share := range p.TensorSplit {
			if !finite(share) || share < 0 {
				return c, fmt.Errorf("llama: TensorSplit[%d] is %v", i, share)
			}
		}
		split := unsafe.Slice((*float32)(arena.alloc(uintptr(max(n, 1))*4)), max(n, 1))
		copy(split, p.TensorSplit)
		c.tensor_split = (*C.float)(unsafe.Pointer(&split[0]))
	}
	if len(p.Overrides) > 0 {
		list, err := overridesToC(arena, p.Overrides)
		if err != nil {
			return c, err
		}
		c.kv_overrides = list
	}
	return c, nil
}

// overridesToC makes the list that libllama reads up to an entry with an empty key.
func overridesToC(arena *cArena, overrides map[string]any) (*C.struct_llama_model_kv_override, error) {
	size := unsafe.Sizeof(C.struct_llama_model_kv_override{})
	list := unsafe.Slice((*C.struct_llama_model_kv_override)(arena.alloc(size*uintptr(len(overrides)+1))), len(overrides)+1)
	i := 0
	for key, value := range overrides {
		o := &list[i]
		if key == "" || len(key) >= len(o.key) || strings.ContainsRune(key, 0) {
			return nil, fmt.Errorf("llama: override key %q must have 1 to %d bytes and no NUL", key, len(o.key)-1)
		}
		for j := range len(key) {
			o.key[j] = C.char(key[j])
		}
		switch v := value.(type) {
		case int:
			C.shim_override_int(o, C.int64_t(v))
		case int64:
			C.shim_override_int(o, C.int64_t(v))
		case float64:
			C.shim_override_float(o, C.double(v))
		case bool:
			C.shim_override_bool(o, C.bool(v))
		case string:
			if len(v) > 127 || strings.ContainsRune(v, 0) {
				return nil, fmt.Errorf("llama: override %s: the text is longer than 127 bytes, or has a NUL", key)
			}
			C.shim_override_str(o, arena.str(v))
		default:
			return nil, fmt.Errorf("llama: override %s has type %T; give int, int64, float64, bool or string", key, value)
		}
		i++
	}
	return &list[0], nil
}

// Close frees the model. It returns ErrInUse, and does nothing, while contexts, samplers or adapters made from it are open, or
// after a Retain without its Release.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.c == nil {
		return nil
	}
	if m.users > 0 {
		return fmt.Errorf("%w by %d contexts, samplers, adapters or others: %s", ErrInUse, m.users, m.path)
	}
	C.llama_model_free(m.c)
	m.c, m.vocab.c = nil, nil
	return nil
}

// Retain keeps the model open for another binding in this module that uses its Pointer: Close returns ErrInUse until Release was
// called as often. It returns ErrClosed if the model is closed already.
func (m *Model) Retain() error { return m.acquire() }

// Release ends one Retain.
func (m *Model) Release() { m.release() }

// acquire registers a user of the model, release ends it.
func (m *Model) acquire() error {
	if m == nil {
		return errors.New("llama: nil Model")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.c == nil {
		return ErrClosed
	}
	m.users++
	return nil
}

func (m *Model) release() {
	m.mu.Lock()
	m.users--
	m.mu.Unlock()
}

// Pointer is the llama_model, for other bindings in this module; nil after Close.
func (m *Model) Pointer() unsafe.Pointer { return unsafe.Pointer(m.c) }

// Path is the file that the model was loaded from.
func (m *Model) Path() string { return m.path }

// Vocab is the model's vocabulary. It is valid until the model is closed.
func (m *Model) Vocab() *Vocab { return &m.vocab }

// dim calls f unless the model is closed, in which case dimensions are zero.
func (m *Model) dim(f func(*C.struct_llama_model) C.int32_t) int {
	if m.c == nil {
		return 0
	}
	return int(f(m.c))
}

// NEmbd is the width of the model's hidden state.
func (m *Model) NEmbd() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_embd(c) })
}

// NEmbdInp is the width of an input embedding: NEmbd, and more where deep-stack features of a vision tower ride along.
func (m *Model) NEmbdInp() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_embd_inp(c) })
}

// NEmbdOut is the width of an output embedding.
func (m *Model) NEmbdOut() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_embd_out(c) })
}

// NCtxTrain is the context length, in tokens, that the model was trained for.
func (m *Model) NCtxTrain() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_ctx_train(c) })
}

// NLayer is the number of transformer blocks.
func (m *Model) NLayer() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_layer(c) })
}

// NHead is the number of attention heads, NHeadKV that of key and value heads.
func (m *Model) NHead() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_head(c) })
}

// NHeadKV is the number of key and value heads.
func (m *Model) NHeadKV() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_head_kv(c) })
}

// NSWA is the width of the sliding attention window, 0 if the model has none.
func (m *Model) NSWA() int {
	return m.dim(func(c *C.struct_llama_model) C.int32_t { return C.llama_model_n_swa(c) })
}

// RopeType is the kind of rotary position embedding.
type RopeType int

// The rope types that change how positions are given.
const (
	RopeNone   RopeType = C.LLAMA_ROPE_TYPE_NONE
	RopeNorm   RopeType = C.LLAMA_ROPE_TYPE_NORM
	RopeNeoX   RopeType = C.LLAMA_ROPE_TYPE_NEOX
	RopeMRoPE  RopeType = C.LLAMA_ROPE_TYPE_MROPE
	RopeIMRoPE RopeType = C.LLAMA_ROPE_TYPE_IMROPE
	RopeVision RopeType = C.LLAMA_ROPE_TYPE_VISION
)

// RopeType reports the model's kind of position embedding.
func (m *Model) RopeType() RopeType {
	return RopeType(m.dim(func(c *C.struct_llama_model) C.int32_t { return C.int32_t(C.llama_model_rope_type(c)) }))
}

// NPosPerEmbd is how many positions an embedding needs in a batch: 4 for M-RoPE (t, y, x, z), else 1.
func (m *Model) NPosPerEmbd() int {
	switch m.RopeType() {
	case RopeMRoPE, RopeIMRoPE:
		return 4
	}
	return 1
}

// Size is the size of all weights in bytes.
func (m *Model) Size() uint64 {
	if m.c == nil {
		return 0
	}
	return uint64(C.llama_model_size(m.c))
}

// NParams is the number of weights.
func (m *Model) NParams() uint64 {
	if m.c == nil {
		return 0
	}
	return uint64(C.llama_model_n_params(m.c))
}

// FileType is the quantization as libllama names it, for example "Q4_K - Medium".
func (m *Model) FileType() string {
	if m.c == nil {
		return ""
	}
	return C.GoString(C.llama_ftype_name(C.llama_model_ftype(m.c)))
}

// HasEncoder reports whether the model needs Encode (encoder-decoder models such as T5).
func (m *Model) HasEncoder() bool { return m.c != nil && bool(C.llama_model_has_encoder(m.c)) }

// HasDecoder reports whether the model can Decode.
func (m *Model) HasDecoder() bool { return m.c != nil && bool(C.llama_model_has_decoder(m.c)) }

// DecoderStartToken is the token that starts a decoder after Encode, or NoToken.
func (m *Model) DecoderStartToken() Token {
	if m.c == nil {
		return NoToken
	}
	return Token(C.llama_model_decoder_start_token(m.c))
}

// IsRecurrent reports whether the model keeps a recurrent state instead of a KV cache (Mamba, RWKV).
func (m *Model) IsRecurrent() bool { return m.c != nil && bool(C.llama_model_is_recurrent(m.c)) }

// IsHybrid reports whether some layers are recurrent and some attend.
func (m *Model) IsHybrid() bool { return m.c != nil && bool(C.llama_model_is_hybrid(m.c)) }

// Description is libllama's short name for the model, for example "llama 7B Q4_0".
func (m *Model) Description() string {
	if m.c == nil {
		return ""
	}
	return growString(func(buf *C.char, n C.size_t) C.int32_t { return C.llama_model_desc(m.c, buf, n) })
}

// Meta returns the metadata value of key as text. Arrays are not available here; models/gguf reads them.
func (m *Model) Meta(key string) (string, bool) {
	if m.c == nil {
		return "", false
	}
	ck := C.CString(key)
	defer C.free(unsafe.Pointer(ck))
	if C.llama_model_meta_val_str(m.c, ck, nil, 0) < 0 {
		return "", false
	}
	return growString(func(buf *C.char, n C.size_t) C.int32_t { return C.llama_model_meta_val_str(m.c, ck, buf, n) }), true
}

// Metadata returns every scalar metadata value as text, by key.
func (m *Model) Metadata() map[string]string {
	if m.c == nil {
		return nil
	}
	n := int(C.llama_model_meta_count(m.c))
	all := make(map[string]string, n)
	for i := range C.int32_t(n) {
		key := growString(func(b *C.char, n C.size_t) C.int32_t { return C.llama_model_meta_key_by_index(m.c, i, b, n) })
		all[key] = growString(func(b *C.char, n C.size_t) C.int32_t { return C.llama_model_meta_val_str_by_index(m.c, i, b, n) })
	}
	return all
}

// ChatTemplate is the model's Jinja template: the default one for an empty name, else the named variant ("tool_use").
func (m *Model) ChatTemplate(name string) (string, bool) {
	if m.c == nil {
		return "", false
	}
	var cn *C.char
	if name != "" {
		cn = C.CString(name)
		defer C.free(unsafe.Pointer(cn))
	}
	t := C.llama_model_chat_template(m.c, cn)
	if t == nil {
		return "", false
	}
	return C.GoString(t), true
}

// growString calls a C function of the snprintf kind until its buffer is large enough.
func growString(f func(buf *C.char, n C.size_t) C.int32_t) string {
	buf := make([]C.char, 256)
	for {
		n := int(f(&buf[0], C.size_t(len(buf))))
		if n < 0 {
			return ""
		}
		if n < len(buf) {
			return C.GoStringN(&buf[0], C.int(n))
		}
		buf = make([]C.char, n+1)
	}
}
