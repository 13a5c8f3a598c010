package imaging

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/jpeg"
)

// A header tells the size of the upright picture of every file that can be decoded, and fails where
// decoding fails before it looks at pixels.
func TestHeadersTellTheSizeThatDecodingGives(t *testing.T) {
	files := map[string][]byte{}
	entries, err := os.ReadDir("testdata/files")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		files[e.Name()] = readFile(t, e.Name())
	}
	for _, c := range readFlavours(t).Cases {
		files[c.Name] = c.File
	}
	decoded, upright := 0, false
	for name, data := range files {
		h, err := ReadHeader(t.Context(), data, Options{})
		p, decodeErr := DecodePicture(context.Background(), data, Options{})
		switch {
		case decodeErr == nil && err != nil:
			t.Errorf("%s: the header: %v, but it can be decoded", name, err)
		case decodeErr == nil:
			if decoded++; h.W != p.OriginalW || h.H != p.OriginalH {
				t.Errorf("%s: the header says %d x %d pixels, and there are %d x %d", name, h.W,
					h.H, p.OriginalW, p.OriginalH)
			}
			if h.Bytes < int64(3*h.W*h.H) {
				t.Errorf("%s: %d bytes for %d x %d pixels", name, h.Bytes, h.W, h.H)
			}
		}
		upright = upright || name == "orientation-6.jpg" && h.H > h.W
	}
	if decoded < 400 || !upright {
		t.Errorf("%d files were decoded; a turned JPEG has its sides exchanged: %v", decoded,
			upright)
	}
	for _, name := range []string{"photo.jpg", "rgb.png", "lossy.webp", "photo.heic"} {
		if _, err := ReadHeader(t.Context(), readFile(t, name)[:8], Options{}); !errors.Is(err,
			ErrDamaged) && !errors.Is(err, ErrNotImage) {
			t.Errorf("eight bytes of %s: %v", name, err)
		}
		if _, err := ReadHeader(t.Context(), readFile(t, name),
			Options{MaxPixels: 10}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s with a limit of 10 pixels: %v", name, err)
		}
	}
}

// What is decoded smaller, or line by line, takes less memory.
func TestHeadersTellWhatDecodingTakes(t *testing.T) {
	if !jpeg.Available {
		t.Skip("libjpeg-turbo is not linked")
	}
	bytes := func(name string, opt Options) int64 {
		h, err := ReadHeader(t.Context(), readFile(t, name), opt)
		if err != nil {
			t.Fatal(err)
		}
		return h.Bytes / int64(h.W) / int64(h.H)
	}
	if whole, small := bytes("440.jpg", Options{}),
		bytes("440.jpg", Options{Target: Within(4)}); whole != 3 || small != 0 {
		t.Errorf("%d bytes a pixel, and %d of a smaller picture", whole, small)
	}
	if n := bytes("progressive.jpg", Options{}); n != 9 {
		t.Errorf("%d bytes a pixel of a progressive file", n)
	}
	if n := bytes("orientation-6.jpg", Options{}); n != 6 {
		t.Errorf("%d bytes a pixel of a file that is turned", n)
	}
}
