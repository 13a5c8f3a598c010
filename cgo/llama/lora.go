package llama

// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// Adapter is a LoRA adapter (Hu et al. 2021) loaded for one Model.
type Adapter struct {
	c     *C.struct_llama_adapter_lora
	model *Model
	path  string
	users int // contexts that apply it, guarded by model.mu: they may belong to several goroutines
}

// LoadAdapter reads a LoRA adapter from a GGUF file. Its error names the file.
func LoadAdapter(model *Model, path string) (*Adapter, error) {
	if err := ggml.CheckFile(path); err != nil {
		return nil, err
	}
	if err := model.acquire(); err != nil {
		return nil, err
	}
	var arena cArena
	defer arena.free()
	logged := ggml.CollectErrors()
	var out *C.struct_llama_adapter_lora
	var eb errBuf
	if !bool(C.shim_lora_load(model.c, arena.str(path), &out, eb.ptr(), eb.cap())) || out == nil {
		model.release()
		return nil, model.orLost(logged.Wrap(fmt.Errorf(
			"llama: cannot load the adapter %s for %s %s", path, model.path, &eb)), eb.String())
	}
	logged.Stop()
	return &Adapter{c: out, model: model, path: path}, nil
}

// Meta returns a scalar metadata value of the adapter as text.
func (a *Adapter) Meta(key string) (string, bool) {
	if a.c == nil {
		return "", false
	}
	var arena cArena
	defer arena.free()
	ck := arena.str(key)
	if C.llama_adapter_meta_val_str(a.c, ck, nil, 0) < 0 {
		return "", false
	}
	return growString(func(b *C.char, n C.size_t) C.int32_t {
		return C.llama_adapter_meta_val_str(a.c, ck, b, n)
	}), true
}

// Close frees the adapter. It returns ErrInUse while a context applies it.
func (a *Adapter) Close() error {
	if a.c == nil {
		return nil
	}
	a.model.mu.Lock()
	users := a.users
	a.model.mu.Unlock()
	if users > 0 {
		return fmt.Errorf("%w: the adapter %s is applied in %d contexts", ErrInUse, a.path, users)
	}
	C.llama_adapter_lora_free(a.c)
	a.c = nil
	a.model.release()
	return nil
}

// SetAdapters makes the next Decode, and all after it, apply these adapters, each with its scale.
// An empty list removes all.
func (c *Context) SetAdapters(adapters []*Adapter, scales []float32) error {
	if c.c == nil {
		return ErrClosed
	}
	if len(adapters) != len(scales) {
		return fmt.Errorf("llama: %d adapters with %d scales", len(adapters), len(scales))
	}
	var arena cArena
	defer arena.free()
	list := arena.pointers(len(adapters) + 1)
	cscales := make([]C.float, len(scales)+1)
	for i, a := range adapters {
		switch {
		case a == nil || a.c == nil:
			return fmt.Errorf("llama: adapter %d: %w", i, ErrClosed)
		case a.model != c.model:
			return fmt.Errorf("llama: the adapter %s was loaded for another model", a.path)
		case slices.Contains(adapters[:i], a):
			return fmt.Errorf("llama: the adapter %s is given twice", a.path)
		case !finite(scales[i]):
			return fmt.Errorf("llama: the scale of adapter %s is %v", a.path, scales[i])
		}
		list[i] = unsafe.Pointer(a.c)
		cscales[i] = C.float(scales[i])
	}
	var rc C.int32_t
	var eb errBuf
	ok := C.shim_lora_set(c.c, (**C.struct_llama_adapter_lora)(unsafe.Pointer(&list[0])),
		C.size_t(len(adapters)), &cscales[0], &rc, eb.ptr(), eb.cap())
	if !bool(ok) || rc != 0 {
		return fmt.Errorf("llama: the adapters could not be applied %s", &eb)
	}
	c.keepAdapters(adapters)
	return nil
}

// keepAdapters notes which adapters the context applies, so that they are not closed meanwhile.
func (c *Context) keepAdapters(now []*Adapter) {
	c.model.mu.Lock()
	defer c.model.mu.Unlock()
	for _, a := range c.adapters {
		a.users--
	}
	c.adapters = append(c.adapters[:0], now...)
	for _, a := range c.adapters {
		a.users++
	}
}
