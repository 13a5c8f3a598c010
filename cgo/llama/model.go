package llama

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"runtime/cgo"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// LoadMode says how weights reach memory.
type LoadMode int

// Load modes, as llama_load_mode names them.
const (
	LoadAuto LoadMode = iota // whatever suits the devices, and the memory that is free
	LoadRead                 // read into allocated memory
	// map the file; pages come in on first use and are shared between processes
	LoadMmap
	LoadMlock     // read and pin
	LoadMmapMlock // map and pin
	LoadDirectIO  // read past the page cache
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
	// layers to place on GPUs: 0 means all, NoGPULayers means none, and that no GPU computes
	// anything
	GPULayers   int
	Devices     []ggml.Device // GPUs to use; nil means all of ggml.GPUs, an empty list none
	SplitMode   SplitMode
	MainGPU     int       // the device of SplitNone
	TensorSplit []float32 // share of each device, in proportion; nil lets libllama choose
	LoadMode    LoadMode
	// Shared keeps LoadAuto from reading files into memory of this process alone, which makes
	// loading slower and tokens faster.
	Shared bool

	VocabOnly    bool // metadata and vocabulary, no weights: such a model takes no Context
	CheckTensors bool // look for NaN and infinite weights while loading
	// NoRepack keeps weights as they stand in the file instead of repacking them for the kernels of
	// the CPU backend. They stay so without asking where the accelerator computes them and decoding
	// does not suffer (ggml.PrepareAccelerator).
	NoRepack bool

	// Overrides replaces metadata by key. Values are int, int64, float64, bool or string of at most
	// 127 bytes.
	Overrides map[string]any

	// Progress is called with the fraction loaded, from 0 to 1, on the goroutine that loads. It
	// must not panic: there are C++ frames between it and its caller.
	Progress func(fraction float64)
}

// Model is a language model: weights, metadata and vocabulary. It may be used from several
// goroutines, Close only when none is using it any more.
type Model struct {
	c     *C.struct_llama_model
	path  string
	vocab Vocab
	only  bool          // vocabulary only
	plain bool          // weights lie as in the file
	reads *ggml.Weights // nil where devices compute, or files do not tell
	gpus  []ggml.Device // that compute with some of its layers or all
	mixed bool          // the CPU computes with some layers, too
	few   ggml.Few
	fault atomic.Pointer[error]

	mu    sync.Mutex
	users int // open contexts, samplers and adapters, and what Retain counted
}

// advise has servers that layers of a model will lie on compute as this process would.
func advise(devices []ggml.Device, path string) {
	remote := func(d ggml.Device) bool { return d.Remote != nil }
	if !slices.ContainsFunc(devices, remote) {
		return
	}
	choices, ok := ggml.ChoicesFor(splitFiles(path)...)
	for _, d := range devices {
		if ok && remote(d) {
			d.Remote.Advise(choices)
		}
	}
}

// LoadModel reads a GGUF file. It blocks until the model is loaded, ctx is done, or loading fails;
// a split model is named by its first file. The error names the file and what is wrong with it.
func LoadModel(ctx context.Context, path string, params ModelParams) (*Model, error) {
	if err := Init(); err != nil {
		return nil, err
	}
	if err := ggml.CheckFile(path); err != nil {
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
	gpus, mixed := params.placement()
	files := splitFiles(path)
	var few ggml.Few
	if !params.VocabOnly && (len(gpus) == 0 || mixed) {
		if ggml.PrepareAccelerator(0, files...) {
			p.use_extra_bufts = false
		}
		if len(gpus) == 0 {
			few = ggml.FewRowsOf(!bool(p.use_extra_bufts), files...)
		}
	}
	if !params.VocabOnly {
		advise(gpus, path)
	}
	if !params.VocabOnly && params.LoadMode == LoadAuto && !params.Shared && len(gpus) == 0 &&
		readsFaster(files) {
		p.load_mode = C.LLAMA_LOAD_MODE_NONE
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
	if !bool(ok) {
		ggml.NoteLoss(gpus, eb.String())
	}
	lost := lostDevice(gpus)
	switch {
	case lost != nil:
		logged.Stop()
		if out != nil {
			C.llama_model_free(out)
		}
		return nil, fmt.Errorf("%w while %s was loaded", lost, path)
	case !bool(ok):
		return nil, full(gpus, logged.Wrap(fmt.Errorf("llama: load %s: %s", path, eb.String())))
	case out == nil && ctx.Err() != nil:
		logged.Stop()
		return nil, fmt.Errorf("llama: load %s: %w", path, ctx.Err())
	case out == nil:
		return nil, full(gpus, logged.Wrap(fmt.Errorf("llama: cannot load %s", path)))
	}
	logged.Stop()
	m := &Model{c: out, path: path, only: params.VocabOnly, gpus: gpus, mixed: mixed,
		plain: !bool(p.use_extra_bufts), few: few}
	if !params.VocabOnly && len(gpus) == 0 {
		m.reads = ggml.CountWeights(files...)
	}
	m.vocab = Vocab{model: m, c: C.llama_model_get_vocab(out)}
	m.vocab.n = int(C.llama_vocab_n_tokens(m.vocab.c))
	return m, nil
}

// Lost returns why the model can compute nothing any more: a device is lost, with an error that
// wraps [ErrDeviceLost], or a call failed in the middle; nil while it can.
func (m *Model) Lost() error {
	if err := lostDevice(m.gpus); err != nil {
		return err
	}
	if err := m.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// noMemory is how libllama, ggml's backends and Vulkan's C++ binding say that memory ran out.
var noMemory = regexp.MustCompile(`(?i)allocat|out ?of ?(device|host)? ?memory`)

// full returns err, as an ErrDeviceFull if it tells of memory that could not be had, and devices
// were to take some.
func full(devices []ggml.Device, err error) error {
	if len(devices) == 0 || !noMemory.MatchString(err.Error()) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDeviceFull, err)
}

// lostDevice finds a device that is lost.
func lostDevice(devices []ggml.Device) error {
	for _, d := range devices {
		if err := d.Lost(); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDeviceLost, d.Name, err)
		}
	}
	return nil
}

// failed notes a call that ended by an exception, which left libllama's scheduler and cache half
// way; what they would do next nobody knows.
func (m *Model) failed(what, exception string) error {
	ggml.NoteLoss(m.gpus, exception)
	err := fmt.Errorf("llama: %s: %s", what, exception)
	if len(m.gpus) > 0 {
		err = fmt.Errorf("%w: %s: %s", ErrDeviceLost, what, exception)
	}
	m.fault.CompareAndSwap(nil, &err)
	return m.Lost()
}

// orLost returns err, of a call beside decodes that ended by an exception, or that a device was
// lost in it: what lies there must not be freed any more ([ggml.LostHere]).
func (m *Model) orLost(err error, exception string) error {
	ggml.NoteLoss(m.gpus, exception)
	return cmp.Or(lostDevice(m.gpus), err)
}

// TokenBytes is how many bytes of the weights a token reads: not the table of embeddings, of which
// it takes a row; 0 where a token takes some of several experts, or devices compute.
func (m *Model) TokenBytes() int64 { return m.reads.TokenBytes() }

// PromisedToken is how long the products of a token take by what the accelerator has measured; 0
// where that is not known.
func (m *Model) PromisedToken() time.Duration { return m.reads.PromisedToken(m.plain) }

// DoubtPromise says that tokens take another time than PromisedToken has it: the accelerator is to
// measure anew.
func (m *Model) DoubtPromise() { m.reads.Doubt() }

// OnCPU reports whether the CPU computes with all of the weights.
func (m *Model) OnCPU() bool { return len(m.gpus) == 0 }

// OnDevices reports whether devices compute with all layers, the output's included.
func (m *Model) OnDevices() bool { return len(m.gpus) > 0 && !m.mixed }

// placement returns the GPUs that get layers, and whether the CPU keeps some beside them. A backend
// without devices, as that for remote servers is until one is named, counts for nothing, whatever
// llama_supports_gpu_offload says.
func (p *ModelParams) placement() (gpus []ggml.Device, mixed bool) {
	if p.GPULayers == NoGPULayers {
		return nil, false
	}
	if gpus = p.Devices; gpus == nil {
		gpus = DefaultGPUs()
	}
	return gpus, len(gpus) > 0 && p.GPULayers > 0
}

// DefaultGPUs returns the GPUs of this machine that libllama takes if none are named: those in
// system memory only where there are no others.
func DefaultGPUs() []ggml.Device {
	gpus := ggml.GPUs()
	if slices.ContainsFunc(gpus, func(d ggml.Device) bool { return d.Type == ggml.GPU }) {
		gpus = slices.DeleteFunc(gpus, func(d ggml.Device) bool { return d.Type == ggml.IGPU })
	}
	return gpus
}

// splitName is the end of the name of a file that a model was split into, as llama_split_path makes
// it.
var splitName = regexp.MustCompile(`-(\d{5})-of-(\d{5})\.gguf$`)

// maxSplits bounds the parts of a model that are looked for.
const maxSplits = 1000

// splitFiles returns the files of a model that is named by its first.
func splitFiles(path string) []string {
	parts := splitName.FindStringSubmatch(path)
	if parts == nil {
		return []string{path}
	}
	n, _ := strconv.Atoi(parts[2]) // five digits
	var files []string
	for i := range min(n, maxSplits) {
		files = append(files, fmt.Sprintf("%s-%05d-of-%05d.gguf",
			strings.TrimSuffix(path, parts[0]), i+1, n))
	}
	return files
}

func (p *ModelParams) toC(arena *cArena) (C.struct_llama_model_params, error) {
	c := C.llama_model_default_params()
	switch {
	case p.GPULayers < NoGPULayers:
		return c, fmt.Errorf("llama: GPULayers is %d; give a count, 0 for all, or NoGPULayers",
			p.GPULayers)
	case p.GPULayers == NoGPULayers:
		c.n_gpu_layers = 0
	case p.GPULayers > 0:
		c.n_gpu_layers = C.int32_t(min(p.GPULayers, math.MaxInt32))
	default:
		c.n_gpu_layers = -1
	}
	modes := map[SplitMode]C.enum_llama_split_mode{SplitLayer: C.LLAMA_SPLIT_MODE_LAYER,
		SplitNone: C.LLAMA_SPLIT_MODE_NONE,
		SplitRow:  C.LLAMA_SPLIT_MODE_ROW, SplitTensor: C.LLAMA_SPLIT_MODE_TENSOR}
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

	devices := p.Devices
	if devices == nil && slices.ContainsFunc(ggml.Devices(), func(d ggml.Device) bool {
		return d.Lost() != nil
	}) {
		devices = DefaultGPUs() // libllama would take them all
	}
	if p.GPULayers == NoGPULayers {
		// With a device in the list, libllama would copy large products of the CPU's layers to it.
		devices = []ggml.Device{}
	}
	if devices != nil && len(devices) == 0 {
		c.n_gpu_layers = 0
	}
	if devices != nil {
		list := arena.pointers(len(devices) + 1)
		for i, d := range devices {
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
			return c, fmt.Errorf(
				"llama: TensorSplit has %d shares, at most %d devices are possible", len(
					p.TensorSplit), n)
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
func overridesToC(arena *cArena,
	overrides map[string]any) (*C.struct_llama_model_kv_override, error) {
	size := unsafe.Sizeof(C.struct_llama_model_kv_override{})
	list := unsafe.Slice((*C.struct_llama_model_kv_override)(
		arena.alloc(size*uintptr(len(overrides)+1))), len(overrides)+1)
	i := 0
	for key, value := range overrides {
		o := &list[i]
		if key == "" || len(key) >= len(o.key) || strings.ContainsRune(key, 0) {
			return nil, fmt.Errorf("llama: override key %q must have 1 to %d bytes and no NUL", key,
				len(o.key)-1)
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
				return nil, fmt.Errorf(
					"llama: override %s: the text is longer than 127 bytes, or has a NUL", key)
			}
			C.shim_override_str(o, arena.str(v))
		default:
			return nil, fmt.Errorf(
				"llama: override %s has type %T; give int, int64, float64, bool or string", key,
				value)
		}
		i++
	}
	return &list[0], nil
}

// Close frees the model. It returns ErrInUse, and does nothing, while contexts, samplers or
// adapters made from it are open, or after a Retain without its Release.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.c == nil {
		return nil
	}
	if m.users > 0 {
		return fmt.Errorf("%w by %d contexts, samplers, adapters or others: %s", ErrInUse, m.users,
			m.path)
	}
	ggml.ForgetAcceleratorWeights()
	C.llama_model_free(m.c)
	m.c, m.vocab.c = nil, nil
	return nil
}

// Retain keeps the model open for another binding in this module that uses its Pointer: Close
// returns ErrInUse until Release was called as often. It returns ErrClosed if the model is closed
// already.
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

// GPUs returns the GPUs that compute with some layers of the model or with all; none if the CPU
// does alone.
func (m *Model) GPUs() []ggml.Device { return m.gpus }

// Vocab is the model's vocabulary. It is valid until the model is closed.
func (m *Model) Vocab() *Vocab { return &m.vocab }
