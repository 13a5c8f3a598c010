package mtmd

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"
	"slices"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// EncodeChunk runs the tower and the projector over a picture's or sound's chunk and returns its embeddings: c.NTokens rows
// of [Context.NEmbd] values, the caller's to keep. The chunk must come from Tokenize of this Context.
//
// It must be called on the caller's compute thread (see the package comment). When ctx is done it stops within
// Params.PieceNodes nodes of the graph and returns ctx's error; the Context can be used again.
func (m *Context) EncodeChunk(ctx context.Context, c *Chunk) ([]float32, error) {
	if c == nil || c.owner == nil {
		return nil, errors.New("mtmd: encode: no chunk of Tokenize")
	}
	if c.Kind == Text {
		return nil, errors.New("mtmd: encode: a chunk of text has no embeddings here")
	}
	if c.owner.ctx != m {
		return nil, errors.New("mtmd: encode: the chunk belongs to another Context")
	}
	if c.owner.blank {
		return nil, errors.New("mtmd: encode: a chunk without pixels")
	}
	m.open.RLock()
	defer m.open.RUnlock()
	m.encoding.Lock()
	defer m.encoding.Unlock()
	if err := m.ready(); err != nil {
		return nil, err
	}
	c.owner.mu.RLock()
	defer c.owner.mu.RUnlock()
	if c.owner.c == nil {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("mtmd: encode: %w", err)
	}

	if m.threads > 0 {
		ggml.SetAcceleratorThreads(m.threads) // libmtmd tells the CPU backend alone
	}
	disarm := m.arm(ctx)
	logged := ggml.CollectErrors()
	var rc C.int32_t
	var eb errBuf
	ok := C.shim_mtmd_encode(m.c, c.c, &rc, eb.ptr(), eb.cap())
	stopped := disarm()
	switch {
	case stopped && ctx.Err() != nil:
		logged.Stop()
		return nil, fmt.Errorf("mtmd: encode: %w", ctx.Err())
	case stopped:
		logged.Stop()
		return nil, ErrStopped
	case !bool(ok):
		return nil, logged.Wrap(fmt.Errorf("mtmd: encode: %s", eb.String()))
	case rc != 0:
		return nil, logged.Wrap(fmt.Errorf("mtmd: cannot encode the %v (code %d)", c.Kind, int(rc)))
	}
	logged.Stop()
	out := C.mtmd_get_output_embd(m.c)
	if out == nil {
		return nil, errors.New("mtmd: encode: no output")
	}
	return slices.Clone(unsafe.Slice((*float32)(out), c.NTokens*m.nEmbd)), nil
}

// arm makes the next encode stop when ctx is done or the hook says so. The returned function ends that and tells
// whether it was stopped.
func (m *Context) arm(ctx context.Context) (disarm func() bool) {
	var handle cgo.Handle
	if m.hook != nil {
		handle = cgo.NewHandle(hookFunc(m.hook))
	}
	watch := m.watch
	C.shim_mtmd_watch_arm(watch, C.uintptr_t(handle))
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		C.shim_mtmd_watch_cancel(watch)
		close(cancelled)
	})
	return func() bool {
		if !stop() {
			<-cancelled // or it would cancel the next encode
		}
		C.shim_mtmd_watch_disarm(watch)
		if handle != 0 {
			handle.Delete()
		}
		return bool(C.shim_mtmd_watch_stopped(watch))
	}
}
