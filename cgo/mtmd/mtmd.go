// Package mtmd binds libmtmd, llama.cpp's library for pictures and sound: it loads a projector
// beside a language model, turns text with pictures into chunks, and encodes a picture into
// embeddings that the language model takes as input.
//
//	ctx, err := mtmd.New(context.Background(), "mmproj.gguf", model, mtmd.Params{})
//	picture, err := mtmd.Image("", width, height, rgb)
//	chunks, err := ctx.Tokenize("USER: "+ctx.Marker()+" What is this?", []mtmd.Bitmap{picture}, true, true)
//	for _, c := range chunks.List() {
//		if c.Kind == mtmd.Text {
//			// decode c.Tokens
//		} else {
//			rows, err := ctx.EncodeChunk(context.Background(), c)
//			// decode the c.NTokens rows of ctx.NEmbd() values at c.Positions
//		}
//	}
//
// Decoding pictures is not done here: pictures arrive as RGB bytes.
//
// # Threads
//
// [Context.EncodeChunk] computes. libmtmd and libllama keep a team of workers for each
// operating-system thread that computes, so it must be called from the caller's compute thread: the
// one goroutine, locked to its thread, that makes every compute call of the process. [New] with
// Params.Warmup computes as well. All else may be called from anywhere. One chunk of a Context is
// encoded at a time; [Context.Tokenize] waits for none, as mtmd_tokenize is thread-safe by its
// header. A Context whose Close was called returns [ErrClosed].
//
// # Lifetimes
//
// A Context uses the language model it was made for, whose Close is refused with llama.ErrInUse
// until the Context is closed. [Chunks] own memory of the library until their Close; they may
// outlive the Context, but can then no longer be encoded.
package mtmd

// #cgo LDFLAGS: -lmtmd -lllama -lggml -lggml-base
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrClosed is returned by methods of a Context or Chunks after its Close.
	ErrClosed = errors.New("mtmd: use after Close")
	// ErrModelClosed is returned by New for a language model that was closed.
	ErrModelClosed = errors.New("mtmd: the language model is closed")
	// ErrUnsupported is returned for a picture that is given to a projector for sound, and the
	// other way round.
	ErrUnsupported = errors.New("mtmd: not supported by this projector")
	// ErrMarkers is returned when a text does not have one media marker for each bitmap.
	ErrMarkers = errors.New("mtmd: media markers and bitmaps do not match")
)

// initOnce starts libllama, which loads the ggml backends, and joins libmtmd's log to theirs.
var initOnce = sync.OnceValue(func() error {
	if err := llama.Init(); err != nil {
		return err
	}
	C.shim_mtmd_log_install(ggml.LogCallback())
	return nil
})

// errBuf receives the text of a caught C++ exception.
type errBuf [512]C.char

func (b *errBuf) ptr() *C.char   { return &b[0] }
func (b *errBuf) cap() C.size_t  { return C.size_t(len(b)) }
func (b *errBuf) String() string { return C.GoString(&b[0]) }
