package document

import (
	"context"
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

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/wasm"
)

// readerMemory is the most memory that drawing a page may take, in bytes.
const readerMemory = 512 << 20

// wasmPage is the unit that WebAssembly counts memory in.
const wasmPage = 64 << 10

// readers makes readers of PDF files: PDFium, compiled to WebAssembly, which reaches nothing but
// its own memory and the fonts of the system.
var readers = newPool(readerMemory)

type pool struct {
	memory int           // bytes that a reader may take
	places chan struct{} // one for each reader at work
	once   sync.Once
	ready  chan struct{}
	pool   pdfium.Pool
	err    error
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

// instance returns a new reader of a pool that is prepared.
func (p *pool) instance(ctx context.Context) (pdfium.Pdfium, error) {
	in, err := p.pool.GetInstanceWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("imaging: the PDF reader: %w", err)
	}
	return in, nil
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
	config := wasm.Cached(wazero.NewRuntimeConfig().
		// which PDFium is compiled for
		WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesExceptionHandling).
		WithCloseOnContextDone(true).
		WithMemoryLimitPages(uint32(p.memory/wasmPage)), compiled)
	files := wazero.NewFSConfig()
	for _, dir := range fontFolders {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			files = files.WithReadOnlyDirMount(dir, dir)
		}
	}
	instances, err := webassembly.Init(webassembly.Config{
		Context:  experimental.WithCompilationWorkers(context.Background(), runtime.GOMAXPROCS(0)),
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
