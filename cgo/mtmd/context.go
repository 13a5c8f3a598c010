package mtmd

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// Params are the options of [New]. The zero value is a sound choice.
type Params struct {
	Threads int  // threads that encode on the CPU; 0 means GOMAXPROCS
	NoGPU   bool // encode on the CPU even if a GPU is there
	Warmup  bool // encode an empty picture while loading, so that the first real one is not slower

	// NoAccelerator leaves all to ggml's own CPU backend where that encodes.
	NoAccelerator bool

	// Device encodes; nil means the first GPU, or else the CPU, with the accelerator where it is
	// loaded. It is one of ggml.Devices.
	Device *ggml.Device

	FlashAttn llama.FlashAttention // of the tower

	// ImageMinTokens and ImageMaxTokens bound the tokens of a picture in models that take pictures
	// of any size; 0 means what the projector's file says.
	ImageMinTokens, ImageMaxTokens int

	// Marker stands for a picture or sound in a text; "" means libmtmd's own.
	Marker string

	// Progress is called with the fraction loaded, from 0 to 1, on the goroutine that loads.
	Progress func(fraction float64)

	// Observer, if not nil, sees the matrix products of each encoding. It must outlive the Context.
	Observer *llama.Collector

	// PieceNodes is the most graph nodes (a layer has some 15 to 30) in a piece, after which an
	// encoding can pause and a cancelled context is noticed. 0 means 32. A piece ends earlier where
	// it has much to multiply.
	PieceNodes int
}

const defaultPieceNodes = 32

// A Context is a projector, with its vision tower, audio tower or both, loaded for one language
// model.
type Context struct {
	open     sync.RWMutex // held, for reading, by all who use c, which Close waits for
	encoding sync.Mutex   // held by the one who encodes; guards running
	running  *Encoding    // that has begun and not ended
	c        *C.mtmd_context
	watch    *C.shim_mtmd_watch

	model   *llama.Model
	devices []ggml.Device // the one that encodes; none for the CPU
	threads int           // of the accelerator; 0 if it is not used
	caps    Capabilities
	marker  string
	nEmbd   int
}

// Capabilities tells what a projector and its language model can take.
type Capabilities struct {
	Vision          bool
	Audio           bool
	AudioSampleRate int // Hz; 0 without Audio
	// the language model has positions of several dimensions, see [Chunk.Positions]
	MRoPE bool
	// the tokens of a picture attend to each other in both directions, see [Chunk.NonCausal]
	NonCausal bool
}

// New loads a projector (an mmproj GGUF file) for a language model. It blocks until that is done,
// ctx is done, or loading fails: the error names the file and what is wrong with it, such as
// embeddings of another width than the model's.
func New(ctx context.Context, path string, model *llama.Model, params Params) (*Context, error) {
	if err := initOnce(); err != nil {
		return nil, err
	}
	if model == nil {
		return nil, errors.New("mtmd: nil Model")
	}
	if err := model.Retain(); err != nil {
		return nil, fmt.Errorf("mtmd: load %s: %w", path, ErrModelClosed)
	}
	m, err := newContext(ctx, path, model, params)
	if err != nil {
		model.Release()
		return nil, err
	}
	return m, nil
}

func newContext(ctx context.Context, path string, model *llama.Model,
	params Params) (*Context, error) {
	if model.NEmbdInp() <= 0 {
		return nil, fmt.Errorf(
			"mtmd: load %s: the language model was loaded for its vocabulary alone", path)
	}
	if err := params.check(); err != nil {
		return nil, err
	}
	if err := ggml.CheckFile(path); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("mtmd: load %s: %w", path, err)
	}

	piece := cmp.Or(params.PieceNodes, defaultPieceNodes)
	m := &Context{model: model, nEmbd: model.NEmbdInp(), watch: C.shim_mtmd_watch_new(C.int(piece),
		ggml.Fibers())}
	if m.watch == nil {
		return nil, errors.New("mtmd: out of memory")
	}
	if params.Observer != nil {
		function, data := params.Observer.Observer()
		C.shim_mtmd_watch_observe(m.watch, function, data)
	}
	if params.Device != nil {
		m.devices = []ggml.Device{*params.Device}
	}
	m.useAccelerator(path, &params)
	if err := m.load(ctx, path, params); err != nil {
		C.shim_mtmd_watch_free(m.watch)
		return nil, err
	}
	m.marker = C.GoString(C.mtmd_get_marker(m.c))
	m.caps = Capabilities{
		Vision:    bool(C.mtmd_support_vision(m.c)),
		Audio:     bool(C.mtmd_support_audio(m.c)),
		MRoPE:     bool(C.mtmd_decode_use_mrope(m.c)),
		NonCausal: bool(C.mtmd_decode_use_non_causal(m.c, nil)),
	}
	if m.caps.Audio {
		m.caps.AudioSampleRate = int(C.mtmd_get_audio_sample_rate(m.c))
	}
	return m, nil
}

// useAccelerator gives the accelerator to libmtmd as the device that encodes, with the CPU for all
// that it does not take, unless there is another device to use.
func (m *Context) useAccelerator(path string, params *Params) {
	if params.NoAccelerator || params.Device != nil || !params.NoGPU && len(ggml.GPUs()) > 0 {
		return
	}
	if params.Device = ggml.AcceleratorDevice(); params.Device == nil {
		return
	}
	params.NoGPU = false // or the device is ignored
	if params.FlashAttn == llama.FlashAuto {
		// libmtmd would ask the device alone, and that may leave attention to the CPU, which has it
		// as well.
		params.FlashAttn = llama.FlashOn
	}
	m.threads = params.threads()
	ggml.PrepareAccelerator(m.threads, path)
}

func (m *Context) load(ctx context.Context, path string, params Params) error {
	handle := cgo.NewHandle(progressFunc(func(fraction float64) bool {
		if params.Progress != nil {
			params.Progress(fraction)
		}
		return ctx.Err() == nil
	}))
	defer handle.Delete()
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	p := params.toC()
	if params.Marker != "" {
		p.media_marker = C.CString(params.Marker)
		defer C.free(unsafe.Pointer(p.media_marker))
	}
	logged := ggml.CollectErrors()
	var eb errBuf
	ok := C.shim_mtmd_init(cpath, (*C.struct_llama_model)(m.model.Pointer()), p, m.watch,
		C.uintptr_t(handle), &m.c, eb.ptr(), eb.cap())
	if m.c == nil {
		ggml.ForgetAcceleratorWeights() // a part may have warmed up before another failed
	}
	switch {
	case !bool(ok):
		ggml.NoteLoss(m.devices, eb.String())
		return logged.Wrap(fmt.Errorf("mtmd: load %s: %s", path, eb.String()))
	case m.c == nil && ctx.Err() != nil:
		logged.Stop()
		return fmt.Errorf("mtmd: load %s: %w", path, ctx.Err())
	case m.c == nil:
		return logged.Wrap(fmt.Errorf("mtmd: cannot load %s", path))
	}
	logged.Stop()
	return nil
}

func (p *Params) check() error {
	for _, v := range []struct {
		name  string
		value int
	}{
		{"Threads", p.Threads}, {"ImageMinTokens", p.ImageMinTokens},
		{"ImageMaxTokens", p.ImageMaxTokens}, {"PieceNodes", p.PieceNodes},
	} {
		if v.value < 0 || v.value > math.MaxInt32 {
			return fmt.Errorf("mtmd: %s is %d", v.name, v.value)
		}
	}
	if p.Threads > 512 { // GGML_MAX_N_THREADS, which ggml asserts
		return fmt.Errorf("mtmd: Threads is %d; ggml takes at most 512", p.Threads)
	}
	if p.ImageMaxTokens > 0 && p.ImageMinTokens > p.ImageMaxTokens {
		return fmt.Errorf("mtmd: ImageMinTokens %d is more than ImageMaxTokens %d",
			p.ImageMinTokens, p.ImageMaxTokens)
	}
	if p.FlashAttn < llama.FlashAuto || p.FlashAttn > llama.FlashOn {
		return fmt.Errorf("mtmd: FlashAttn is %d", int(p.FlashAttn))
	}
	if p.Device != nil && p.Device.Pointer() == nil {
		return errors.New("mtmd: Device is none of ggml.Devices")
	}
	if strings.Contains(p.Marker, "\x00") {
		return errors.New("mtmd: Marker contains a NUL")
	}
	return nil
}

func (p *Params) threads() int {
	if p.Threads == 0 {
		return min(runtime.GOMAXPROCS(0), 512)
	}
	return p.Threads
}

func (p *Params) toC() C.struct_mtmd_context_params {
	c := C.mtmd_context_params_default()
	c.use_gpu = C.bool(!p.NoGPU)
	c.print_timings = false
	c.warmup = C.bool(p.Warmup)
	c.n_threads = C.int(p.threads())
	if p.Device != nil {
		c.device = C.ggml_backend_dev_t(p.Device.Pointer())
	}
	switch p.FlashAttn {
	case llama.FlashAuto:
		c.flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_AUTO
	case llama.FlashOff:
		c.flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_DISABLED
	case llama.FlashOn:
		c.flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_ENABLED
	}
	if p.ImageMinTokens > 0 {
		c.image_min_tokens = C.int(p.ImageMinTokens)
	}
	if p.ImageMaxTokens > 0 {
		c.image_max_tokens = C.int(p.ImageMaxTokens)
	}
	return c
}

// Close frees the projector, after which the language model may be closed. It waits for a call that
// is running, and ends an encoding that has begun; chunks stay valid. Close may be called again.
func (m *Context) Close() error {
	m.open.Lock()
	defer m.open.Unlock()
	if m.c == nil {
		return nil
	}
	if m.running != nil {
		m.running.abort()
	}
	ggml.ForgetAcceleratorWeights()
	if !ggml.LostHere(m.devices) {
		C.mtmd_free(m.c)
	}
	C.shim_mtmd_watch_free(m.watch)
	m.c, m.watch = nil, nil
	m.model.Release()
	return nil
}

// Lost returns why nothing can be encoded any more, nil while something can: the device is lost.
func (m *Context) Lost() error {
	for _, d := range m.devices {
		if err := d.Lost(); err != nil {
			return fmt.Errorf("mtmd: %s: %w", d.Name, err)
		}
	}
	return nil
}

// ready tells whether the library may be called. m.open is held.
func (m *Context) ready() error {
	if m.c == nil {
		return ErrClosed
	}
	return nil
}

// Capabilities returns what the projector takes. Like [Context.Marker] and [Context.NEmbd] it is
// valid after Close.
func (m *Context) Capabilities() Capabilities { return m.caps }

// Marker returns what stands for a picture or sound in the text that [Context.Tokenize] takes.
func (m *Context) Marker() string { return m.marker }

// NEmbd returns the width of the rows of [Context.EncodeChunk]: that of the language model's input
// embeddings, which is a multiple of its hidden width in models that feed several of its layers
// (DeepStack).
func (m *Context) NEmbd() int { return m.nEmbd }
