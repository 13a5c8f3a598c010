// Package engine runs vision-language models: it opens a model and its vision projector, turns
// messages with pictures into prompts, and streams answers.
//
//	e, err := engine.New(engine.Options{})
//	defer e.Close()
//	m, err := e.Load(ctx, engine.ModelSpec{Model: "llava.gguf", Projector: "mmproj.gguf"})
//	picture, err := engine.ImageFile("cat.jpg")
//	for event, err := range m.Generate(ctx, engine.Request{
//		Messages: []engine.Message{engine.User(engine.Picture(picture),
//			engine.Text("What is this?"))},
//	}) {
//		if err != nil {
//			return err
//		}
//		fmt.Print(event.Text)
//	}
//
// An Engine and its Models may be used from many goroutines. Requests to one Model share its KV
// cache and are computed side by side. All compute of the process happens on one OS thread,
// whatever the number of engines; only pictures that the CPU encodes beside a model on devices have
// a second one.
package engine

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/engine/cores"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
)

// Errors that callers tell apart with errors.Is. Each is wrapped with the file or figure at fault.
var (
	// ErrClosed is returned after Close.
	ErrClosed = fault.ErrClosed
	// ErrModelFile marks a model or projector file that is missing, damaged or not supported.
	ErrModelFile = fault.ErrModelFile
	// ErrMismatch marks a projector that does not belong to the model.
	ErrMismatch = fault.ErrMismatch
	// ErrNoVision marks a picture given to a model that was loaded without a projector.
	ErrNoVision = fault.ErrNoVision
	// ErrImage marks a picture that cannot be read.
	ErrImage = fault.ErrImage
	// ErrSound marks a sound that cannot be read. It is a kind of ErrImage, since sounds come where
	// pictures do.
	ErrSound = fault.ErrSound
	// ErrNoSound marks a sound given to a model whose projector has no encoder of sounds. It is a
	// kind of ErrNoVision.
	ErrNoSound = fault.ErrNoSound
	// ErrContextLength marks a prompt that is longer than the context.
	ErrContextLength = fault.ErrContextLength
	// ErrModel marks a fault of the model or of this machine with it, which trying again does not
	// mend: outputs that are no numbers, a context that cannot be made.
	ErrModel = fault.ErrModel
	// ErrBusy marks a request that found the queue full; it can be tried again later.
	ErrBusy = fault.ErrBusy
	// ErrRequest marks a request with contradictory or impossible options.
	ErrRequest = fault.ErrRequest
	// ErrSchema is about an answer that is not valid under its schema, where a grammar cannot make
	// it so.
	ErrSchema = fault.ErrSchema
	// ErrDevice marks a device or a server that a ModelSpec names and that is not there. Where the
	// name itself is wrong, the error is ErrRequest, too; a server that cannot be reached is
	// ErrDeviceLost as well.
	ErrDevice = fault.ErrDevice
	// ErrDeviceLost marks a device that failed while it computed, or one on another machine that
	// cannot be reached. A model with layers there answers nothing any more; a pool loads it anew
	// when it is next asked for, on what devices are left.
	ErrDeviceLost = llama.ErrDeviceLost
	// ErrTemplateLimit marks a conversation for which a chat template does more work, or makes more
	// text, than it may.
	ErrTemplateLimit = fault.ErrTemplateLimit
)

// Options are the options of New. The zero value is ready for use.
type Options struct {
	// Threads is the number of compute threads; 0 means one a physical core that this process may
	// use.
	Threads int
	// AllThreads computes answers with all threads, even while other programs want the cores, which
	// makes them much slower. It is for measuring that.
	AllThreads bool
}

// Engine holds what models share: the compute thread and the options.
type Engine struct {
	threads int
	steady  bool // Options.AllThreads
	thread  *compute.Thread

	mu      sync.Mutex
	models  map[*Model]struct{}
	loading sync.WaitGroup
	closed  bool
	close   sync.Once
	err     error // of closing
}

// New starts an engine.
func New(options Options) (*Engine, error) {
	if options.Threads < 0 || options.Threads > 1024 {
		return nil, errors.New("engine: Threads must be between 1 and 1024, or 0 for one a core")
	}
	if options.Threads == 0 {
		options.Threads = cores.Physical()
	}
	ggml.SetAcceleratorThreads(options.Threads)
	return &Engine{threads: options.Threads, steady: options.AllThreads, thread: compute.Acquire(),
		models: map[*Model]struct{}{}}, nil
}

// Threads is the number of compute threads in use.
func (e *Engine) Threads() int { return e.threads }

// Close closes all models and ends the compute thread. Running requests end with ErrClosed first.
// Whoever calls it, together or again, returns when all is closed, with the same error.
func (e *Engine) Close() error {
	e.close.Do(func() {
		e.mu.Lock()
		e.closed = true
		open := slices.Collect(maps.Keys(e.models))
		e.mu.Unlock()
		var errs []error
		e.loading.Wait()
		for _, m := range open {
			errs = append(errs, m.Close())
		}
		compute.Release()
		e.err = errors.Join(errs...)
	})
	return e.err
}

// beginLoad keeps the compute thread alive until loading.Done.
func (e *Engine) beginLoad() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.loading.Add(1)
	return nil
}

// add registers a model, unless the engine was closed meanwhile.
func (e *Engine) add(m *Model) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.models[m] = struct{}{}
	return nil
}

func (e *Engine) remove(m *Model) {
	e.mu.Lock()
	delete(e.models, m)
	e.mu.Unlock()
}
