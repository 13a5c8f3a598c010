package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/jpeg"
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
		File, Pix string
		W, H      int
		// with the standard library's JPEG decoder, with libjpeg-turbo
		Mean_Error, Turbo_Error float64
	}
	for _, c := range goldens[fileCase](t, "testdata/files.json") {
		limit := c.Mean_Error
		if jpeg.Available {
			limit = c.Turbo_Error
		}
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
			if mean := sum / float64(len(got.Pix)); mean > limit {
				t.Errorf("mean difference from Pillow %.3f, want at most %g", mean, limit)
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
		{"a text file", []byte("hello, world"), ErrNotImage,
			"not an image (first bytes 68 65 6c 6c 6f 2c 20 77); supported: JPEG, PNG"},
		{"one byte", []byte{0xff}, ErrNotImage, "not an image (first bytes ff)"},
		{"half a JPEG", half("photo.jpg"), ErrDamaged, "truncated JPEG"},
		{"half a progressive JPEG", half("progressive.jpg"), ErrDamaged, "truncated JPEG"},
		{"a JPEG's first bytes", head("photo.jpg", 4), ErrDamaged, "truncated JPEG"},
		{"half a PNG", half("palette.png"), ErrDamaged, "truncated PNG"},
		{"half a GIF", half("still.gif"), ErrDamaged, "truncated GIF"},
		{"half a WebP", half("lossy.webp"), ErrDamaged, "truncated WebP"},
		{"half a BMP", half("rgb.bmp"), ErrDamaged, "truncated BMP"},
		{"half a TIFF", half("raw.tiff"), ErrDamaged, "TIFF"},
		{"half a HEIC", half("photo.heic"), ErrDamaged, "HEIC"},
		{"half an AVIF", half("photo.avif"), ErrDamaged, "AVIF: it is damaged"},
		{"an AVIF's first bytes", head("photo.avif", 32), ErrDamaged, "AVIF: it is damaged"},
		{"half a JPEG XL", half("lossy.jxl"), ErrDamaged, "JPEG XL: it is damaged"},
		{"a JPEG XL's first bytes", head("lossy.jxl", 4), ErrDamaged, "JPEG XL: it is damaged"},
		{"a PNG of no width", pngHeader(0, 5), ErrDamaged, "PNG"},
		{"a PNG that claims 60000 x 60000 pixels", pngHeader(60000, 60000), ErrTooLarge,
			"PNG of 60000 x 60000 pixels; the limit is 100000000 pixels"},
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
	if _, err := Decode(data, Options{MaxBytes: int64(len(data)) - 1}); !errors.Is(err,
		ErrTooLarge) {
		t.Errorf("a byte over the limit: %v", err)
	}
}

func TestAGIFFrameSmallerThanItsCanvasIsPlacedOverWhite(t *testing.T) {
	red := color.RGBA{200, 10, 10, 255}
	frame := image.NewPaletted(image.Rect(2, 1, 4, 3), color.Palette{red})
	var file bytes.Buffer
	err := gif.EncodeAll(&file, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0},
		Config: image.Config{Width: 6, Height: 5, ColorModel: frame.Palette}})
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

func TestAFileMadeToFillMemoryIsRefused(t *testing.T) {
	// A header of 95 megapixels and next to no data: 285 MB of RGB would be 5 million times the
	// file.
	bomb := pngHeader(9500, 10000)
	if _, err := Decode(bomb, Options{}); !errors.Is(err, ErrTooLarge) ||
		!strings.Contains(err.Error(), "more than 1000 times the file") {
		t.Errorf("a bomb: %v", err)
	}
	for _, c := range []struct {
		w, h, bytes int
		ratio       int64
		ok          bool
	}{
		{6000, 7000, 100, 1000, true}, // 126 MB: in the allowance
		{10000, 10000, 100_000, 1000, false},
		{10000, 10000, 200_000, 1000, true},
		{10000, 10000, 100_000, 2000, true},
		{10000, 10000, 0, 1000, false},
	} {
		err := formats[1].checkSize(c.w, c.h, c.bytes, Options{MaxRatio: c.ratio}.WithDefaults())
		if (err == nil) != c.ok {
			t.Errorf("%d x %d in %d bytes at %d: %v", c.w, c.h, c.bytes, c.ratio, err)
		}
	}
	// A blank page is legitimate.
	var page bytes.Buffer
	if err := png.Encode(&page, image.NewGray(image.Rect(0, 0, 2480, 3508))); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(page.Bytes(), Options{}); err != nil {
		t.Errorf("a blank page in %d bytes: %v", page.Len(), err)
	}
}

func TestAFileIsWhatItsFirstBytesSay(t *testing.T) {
	jpg, pic := readFile(t, "photo.jpg"), readFile(t, "rgb.png")
	for name, data := range map[string][]byte{
		"a JPEG with an archive behind it": append(bytes.Clone(jpg), "PK\x03\x04 and so on"...),
		"a PNG with a JPEG behind it":      append(bytes.Clone(pic), jpg...),
	} {
		if m, err := Decode(data, Options{}); err != nil || m.W != 37 || m.H != 23 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string][]byte{
		"a GIF that is a script": []byte(
			"GIF89a=1;alert('hello, world, this is no picture at all')"),
		"a JPEG magic before a PNG":  append([]byte("\xff\xd8\xff\xe0\x00\x10"), pic...),
		"a WebP magic before a JPEG": append([]byte("RIFF\x00\x00\x00\x00WEBP"), jpg...),
		"a PNG magic before an HTML page": []byte(
			"\x89PNG\r\n\x1a\n<html><body>hello, world</body></html>"),
	} {
		if _, err := Decode(data, Options{}); !errors.Is(err, ErrDamaged) && !errors.Is(err,
			ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSearchForOrientationEnds(t *testing.T) {
	jpg := readFile(t, "orientation-6.jpg")
	comment := append([]byte{0xff, 0xfe, 0xff, 0xff}, make([]byte, 0xffff-2)...)
	behind := func(n int) []byte { // n comments before EXIF
		return slices.Concat(jpg[:2], bytes.Repeat(comment, n), jpg[2:])
	}
	for n, want := range map[int]int{0: 6, 3: 6, 20: 1} {
		if o := formatNamed("JPEG").orientation(behind(n)); o != want {
			t.Errorf("behind %d comments: orientation %d, want %d", n, o, want)
		}
	}
	pic := readFile(t, "orientation-6.png")
	at := bytes.Index(pic, []byte("eXIf")) - 4
	empty := []byte("\x00\x00\x00\x00abCd\x00\x00\x00\x00")
	for n, want := range map[int]int{0: 6, 50: 6, maxChunks: 1} {
		data := slices.Concat(pic[:at], bytes.Repeat(empty, n), pic[at:])
		if o := formatNamed("PNG").orientation(data); o != want {
			t.Errorf("behind %d chunks: orientation %d, want %d", n, o, want)
		}
	}
	for _, data := range [][]byte{nil, pic[:8], pic[:20],
		[]byte("\x89PNG\r\n\x1a\n\xff\xff\xff\xffeXIf\x00\x00\x00\x00")} {
		if o := formatNamed("PNG").orientation(data); o != 1 {
			t.Errorf("%.20q: orientation %d", data, o)
		}
	}
}

func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob("testdata/files/*")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, p := range paths {
		// Each file is decoded in a WebAssembly machine of its own: too slow to fuzz together
		// with the others.
		if !slices.Contains([]string{".heic", ".avif", ".jxl"}, filepath.Ext(p)) {
			f.Add(readFile(f, filepath.Base(p)))
		}
	}
	f.Add(pngHeader(60000, 60000))
	for _, c := range readFlavours(f).Cases {
		f.Add(c.File)
	}
	opt := Options{MaxPixels: 1 << 16, MaxBytes: 1 << 16}
	f.Fuzz(func(t *testing.T, data []byte) {
		if isAVIF(data) || isJPEGXL(data) || isHEIC(data) {
			return // which FuzzMachines is for
		}
		m, err := Decode(data, opt)
		if err != nil {
			if !errors.Is(err, ErrNotImage) && !errors.Is(err, ErrTooLarge) && !errors.Is(err,
				ErrDamaged) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if h, err := ReadHeader(t.Context(), data, opt); err != nil || h.W != m.W || h.H != m.H {
			t.Fatalf("the header says %d x %d pixels (%v), and there are %d x %d", h.W, h.H, err,
				m.W, m.H)
		}
		if err := m.Check(); err != nil || int64(m.W)*int64(m.H) > opt.MaxPixels {
			t.Fatalf("%d x %d pixels: %v", m.W, m.H, err)
		}
	})
}

func BenchmarkOrientation(b *testing.B) {
	data := readFile(b, "orientation-6.jpg")
	for b.Loop() {
		if o := formatNamed("JPEG").orientation(data); o != 6 {
			b.Fatal(o)
		}
	}
}
