// Package wasm runs decoders of picture files that are C libraries compiled to WebAssembly: libavif
// with libaom, and libjxl. A file can harm nothing but the machine that reads it, which reaches its
// own memory alone, and is bounded in memory and time.
//
// The programs are those that the Go modules github.com/gen2brain/avif and jpegxl hold. The modules
// themselves run them without bounds; "scripts/codecs" takes them out.
package wasm

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
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

// The decoders.
var (
	AVIF = &Decoder{packed: avif, wide: func(bits uint32) bool { return bits > 8 },
		order: binary.LittleEndian}
	JPEGXL = &Decoder{packed: jpegxl, wide: func(bits uint32) bool { return bits == 16 },
		order: binary.BigEndian}
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
	// pixelBytes is what decoding takes for a pixel at most: planes of floats, and the pixel
	// itself, twice.
	pixelBytes = 40
	// most is all that a machine can have.
	most = 1<<32 - 64<<10
)

// Bytes is the memory that decoding a file of n bytes and so many pixels may take.
func Bytes(n int, pixels int64) int64 {
	return min(machineBytes+2*int64(n)+pixelBytes*pixels, most)
}

// Decoder is the program of a format. It may be used by several goroutines.
type Decoder struct {
	packed []byte // by gzip
	wide   func(bits uint32) bool
	order  binary.ByteOrder // of samples of two bytes

	once    sync.Once
	ready   chan struct{}
	runtime wazero.Runtime
	program wazero.CompiledModule
	err     error
}

// Picture is what a decoder returns: rows of pixels of four samples, red, green, blue, alpha, of
// one byte, or of two where it is wide, upper byte first. Libavif multiplies alpha in, libjxl does
// not.
type Picture struct {
	W, H int
	Wide bool
	Pix  []byte
}

// Size reads the sides of a picture. Of an AVIF file they are those before it is turned.
func (d *Decoder) Size(ctx context.Context, file []byte) (w, h int, err error) {
	p, err := d.run(ctx, file, headerTime, Bytes(len(file), 0), false)
	if err != nil {
		return 0, 0, err
	}
	return p.W, p.H, nil
}

// Decode decodes a picture, the first one of several, of at most so many pixels.
func (d *Decoder) Decode(ctx context.Context, file []byte, pixels int64) (*Picture, error) {
	return d.run(ctx, file, decodeTime+time.Duration(pixels)*pixelTime, Bytes(len(file), pixels),
		true)
}

// places has one for each machine that decodes, and headers one for each that reads a header alone,
// which need not wait for pictures that take long.
var (
	machines = min(4, max(2, runtime.GOMAXPROCS(0)))
	places   = make(chan struct{}, machines)
	headers  = make(chan struct{}, machines)
)

func (d *Decoder) run(ctx context.Context, file []byte, limit time.Duration, memory int64,
	whole bool) (p *Picture, err error) {
	place := headers
	if whole {
		place = places
	}
	select {
	case place <- struct{}{}:
		defer func() { <-place }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := d.prepare(ctx); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	space := &space{limit: uint64(memory)}
	machine, err := d.runtime.InstantiateModule(experimental.WithMemoryAllocator(limited,
		experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory {
			return space
		})), d.program, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err == nil {
		defer machine.Close(context.WithoutCancel(ctx))
		p, err = d.decode(&calls{limited, machine}, file, whole)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil:
		return p, nil
	case limited.Err() != nil:
		return nil, fmt.Errorf("%w: more than %v", ErrTime, limit)
	case space.full:
		return nil, fmt.Errorf("%w: more than %d MiB", ErrMemory, memory>>20)
	}
	return nil, ErrDamaged // what a machine that failed says is a trace of its stack
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
	unpacked, err := gzip.NewReader(bytes.NewReader(d.packed))
	if err != nil {
		return err
	}
	program, err := io.ReadAll(unpacked)
	if err != nil {
		return err
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), runtime.GOMAXPROCS(0))
	d.runtime = wazero.NewRuntimeWithConfig(ctx, Cached(wazero.NewRuntimeConfig().
		WithCloseOnContextDone(true), "pictures"))
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, d.runtime); err != nil {
		return err
	}
	d.program, err = d.runtime.CompileModule(ctx, program)
	return err
}

// decode calls the program's function of that name:
//
//	int decode(file, bytes, header_only, all_frames, *w, *h, *bits, *frames, *delays, *pixels)
func (d *Decoder) decode(c *calls, file []byte, whole bool) (*Picture, error) {
	// How long frames last is written for each, and is of no use here. In front of these numbers a
	// mark says whether anything was decoded: of an AVIF file whose pixels are damaged, the program
	// returns success.
	const delays = 1 << 20
	in, head := c.allocate(len(file)), c.allocate(16)
	lasts := c.allocate(delays)
	memory := c.machine.Memory()
	untouched := bytes.Repeat([]byte{0xff}, 8)
	if in == 0 || head == 0 || lasts == 0 || !memory.Write(in, file) ||
		!memory.Write(lasts, untouched) {
		return nil, ErrDamaged
	}
	args := []uint64{uint64(in), uint64(len(file)), 1, 0, uint64(head), uint64(head + 4),
		uint64(head + 8), uint64(head + 12), uint64(lasts), 0}
	if c.call("decode", args...) != 1 {
		return nil, ErrDamaged
	}
	var says [3]uint32
	for i := range says {
		says[i], _ = memory.ReadUint32Le(head + 4*uint32(i))
	}
	w, h, wide := says[0], says[1], d.wide(says[2])
	p := &Picture{W: int(w), H: int(h), Wide: wide}
	if !whole {
		return p, nil
	}
	size := 4 * uint64(w) * uint64(h)
	if wide {
		size *= 2
	}
	if size == 0 || size > most {
		return nil, ErrDamaged
	}
	args[2], args[9] = 0, uint64(c.allocate(int(size)))
	if args[9] == 0 || !memory.Write(lasts, untouched) || c.call("decode", args...) != 1 {
		return nil, ErrDamaged
	}
	for i := range says {
		if again, _ := memory.ReadUint32Le(head + 4*uint32(i)); again != says[i] {
			return nil, ErrDamaged
		}
	}
	mark, _ := memory.Read(lasts, 4)
	pix, ok := memory.Read(uint32(args[9]), uint32(size))
	if !ok || bytes.Equal(mark, untouched[:4]) {
		return nil, ErrDamaged
	}
	if wide && d.order == binary.LittleEndian {
		for i := 0; i < len(pix); i += 2 {
			pix[i], pix[i+1] = pix[i+1], pix[i]
		}
	}
	p.Pix = pix
	return p, nil
}

// calls calls functions of a machine.
type calls struct {
	ctx     context.Context
	machine api.Module
}

// call returns what a function returns, 0 if it fails.
func (c *calls) call(name string, args ...uint64) uint64 {
	f := c.machine.ExportedFunction(name)
	if f == nil {
		return 0
	}
	result, err := f.Call(c.ctx, args...)
	if err != nil || len(result) == 0 {
		return 0
	}
	return uint64(uint32(result[0]))
}

// allocate returns the place of so many bytes, 0 if there is none.
func (c *calls) allocate(n int) uint32 { return uint32(c.call("malloc", uint64(n))) }

// space is the memory of a machine.
type space struct {
	bytes []byte
	limit uint64
	full  bool // more was asked for
}

// Reallocate makes the memory larger.
func (s *space) Reallocate(size uint64) []byte {
	if size > s.limit {
		s.full = true
		return nil
	}
	if size > uint64(cap(s.bytes)) {
		larger := make([]byte, size, min(s.limit, max(size, 2*uint64(cap(s.bytes)))))
		copy(larger, s.bytes)
		s.bytes = larger
	}
	s.bytes = s.bytes[:size]
	return s.bytes
}

// Free leaves the memory to whoever holds a picture in it.
func (s *space) Free() { s.bytes = nil }
