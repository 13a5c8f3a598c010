package imaging

import (
	"bytes"
	"context"
	"errors"
	"image"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/wasm"
)

// inMachines returns the names of the test files whose decoders run in WebAssembly.
func inMachines(t testing.TB) (names []string) {
	for _, kind := range []string{"*.avif", "*.heic", "*.jxl"} {
		paths, err := filepath.Glob("testdata/files/" + kind)
		if err != nil || len(paths) == 0 {
			t.Fatal(kind, err)
		}
		for _, p := range paths {
			names = append(names, filepath.Base(p))
		}
	}
	return names
}

// Decoding ends with the context, and a picture that takes more memory than it may is an error of
// that file alone.
func TestMachinesAreBoundedInTimeAndMemory(t *testing.T) {
	for name, bytes := range map[string]int64{"photo.avif": 1800 << 10, "lossy.jxl": 1000 << 10,
		"photo.heic": 250 << 10} {
		data := readFile(t, name)
		f, err := Options{}.WithDefaults().open(data)
		if err != nil {
			t.Fatal(err)
		}
		ignore := func(image.Image) error { return nil }
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := f.machine.Decode(ctx, data, 1<<20, ignore); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ReadHeader(ctx, data, Options{}); f.size == nil && !errors.Is(err,
			context.Canceled) {
			t.Errorf("%s, its header: %v", name, err)
		}
		// so few pixels that not even the file and the picture's sides have room
		few := (bytes - f.machine.Bytes(len(data), 0)) / (f.machine.Bytes(0, 1) -
			f.machine.Bytes(0, 0))
		if err := f.machine.Decode(t.Context(), data, few, ignore); !errors.Is(err,
			wasm.ErrMemory) || !errors.Is(f.describe(err), ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Decode(data, Options{}); err != nil {
			t.Errorf("%s, the next one: %v", name, err)
		}
		if _, err := Decode(data, Options{MaxPixels: 100}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s, of more pixels than may be: %v", name, err)
		}
	}
}

// A header that states other sides than the pixels have is damage, and costs no more than it says.
func TestAnAVIFFileThatLiesAboutItsSize(t *testing.T) {
	data := readFile(t, "444.avif")
	at := bytes.Index(data, []byte("ispe"))
	for _, sides := range [][2]byte{{1, 1}, {255, 255}, {37, 22}} {
		copy(data[at+8:], []byte{0, 0, sides[0], sides[0], 0, 0, sides[1], sides[1]})
		began := time.Now()
		p, err := DecodePicture(context.Background(), data, Options{})
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: %v", sides, err)
		}
		t.Logf("%v: %v, %v in %v", sides, p != nil, err, time.Since(began))
	}
}

// BenchmarkDecodeFile decodes the picture that EYELET_PICTURE names.
func BenchmarkDecodeFile(b *testing.B) {
	path := os.Getenv("EYELET_PICTURE")
	if path == "" {
		b.Skip("EYELET_PICTURE names no picture")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	h, err := ReadHeader(b.Context(), data, Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Decode(data, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/float64(h.W*h.H)*1e6, "ms/MP")
}

func FuzzMachines(f *testing.F) {
	for _, name := range inMachines(f) {
		f.Add(readFile(f, name))
	}
	tile := testTile(f)
	plane := tile
	plane.alpha = 1
	f.Add(gridFile(testGrid(1, 2, 190, 64), tile))
	f.Add(makeHEIC(tile, plane))
	opt := Options{MaxPixels: 1 << 16, MaxBytes: 1 << 16}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !isAVIF(data) && !isJPEGXL(data) && !isHEIC(data) {
			return
		}
		m, err := Decode(data, opt)
		if err != nil {
			if !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrDamaged) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if err := m.Check(); err != nil || int64(m.W)*int64(m.H) > opt.MaxPixels {
			t.Fatalf("%d x %d pixels: %v", m.W, m.H, err)
		}
	})
}
