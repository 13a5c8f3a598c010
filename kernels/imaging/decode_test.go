package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/files", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecodeSeesWhatPillowSees(t *testing.T) {
	type fileCase struct {
		File, Pix  string
		W, H       int
		Mean_Error float64
	}
	for _, c := range goldens[fileCase](t, "testdata/files.json") {
		t.Run(c.File, func(t *testing.T) {
			got, err := Decode(readFile(t, c.File), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got.W != c.W || got.H != c.H {
				t.Fatalf("got %d x %d pixels, want %d x %d", got.W, got.H, c.W, c.H)
			}
			if err := got.Check(); err != nil {
				t.Fatal(err)
			}
			sum, worst := 0.0, 0.0
			for i, v := range decodeBase64(t, c.Pix) {
				d := math.Abs(float64(v) - float64(got.Pix[i]))
				sum, worst = sum+d, max(worst, d)
			}
			t.Logf("difference from Pillow: mean %.3f, worst %g", sum/float64(len(got.Pix)), worst)
			if mean := sum / float64(len(got.Pix)); mean > c.Mean_Error {
				t.Errorf("mean difference from Pillow %.3f, want at most %g", mean, c.Mean_Error)
			}
		})
	}
}

func TestDecodeNamesTheFault(t *testing.T) {
	half := func(name string) []byte { b := readFile(t, name); return b[:len(b)/2] }
	head := func(name string, n int) []byte { return readFile(t, name)[:n] }
	for _, c := range []struct {
		name string
		data []byte
		kind error
		text string
	}{
		{"an empty file", nil, ErrNotImage, "not an image: the file is empty"},
		{"a text file", []byte("hello, world"), ErrNotImage, "not an image (first bytes 68 65 6c 6c 6f 2c 20 77); supported: JPEG, PNG"},
		{"one byte", []byte{0xff}, ErrNotImage, "not an image (first bytes ff)"},
		{"an AVIF file", []byte("\x00\x00\x00\x20ftypavif\x00\x00\x00\x00"), ErrNotImage, "AVIF is not supported; supported: JPEG, PNG"},
		{"half a JPEG", half("photo.jpg"), ErrDamaged, "truncated JPEG"},
		{"half a progressive JPEG", half("progressive.jpg"), ErrDamaged, "truncated JPEG"},
		{"a JPEG's first bytes", head("photo.jpg", 4), ErrDamaged, "truncated JPEG"},
		{"half a PNG", half("palette.png"), ErrDamaged, "truncated PNG"},
		{"half a GIF", half("still.gif"), ErrDamaged, "truncated GIF"},
		{"half a WebP", half("lossy.webp"), ErrDamaged, "truncated WebP"},
		{"half a BMP", half("rgb.bmp"), ErrDamaged, "truncated BMP"},
		{"half a TIFF", half("raw.tiff"), ErrDamaged, "TIFF"},
		{"half a HEIC", half("photo.heic"), ErrDamaged, "HEIC"},
		{"a HEIC too narrow for its decoder", readFile(t, "narrow.heic"), ErrDamaged, "HEIC: a picture less than 97 pixels wide"},
		{"an animated WebP", readFile(t, "animated.webp"), ErrDamaged, "animated WebP is not supported"},
		{"a PNG of no width", pngHeader(0, 5), ErrDamaged, "PNG"},
		{"a PNG that claims 60000 x 60000 pixels", pngHeader(60000, 60000), ErrTooLarge, "PNG of 60000 x 60000 pixels; the limit is 100000000 pixels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode(c.data, Options{})
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got error %v, want %q", err, c.text)
			}
		})
	}
}

// pngHeader is a PNG file that ends after its header chunk.
func pngHeader(w, h uint32) []byte {
	ihdr := append([]byte("IHDR"), 0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0)
	binary.BigEndian.PutUint32(ihdr[4:], w)
	binary.BigEndian.PutUint32(ihdr[8:], h)
	file := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(ihdr))
}

func TestALyingHeaderCostsNoMemory(t *testing.T) {
	files := map[string][]byte{"PNG": pngHeader(65535, 65535)}
	jpg := readFile(t, "photo.jpg")
	sof := bytes.Index(jpg, []byte{0xff, 0xc0})
	copy(jpg[sof+5:], []byte{0xea, 0x60, 0xea, 0x60}) // 60000 x 60000
	files["JPEG"] = jpg
	gif := readFile(t, "still.gif")
	copy(gif[6:], []byte{0xff, 0xff, 0xff, 0xff})
	files["GIF"] = gif
	bmp := readFile(t, "rgb.bmp")
	copy(bmp[18:], []byte{0, 0, 1, 0, 0, 0, 1, 0})
	files["BMP"] = bmp
	heic := readFile(t, "photo.heic")
	for i := 0; ; {
		n := bytes.Index(heic[i:], []byte("ispe"))
		if n < 0 {
			break
		}
		i += n + 4
		copy(heic[i+4:], []byte{0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60})
	}
	files["HEIC"] = heic
	for name, data := range files {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(data, Options{})
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got error %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: refusing it took %d bytes", name, n)
		}
	}
}

func TestLimitsAreTheCallers(t *testing.T) {
	data := readFile(t, "rgb.png") // 37 x 23
	if _, err := Decode(data, Options{MaxPixels: 37 * 23, MaxBytes: int64(len(data))}); err != nil {
		t.Errorf("a picture at both limits is refused: %v", err)
	}
	if _, err := Decode(data, Options{MaxPixels: 37*23 - 1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a pixel over the limit: %v", err)
	}
	if _, err := Decode(data, Options{MaxBytes: int64(len(data)) - 1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a byte over the limit: %v", err)
	}
	if _, err := Read(bytes.NewReader(data), Options{MaxBytes: int64(len(data)) - 1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a byte over the limit, read: %v", err)
	}
	if m, err := Read(bytes.NewReader(data), Options{}); err != nil || m.W != 37 {
		t.Errorf("Read: %v", err)
	}
}

func TestAGIFFrameSmallerThanItsCanvasIsPlacedOverWhite(t *testing.T) {
	red := color.RGBA{200, 10, 10, 255}
	frame := image.NewPaletted(image.Rect(2, 1, 4, 3), color.Palette{red})
	var file bytes.Buffer
	err := gif.EncodeAll(&file, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: 6, Height: 5, ColorModel: frame.Palette}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(file.Bytes(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got.W != 6 || got.H != 5 {
		t.Fatalf("got %d x %d pixels", got.W, got.H)
	}
	for y := range 5 {
		for x := range 6 {
			want := []byte{255, 255, 255}
			if image.Pt(x, y).In(frame.Rect) {
				want = []byte{200, 10, 10}
			}
			if p := got.row(y)[3*x : 3*x+3]; !bytes.Equal(p, want) {
				t.Errorf("pixel (%d, %d) is %v, want %v", x, y, p, want)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob("testdata/files/*")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, p := range paths {
		// The HEIC decoder is a WebAssembly program that is interpreted afresh for
		// every file: too slow to fuzz together with the others.
		if filepath.Ext(p) != ".heic" {
			f.Add(readFile(f, filepath.Base(p)))
		}
	}
	f.Add(pngHeader(60000, 60000))
	opt := Options{MaxPixels: 1 << 16, MaxBytes: 1 << 16}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data, opt)
		if err != nil {
			if !errors.Is(err, ErrNotImage) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrDamaged) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if err := m.Check(); err != nil || int64(m.W)*int64(m.H) > opt.MaxPixels {
			t.Fatalf("%d x %d pixels: %v", m.W, m.H, err)
		}
	})
}

// photo12MP is a JPEG as a phone makes it: 12 megapixels, 4:2:0.
func photo12MP(b *testing.B) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 4000, 3000))
	for i := range img.Pix {
		img.Pix[i] = uint8(i>>9 ^ i>>4)
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, &jpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	return file.Bytes()
}

func BenchmarkDecodePhoto(b *testing.B) {
	data := photo12MP(b)
	for b.Loop() {
		if _, err := Decode(data, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOrientation(b *testing.B) {
	data := readFile(b, "orientation-6.jpg")
	for b.Loop() {
		if o := orientation(data, formats[0].exif); o != 6 {
			b.Fatal(o)
		}
	}
}

func BenchmarkDecodeHEIC(b *testing.B) {
	data := readFile(b, "photo.heic")
	for b.Loop() {
		if _, err := Decode(data, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
