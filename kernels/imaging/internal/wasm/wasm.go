// Package wasm runs decoders of picture files that are C libraries compiled to WebAssembly: libavif
// with libaom, libjxl, and libheif with libde265. A file can harm nothing but the machine that
// reads it, which reaches its own memory alone, and is bounded in memory and time.
//
// The programs are those that Go modules of github.com/gen2brain hold. The modules themselves run
// them without bounds; "go run ./scripts/codecs" takes the programs out, and puts calls into their
// loops that let them be stopped.
package wasm

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"image"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

//go:embed avif.wasm.gz
var avif []byte

//go:embed jpegxl.wasm.gz
var jpegxl []byte

//go:embed heic.wasm.gz
var heic []byte

// The decoders. They need memory for each pixel: those of AVIF and JPEG XL for planes of floats and
// for the pixel itself, twice; that of HEIC for planes of bytes of the tiles and of the picture.
var (
	AVIF   = &Decoder{packed: avif, pixelBytes: 40, read: readAVIF}
	JPEGXL = &Decoder{packed: jpegxl, pixelBytes: 40, read: readJPEGXL}
	HEIC   = &Decoder{packed: heic, pixelBytes: 24, read: readHEIC}
)

// What goes wrong with a file, in words that follow its format's name.
var (
	ErrDamaged = errors.New("it is damaged, or of a kind that its decoder does not read")
	ErrMemory  = errors.New("decoding takes too much memory")
	ErrTime    = errors.New("decoding takes too long")
)

// Bounds of one file.
const (
	headerTime = 10 * time.Second
	decodeTime = 30 * time.Second
	// pixelTime is what a pixel adds: several times what libaom takes here for one of a photo.
	pixelTime = 5 * time.Microsecond
	// machineBytes is what a machine has beside the file and the picture.
	machineBytes = 64 << 20
	// most is all that a machine can have.
	most = 1<<32 - 64<<10
)

// Decoder is the program of a format. It may be used by several goroutines.
type Decoder struct {
	packed     []byte // by gzip
	pixelBytes int64
	// read calls the program for the sides of a picture, and where all of it is wanted for its
	// pixels, which lie in the machine's memory.
	read func(m *machine, file []byte, whole bool) (w, h int, picture image.Image, err error)

	once    sync.Once
	ready   chan struct{}
	runtime wazero.Runtime
	program wazero.CompiledModule
	begun   []byte // the memory of a machine that has run _initialize
	err     error
}

// Bytes is the memory that decoding a file of n bytes and so many pixels may take.
func (d *Decoder) Bytes(n int, pixels int64) int64 {
	return min(machineBytes+2*int64(n)+d.pixelBytes*pixels, most)
}

// Size reads the sides of a picture. Of an AVIF file they are those before it is turned.
func (d *Decoder) Size(ctx context.Context, file []byte) (w, h int, err error) {
	err = d.run(ctx, headers, headerTime, d.Bytes(len(file), 0), func(m *machine) error {
		w, h, _, err = d.read(m, file, false)
		return err
	})
	return w, h, err
}

// Decode decodes a picture, the first one of several, of at most so many pixels, and lends it to
// use. Its pixels are gone when use returns.
func (d *Decoder) Decode(ctx context.Context, file []byte, pixels int64,
	use func(image.Image) error) error {
	limit := decodeTime + time.Duration(pixels)*pixelTime
	return d.run(ctx, places, limit, d.Bytes(len(file), pixels), func(m *machine) error {
		_, _, picture, err := d.read(m, file, true)
		if err == nil {
			err = use(picture)
		}
		return err
	})
}

// places has one for each machine that decodes, and headers one for each that reads a header alone,
// which need not wait for pictures that take long.
var (
	machines = min(4, max(2, runtime.GOMAXPROCS(0)))
	places   = make(chan struct{}, machines)
	headers  = make(chan struct{}, machines)
)

// run lends a machine that may take so long and so much memory.
func (d *Decoder) run(ctx context.Context, place chan struct{}, limit time.Duration, memory int64,
	use func(*machine) error) error {
	select {
	case place <- struct{}{}:
		defer func() { <-place }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tooMuch := func() error { return fmt.Errorf("%w: more than %d MiB", ErrMemory, memory>>20) }
	space, ok := NewSpace(uint64(memory))
	if !ok {
		return tooMuch()
	}
	defer space.Release()
	module, err := d.start(experimental.WithMemoryAllocator(limited,
		experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory {
			return space
		})))
	if err == nil {
		defer module.Close(context.WithoutCancel(ctx))
		err = use(&machine{limited, module})
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return nil
	case limited.Err() != nil:
		return fmt.Errorf("%w: more than %v", ErrTime, limit)
	case space.full:
		return tooMuch()
	case module == nil:
		return ErrDamaged // what a machine that failed says is a trace of its stack
	}
	return err
}

// prepare waits until the program is compiled, or read from the cache folder. Nothing stops that
// once it has begun.
func (d *Decoder) prepare(ctx context.Context) error {
	d.once.Do(func() {
		d.ready = make(chan struct{})
		go func() {
			defer close(d.ready)
			if err := d.compile(); err != nil {
				d.err = fmt.Errorf("imaging: a decoder in WebAssembly cannot be started: %w", err)
			}
		}()
	})
	select {
	case <-d.ready:
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Decoder) compile() error {
	program, err := Unpack(d.packed)
	if err != nil {
		return err
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), runtime.GOMAXPROCS(0))
	d.runtime = wazero.NewRuntimeWithConfig(ctx, Cached(wazero.NewRuntimeConfig(), "pictures"))
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, d.runtime); err != nil {
		return err
	}
	if _, err := d.runtime.NewHostModuleBuilder("eyelet").NewFunctionBuilder().
		WithGoFunction(api.GoFunc(tick), nil, nil).Export("tick").Instantiate(ctx); err != nil {
		return err
	}
	if d.program, err = d.runtime.CompileModule(ctx, program); err != nil {
		return err
	}
	first, err := d.runtime.InstantiateModule(ctx, d.program,
		wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return err
	}
	memory := first.Memory()
	begun, _ := memory.Read(0, memory.Size())
	d.begun = bytes.Clone(begun)
	return first.Close(ctx)
}

// start makes a machine that begins where another has run _initialize, which takes libheif tens of
// milliseconds: nothing but memory remembers that it ran.
func (d *Decoder) start(ctx context.Context) (api.Module, error) {
	module, err := d.runtime.InstantiateModule(ctx, d.program,
		wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, err
	}
	memory := module.Memory()
	missing := uint32(len(d.begun)) - memory.Size()
	if _, ok := memory.Grow(missing >> 16); !ok || !memory.Write(0, d.begun) {
		_ = module.Close(ctx)
		return nil, ErrMemory
	}
	return module, nil
}

// tick is called by the loops of programs now and then. Here a program ends whose context is done,
// and a garbage collection can begin that would wait for the end of the decoding.
func tick(ctx context.Context, _ []uint64) {
	if err := ctx.Err(); err != nil {
		panic(err) // which wazero makes the error of the call
	}
}

// Unpack reverses gzip.
func Unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
