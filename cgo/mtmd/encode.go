package mtmd

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// Encoding is the encoding of a picture's or sound's chunk, bit by bit, so that others can compute
// in between. Its Advance is to be called on the caller's compute thread (see the package comment).
type Encoding struct {
	m     *Context
	chunk *Chunk
	ctx   context.Context
	stop  func() // ends the watch over ctx
	left  bool   // nobody wants it
	over  bool
	rows  []float32
	err   error
}

var errBusy = errors.New("mtmd: encode: another chunk is being encoded")

// forever is longer than any encoding.
const forever = math.MaxInt32 * time.Second

// Begin begins to encode a chunk, which must come from Tokenize of this Context and may be closed
// meanwhile. One chunk is encoded at a time: it fails while another encoding has neither ended nor
// been left. When ctx is done, the encoding ends within Params.PieceNodes nodes of the graph.
func (m *Context) Begin(ctx context.Context, c *Chunk) (*Encoding, error) {
	switch {
	case c == nil || c.owner == nil:
		return nil, errors.New("mtmd: encode: no chunk of Tokenize")
	case c.Kind == Text:
		return nil, errors.New("mtmd: encode: a chunk of text has no embeddings here")
	case c.owner.ctx != m:
		return nil, errors.New("mtmd: encode: the chunk belongs to another Context")
	case c.owner.blank:
		return nil, errors.New("mtmd: encode: a chunk without pixels")
	}
	m.open.RLock()
	defer m.open.RUnlock()
	m.encoding.Lock()
	defer m.encoding.Unlock()
	if err := m.ready(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("mtmd: encode: %w", err)
	}
	if m.running != nil {
		if !m.running.left {
			return nil, errBusy
		}
		m.running.abort()
	}
	if !c.owner.retain() {
		return nil, ErrClosed
	}
	C.shim_mtmd_watch_arm(m.watch)
	if !bool(C.shim_mtmd_begin(m.watch, m.c, c.c)) {
		C.shim_mtmd_watch_disarm(m.watch)
		c.owner.release()
		return nil, errors.New("mtmd: encode: out of memory")
	}
	e := &Encoding{m: m, chunk: c, ctx: ctx, stop: m.cancelOn(ctx)}
	m.running = e
	return e, nil
}

// Advance goes on encoding for about that long, a piece of the graph at least, and returns whether
// the encoding has ended. An error ends it.
func (e *Encoding) Advance(d time.Duration) (done bool, err error) {
	e.m.open.RLock()
	defer e.m.open.RUnlock()
	e.m.encoding.Lock()
	defer e.m.encoding.Unlock()
	return e.advance(d)
}

// advance is Advance. m.encoding is held.
func (e *Encoding) advance(d time.Duration) (done bool, err error) {
	m := e.m
	if e.over {
		return true, e.err
	}
	if e.ctx.Err() != nil {
		C.shim_mtmd_watch_cancel(m.watch) // as arm does, whose goroutine may come later
	}
	if m.threads > 0 {
		ggml.SetAcceleratorThreads(m.threads) // libmtmd tells the CPU backend alone
	}
	logged := ggml.CollectErrors()
	var ok C.bool
	var rc C.int32_t
	var eb errBuf
	if C.shim_mtmd_advance(m.watch, C.double(d.Seconds()), &ok, &rc, eb.ptr(), eb.cap()) != 1 {
		logged.Stop()
		return false, nil
	}
	stopped := bool(C.shim_mtmd_watch_stopped(m.watch))
	e.end()
	switch {
	case stopped:
		logged.Stop()
		e.err = fmt.Errorf("mtmd: encode: %w", context.Cause(e.ctx))
		if e.ctx.Err() == nil {
			e.err = fmt.Errorf("mtmd: encode: %w", context.Canceled)
		}
	case !bool(ok):
		ggml.NoteLoss(m.devices, eb.String())
		e.err = logged.Wrap(fmt.Errorf("mtmd: encode: %s", eb.String()))
	case rc != 0:
		e.err = logged.Wrap(fmt.Errorf("mtmd: cannot encode the %v (code %d)", e.chunk.Kind,
			int(rc)))
	default:
		logged.Stop()
		if out := C.mtmd_get_output_embd(m.c); out != nil {
			e.rows = slices.Clone(unsafe.Slice((*float32)(out), e.chunk.NTokens*m.nEmbd))
		} else {
			e.err = errors.New("mtmd: encode: no output")
		}
	}
	return true, e.err
}

// end gives back what an encoding holds.
func (e *Encoding) end() {
	e.stop()
	C.shim_mtmd_watch_disarm(e.m.watch)
	e.chunk.owner.release()
	e.over, e.m.running = true, nil
}

// abort brings an encoding that was left to its end. m.encoding is held, or m.open for writing.
func (e *Encoding) abort() {
	C.shim_mtmd_watch_cancel(e.m.watch)
	_, _ = e.advance(forever)
}

// Rows returns the embeddings once the encoding has ended well: NTokens rows of [Context.NEmbd]
// values, the caller's to keep. Before, and after an error, it returns nil.
func (e *Encoding) Rows() []float32 { return e.rows }

// Leave says that nobody wants the encoding. It computes nothing, and may be called from anywhere:
// what has begun is brought to its end by the next Begin, or by the Context's Close.
func (e *Encoding) Leave() {
	e.m.encoding.Lock()
	defer e.m.encoding.Unlock()
	e.left = true
}

// EncodeChunk runs the tower and the projector over a picture's or sound's chunk and returns its
// embeddings: c.NTokens rows of [Context.NEmbd] values, the caller's to keep. The chunk must come
// from Tokenize of this Context.
//
// It must be called on the caller's compute thread (see the package comment). When ctx is done it
// stops within Params.PieceNodes nodes of the graph and returns ctx's error; the Context can be
// used again.
func (m *Context) EncodeChunk(ctx context.Context, c *Chunk) ([]float32, error) {
	e, err := m.Begin(ctx, c)
	if err != nil {
		return nil, err
	}
	for done := false; !done; {
		done, err = e.Advance(forever)
	}
	return e.Rows(), err
}

// cancelOn makes the encoding stop when ctx is done, until the returned function is called.
func (m *Context) cancelOn(ctx context.Context) (stop func()) {
	watch := m.watch
	cancelled := make(chan struct{})
	unregister := context.AfterFunc(ctx, func() {
		C.shim_mtmd_watch_cancel(watch)
		close(cancelled)
	})
	return func() {
		if !unregister() {
			<-cancelled // or it would cancel the next encode
		}
	}
}
