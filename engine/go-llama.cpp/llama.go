package llama

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/eyelet-engine/eyelet/engine"
)

// ErrFreed is returned by the methods of a LLama after Free, and by predictions that Free has
// ended.
var ErrFreed = errors.New("llama: use after Free")

// LLama is an open model.
type LLama struct {
	*handle
}

// handle is what a LLama holds. It is apart from it, so that a LLama that was forgotten can be
// collected and its handle freed.
type handle struct {
	options ModelOptions
	ctx     context.Context // done after Free
	cancel  context.CancelFunc

	mu         sync.Mutex
	engine     *engine.Engine
	model      *engine.Model
	users      int               // methods that are under way
	freed      bool              // by Free; the last user closes
	registered func(string) bool // by SetTokenCallback
	running    map[*callback]struct{}
	last       *engine.Conversation // what was computed last; nil before
}

// New opens a model, a GGUF file. Errors name the file and what is wrong with it or with an option.
// The model is open until Free.
func New(model string, opts ...ModelOption) (*LLama, error) {
	mo := NewModelOptions(opts...)
	spec, err := mo.spec(model)
	if err != nil {
		return nil, fmt.Errorf("llama: %w", err)
	}
	e, err := engine.New(engine.Options{})
	if err != nil {
		return nil, fmt.Errorf("llama: %w", err)
	}
	m, err := e.Load(context.Background(), spec)
	if err != nil {
		_ = e.Close()
		return nil, fmt.Errorf("llama: failed loading model: %w", err)
	}
	h := &handle{options: mo, engine: e, model: m, running: map[*callback]struct{}{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	l := &LLama{h}
	runtime.AddCleanup(l, func(h *handle) { go h.free() }, h)
	return l, nil
}

// spec translates options, or says which one cannot be honoured.
func (mo *ModelOptions) spec(model string) (engine.ModelSpec, error) {
	s := engine.ModelSpec{
		Model: model, Projector: mo.MMProj, Context: mo.ContextSize, GPULayers: mo.NGPULayers,
		CacheType: "f32", NoMap: !mo.MMap, Lock: mo.MLock,
	}
	if mo.ContextSize < 0 {
		return s, fmt.Errorf("SetContext: %d tokens", mo.ContextSize)
	}
	switch { // 0 means all to the engine, and none here
	case mo.NGPULayers == 0:
		s.GPULayers = -1
	case mo.NGPULayers < 0:
		s.GPULayers = 0
	}
	if mo.F16Memory {
		s.CacheType = "f16"
	}
	if mo.LoraAdapter != "" {
		s.Adapters = []engine.Adapter{{Path: mo.LoraAdapter}}
	}
	if mo.FreqRopeBase != DefaultRopeBase {
		s.RopeBase = mo.FreqRopeBase
	}
	if mo.FreqRopeScale != DefaultRopeScale {
		s.RopeScale = mo.FreqRopeScale
	}
	var err error
	if mo.MainGPU != "" {
		if s.MainGPU, err = strconv.Atoi(strings.TrimSpace(mo.MainGPU)); err != nil {
			return s, fmt.Errorf("SetMainGPU: %q is no number of a GPU", mo.MainGPU)
		}
	}
	if mo.TensorSplit != "" {
		for _, share := range strings.FieldsFunc(mo.TensorSplit, func(r rune) bool {
			return r == ',' || r == '/'
		}) {
			x, err := strconv.ParseFloat(strings.TrimSpace(share), 32)
			if err != nil || !(x >= 0) {
				return s, fmt.Errorf("SetTensorSplit: %q in %q is no share", share, mo.TensorSplit)
			}
			s.TensorSplit = append(s.TensorSplit, float32(x))
		}
	}
	return s, nil
}

// The frequency base and scale of rotary position embeddings that stand for the model's own, as the
// defaults of options have them.
const (
	DefaultRopeBase  = 10000
	DefaultRopeScale = 1
)

// Free ends running predictions and gives the model's memory back: when it returns, or if
// predictions are running when the last of them does. It may be called more than once, and by a
// token callback.
func (l *LLama) Free() {
	if l != nil && l.handle != nil {
		l.handle.free()
	}
}

func (h *handle) free() {
	h.cancel()
	h.mu.Lock()
	first := !h.freed
	h.freed = true
	idle := h.users == 0
	h.mu.Unlock()
	if first && idle {
		h.close()
	}
}

// close is called once, by Free or by the last user after it.
func (h *handle) close() {
	if err := h.engine.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "llama:", err)
	}
}

// use returns the model, which stays open until done is called.
func (l *LLama) use() (m *engine.Model, done func(), err error) {
	if l == nil || l.handle == nil {
		return nil, nil, errors.New("llama: a LLama that New did not make")
	}
	h := l.handle
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.freed {
		return nil, nil, ErrFreed
	}
	h.users++
	return h.model, func() {
		h.mu.Lock()
		h.users--
		last := h.freed && h.users == 0
		h.mu.Unlock()
		if last {
			h.close()
		}
		runtime.KeepAlive(l)
	}, nil
}

// asked is err as a caller understands it.
func (h *handle) asked(err error) error {
	switch {
	case err == nil:
		return nil
	case h.ctx.Err() != nil, errors.Is(err, engine.ErrClosed):
		return ErrFreed
	}
	return fmt.Errorf("llama: %w", err)
}

// remember notes what was computed last, for SaveState.
func (h *handle) remember(c *engine.Conversation) {
	h.mu.Lock()
	h.last = c
	h.mu.Unlock()
}
