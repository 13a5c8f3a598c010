//go:build !nojpegturbo

package jpeg

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The files are those that kernels/imaging compares with Pillow.
const files = "../../kernels/imaging/testdata/files"

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(files, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// picture is a file of w by h pixels with a gradient, made by the standard library.
func picture(t testing.TB, w, h int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{uint8(x * 255 / w), uint8(y * 255 / h),
				uint8((x + y) * 127 / (w + h)), 255})
		}
	}
	var file bytes.Buffer
	if err := stdjpeg.Encode(&file, img, &stdjpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// withScans adds scans to a progressive file: its first one and the tables of that, as often as
// asked for.
func withScans(t testing.TB, file []byte, n int) []byte {
	t.Helper()
	tables := bytes.Index(file, []byte{0xff, 0xc4})
	scan := bytes.Index(file, []byte{0xff, 0xda})
	next := scan + bytes.Index(file[max(scan, 0):], []byte{0xff, 0xc4})
	if tables < 0 || scan < tables || next <= scan {
		t.Fatal("no scan with tables of its own")
	}
	out := bytes.Clone(file[:next])
	for range n {
		out = append(out, file[tables:next]...)
	}
	return append(out, file[next:]...)
}

func TestHeaderTellsWhatTheFileHolds(t *testing.T) {
	for name, want := range map[string]Header{
		"photo.jpg":       {37, 23, 3, 8, false},
		"progressive.jpg": {37, 23, 3, 8, true},
		"grey.jpg":        {37, 23, 1, 8, false},
		"cmyk.jpg":        {37, 23, 4, 8, false},
		"440.jpg":         {32, 16, 3, 8, false},
	} {
		if got, err := ReadHeader(readFile(t, name)); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestEveryScaleShowsTheSamePicture(t *testing.T) {
	const w, h = 203, 117
	data := picture(t, w, h)
	for eighths := 1; eighths <= 8; eighths++ {
		pix, gw, gh, err := Decode(context.Background(), data, Options{Eighths: eighths})
		if err != nil {
			t.Fatal(err)
		}
		if gw != Scaled(w, eighths) || gh != Scaled(h, eighths) || len(pix) != 3*gw*gh {
			t.Fatalf("%d eighths: %d x %d pixels, %d bytes", eighths, gw, gh, len(pix))
		}
		for y := range gh {
			for x := range gw {
				sx, sy := (float64(x)+0.5)*8/float64(eighths), (float64(y)+0.5)*8/float64(eighths)
				r, g := sx*255/w, sy*255/h
				p := pix[3*(y*gw+x):]
				if dr, dg := float64(p[0])-r, float64(p[1])-g; sx < w && sy < h && (dr*dr > 64 ||
					dg*dg > 64) {
					t.Fatalf("%d eighths: pixel (%d, %d) is %v, want about %.0f, %.0f", eighths, x,
						y, p[:3], r, g)
				}
			}
		}
	}
}

func TestDecodeNamesTheFault(t *testing.T) {
	photo, progressive := readFile(t, "photo.jpg"), readFile(t, "progressive.jpg")
	sof := bytes.Index(photo, []byte{0xff, 0xc0})
	patched := func(at int, b ...byte) []byte {
		out := bytes.Clone(photo)
		copy(out[sof+at:], b)
		return out
	}
	for _, c := range []struct {
		name string
		data []byte
		opt  Options
		kind error // nil: corrupt
		text string
	}{
		{"no bytes", nil, Options{}, ErrTruncated, ""},
		{"text", []byte("hello, world"), Options{}, nil, "Not a JPEG file"},
		{"the first bytes", photo[:4], Options{}, ErrTruncated, ""},
		{"half a file", photo[:len(photo)/2], Options{}, ErrTruncated, "Premature end"},
		{"half a progressive file", progressive[:len(progressive)/2], Options{}, ErrTruncated,
			"Premature end"},
		{"a file without its end marker", photo[:len(photo)-2], Options{}, ErrTruncated,
			"Premature end"},
		{"12 bits", patched(4, 12), Options{}, ErrUnsupported, "12"},
		{"60000 x 60000 pixels", patched(5, 0xea, 0x60, 0xea, 0x60), Options{}, ErrTooLarge,
			"60000 x 60000 pixels"},
		{"65535 x 65535 pixels", patched(5, 0xff, 0xff, 0xff, 0xff), Options{}, ErrTooLarge,
			"65500"},
		{"no height", patched(5, 0, 0), Options{}, nil, ""},
		{"a pixel over the limit", photo, Options{MaxPixels: 37*23 - 1}, ErrTooLarge,
			"37 x 23 pixels"},
		{"two components", patched(9, 2), Options{}, nil, ""},
		{"a scale of 9 eighths", photo, Options{Eighths: 9}, nil, "9 eighths"},
		{"too many scans", withScans(t, progressive, 100), Options{}, ErrTooLarge,
			"more than 100 scans"},
		{"more scans than asked for", progressive, Options{MaxScans: 3}, ErrTooLarge,
			"more than 3 scans"},
	} {
		_, _, _, err := Decode(context.Background(), c.data, c.opt)
		if err == nil || c.kind != nil && !errors.Is(err, c.kind) || !strings.Contains(err.Error(),
			c.text) {
			t.Errorf("%s: got error %v, want %v %q", c.name, err, c.kind, c.text)
		}
		if c.kind == nil && (errors.Is(err, ErrTruncated) || errors.Is(err, ErrTooLarge)) {
			t.Errorf("%s: got error %v of another kind", c.name, err)
		}
	}
	if _, _, _, err := Decode(context.Background(), withScans(t, progressive, 50),
		Options{}); err != nil {
		t.Errorf("a file of some more scans than usual: %v", err)
	}
}

func TestEveryTruncationIsAnError(t *testing.T) {
	for _, name := range []string{"photo.jpg", "progressive.jpg", "cmyk.jpg", "grey.jpg"} {
		data := readFile(t, name)
		for n := range data {
			if _, _, _, err := Decode(context.Background(), data[:n], Options{}); err == nil {
				t.Errorf("%s: the first %d of %d bytes decode", name, n, len(data))
			}
		}
	}
}

func TestARefusedFileCostsNoMemory(t *testing.T) {
	data := readFile(t, "progressive.jpg")
	sof := bytes.Index(data, []byte{0xff, 0xc2})
	copy(data[sof+5:], []byte{0x27, 0x10, 0x27, 0x11}) // a pixel more than the limit
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, _, err := Decode(context.Background(), data, Options{})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooLarge) || after.TotalAlloc-before.TotalAlloc > 1<<16 {
		t.Errorf("took %d bytes: %v", after.TotalAlloc-before.TotalAlloc, err)
	}
}

func TestADoneContextStopsDecoding(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	data := withScans(t, progressiveLarge(t), 80)
	result := make(chan error)
	go func() {
		_, _, _, err := Decode(ctx, data, Options{})
		result <- err
	}()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
	if _, _, _, err := Decode(ctx, data, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that was done before: %v", err)
	}
	// Many files at once, and contexts that end at any time: the race detector watches.
	small := readFile(t, "progressive.jpg")
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 50 {
				ctx, cancel := context.WithCancel(context.Background())
				go cancel()
				if _, _, _, err := Decode(ctx, small, Options{}); err != nil && !errors.Is(err,
					context.Canceled) {
					t.Errorf("got error %v", err)
				}
			}
		}()
	}
	for range 8 {
		<-done
	}
}

// progressiveLarge claims more pixels than its scans have data for; decoding it walks over all of
// them all the same.
func progressiveLarge(t testing.TB) []byte {
	data := readFile(t, "progressive.jpg")
	sof := bytes.Index(data, []byte{0xff, 0xc2})
	copy(data[sof+5:], []byte{0x0f, 0xa0, 0x0f, 0xa0}) // 4000 x 4000
	return data
}

func TestVersionIsThatOfLibjpegTurbo(t *testing.T) {
	if v := Version(); !strings.Contains(v, ".") || v < "2" {
		t.Errorf("version %q", v)
	}
}

func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(files, "*.jpg"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for i, p := range paths {
		f.Add(readFile(f, filepath.Base(p)), uint8(i))
	}
	f.Add(withScans(f, readFile(f, "progressive.jpg"), 20), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, scale uint8) {
		opt := Options{Eighths: int(scale%8) + 1, MaxPixels: 1 << 16, MaxScans: 12}
		head, err := ReadHeader(data)
		pix, w, h, err2 := Decode(context.Background(), data, opt)
		switch {
		case err2 != nil:
			return
		case err != nil:
			t.Fatalf("decodes without a header: %v", err)
		}
		if w != Scaled(head.Width, opt.Eighths) || h != Scaled(head.Height, opt.Eighths) ||
			len(pix) != 3*w*h {
			t.Fatalf("%+v at %d eighths: %d x %d pixels, %d bytes", head, opt.Eighths, w, h,
				len(pix))
		}
		again, _, _, err := Decode(context.Background(), data, opt)
		if err != nil || !bytes.Equal(pix, again) {
			t.Fatalf("decodes to something else the second time (%v)", err)
		}
	})
}
