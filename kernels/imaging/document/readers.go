package document

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/wasm"
)

// readerMemory is the most memory that drawing a page may take, in bytes.
const readerMemory = 512 << 20

// wasmPage is the unit that WebAssembly counts memory in.
const wasmPage = 64 << 10

// program is PDFium, compiled to WebAssembly, of the module go-pdfium. "go run ./scripts/codecs"
// takes it out of there, and puts calls of sched_yield into its loops, which let it be stopped.
//
//go:embed pdfium.wasm.gz
var program []byte

// readers makes readers of PDF files: PDFium, which reaches nothing but its own memory and the
// fonts of the system.
var readers = newPool(readerMemory)

type pool struct {
	memory int           // bytes that a reader may take
	places chan struct{} // one for each reader at work
	once   sync.Once
	ready  chan struct{}
	pool   pdfium.Pool
	err    error

	making sync.Mutex
	space  *wasm.Space // of the reader that is being made
}

func newPool(memory int) *pool {
	return &pool{memory: memory, places: make(chan struct{}, min(4, max(2, runtime.GOMAXPROCS(0))))}
}

// enter waits for a place among the readers at work.
func (p *pool) enter(ctx context.Context) (release func(), err error) {
	select {
	case p.places <- struct{}{}:
		return func() { <-p.places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// instance returns a new reader of a pool that is prepared, and its memory, which is to be released
// when the reader has ended.
func (p *pool) instance(ctx context.Context) (in pdfium.Pdfium, space *wasm.Space, err error) {
	space, ok := wasm.NewSpace(uint64(p.memory))
	if !ok {
		return nil, nil, fmt.Errorf("imaging: the PDF reader: there are not %d MiB of addresses",
			p.memory>>20)
	}
	p.making.Lock()
	defer p.making.Unlock()
	p.space = space
	if in, err = p.pool.GetInstanceWithContext(ctx); err != nil {
		space.Release()
		return nil, nil, fmt.Errorf("imaging: the PDF reader: %w", err)
	}
	return in, space, nil
}

// prepare waits until the program is compiled, or read from the cache folder. Nothing stops that
// once it has begun.
func (p *pool) prepare(ctx context.Context) error {
	p.once.Do(func() {
		p.ready = make(chan struct{})
		go func() {
			defer close(p.ready)
			p.pool, p.err = p.compile()
		}()
	})
	select {
	case <-p.ready:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) compile() (pdfium.Pool, error) {
	unpacked, err := wasm.Unpack(program)
	if err != nil {
		return nil, err
	}
	config := wasm.Cached(wazero.NewRuntimeConfig().
		// which PDFium is compiled for
		WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesExceptionHandling).
		WithMemoryLimitPages(uint32(p.memory/wasmPage)), compiled)
	files := wazero.NewFSConfig()
	for _, dir := range fontFolders {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			files = files.WithReadOnlyDirMount(dir, dir)
		}
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), runtime.GOMAXPROCS(0))
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(
		func(_, _ uint64) experimental.LinearMemory { return p.space }))
	instances, err := webassembly.InitWithWASM(webassembly.Config{
		Context:  experimental.WithFunctionListenerFactory(ctx, yields{}),
		WASM:     unpacked,
		MaxIdle:  1,
		MaxTotal: cap(p.places) + 1,
		FSConfig: files, RuntimeConfig: config,
		Stdout: io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("imaging: the PDF reader cannot be started: %w", err)
	}
	return instances, nil
}

// yields listens to the calls of sched_yield.
type yields struct{}

// NewFunctionListener implements experimental.FunctionListenerFactory.
func (y yields) NewFunctionListener(f api.FunctionDefinition) experimental.FunctionListener {
	if f.ModuleName() == wasi_snapshot_preview1.ModuleName && f.Name() == "sched_yield" {
		return y
	}
	return nil
}

// Before ends a program whose context is done. A garbage collection can begin here, too, that would
// wait for the end of the drawing.
func (yields) Before(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64,
	_ experimental.StackIterator) {
	if err := ctx.Err(); err != nil {
		panic(err) // which wazero makes the error of the call
	}
}

// After implements experimental.FunctionListener.
func (yields) After(context.Context, api.Module, api.FunctionDefinition, []uint64) {}

// Abort implements experimental.FunctionListener.
func (yields) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// fontFolders hold the fonts that PDFium takes for those that a file names and does not bring
// along.
var fontFolders = []string{"/usr/share/fonts", "/usr/share/X11/fonts/Type1",
	"/usr/share/X11/fonts/TTF", "/usr/local/share/fonts"}

// compiled names the folder of the compiled program.
const compiled = "pdf"

// Prepared reports whether PDF files can be opened without the wait of some seconds in which their
// reader is compiled, once on a machine.
func Prepared() bool {
	dir, err := wasm.Folder(compiled)
	if err != nil {
		return true // nothing is kept, and so there is nothing to tell
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	return err == nil && len(files) > 0
}
