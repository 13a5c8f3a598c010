package llama

// #cgo LDFLAGS: -lllama -lggml -lggml-base
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrClosed is returned by methods of a value after its Close.
	ErrClosed = errors.New("llama: use after Close")
	// ErrInUse is returned by Model.Close while contexts, samplers or adapters made from the model
	// are open.
	ErrInUse = errors.New("llama: model is in use")
	// ErrNoRoom is returned by Decode when the KV cache has no free cells for the batch. The cache
	// is as before the call.
	ErrNoRoom = errors.New("llama: no room in the KV cache")
	// ErrNoMemory is returned by NewContext when the KV cache would not fit into memory.
	ErrNoMemory = errors.New("llama: not enough memory")
	// ErrInvalidBatch is returned when a batch breaks a rule of the context: size, sequences, order
	// of positions.
	ErrInvalidBatch = errors.New("llama: invalid batch")
	// ErrAborted is returned by Decode when it was stopped by its context.Context. Micro-batches
	// (NUBatch tokens each) that had finished stay in the cache: ask Memory.SeqPosMax.
	ErrAborted = errors.New("llama: aborted")
	// ErrDeviceFull is returned by LoadModel and NewContext when a device has no memory for what
	// was to lie there.
	ErrDeviceFull = errors.New("llama: a device has no memory left")
	// ErrDeviceLost is returned by all that computes or reads what was computed once a device of
	// the model has failed. The model can do nothing more but close.
	ErrDeviceLost = errors.New("llama: a device is lost")
)

// Token is an index into the vocabulary.
type Token int32

// NoToken is what Vocab returns for a special token that the model lacks.
const NoToken Token = -1

// Pos is the position of a token in its sequence.
type Pos int32

// Seq names a sequence of a Context, from 0 to NSeqMax-1.
type Seq int32

var initOnce = sync.OnceValue(func() error {
	if err := ggml.Load(); err != nil {
		return err
	}
	C.shim_log_install(ggml.LogCallback())
	C.shim_abort_install()
	C.llama_backend_init()
	return nil
})

// Init loads the ggml backends and starts libllama. LoadModel and Quantize call it; call it
// directly to see its error early.
func Init() error { return initOnce() }

// Version is the version of the libllama that the program runs with, for example "0.7.0".
func Version() string { return C.GoString(C.llama_version()) }

// MaxSequences is the largest NSeqMax that this build of libllama takes.
func MaxSequences() int { return int(C.llama_max_parallel_sequences()) }

// errBuf receives the text of a caught C++ exception.
type errBuf [256]C.char

// err is the error of a guarded call: nil if ok.
func (b *errBuf) err(ok C.bool, what string) error {
	if bool(ok) {
		return nil
	}
	return fmt.Errorf("llama: %s: %s", what, b)
}

func (b *errBuf) ptr() *C.char   { return &b[0] }
func (b *errBuf) cap() C.size_t  { return C.size_t(len(b)) }
func (b *errBuf) String() string { return C.GoString(&b[0]) }
