package imaging

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"testing"
)

// goldens reads a file that scripts/golden/imaging.py wrote.
func goldens[T any](t testing.TB, path string) []T {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []T }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatalf("%s holds no cases", path)
	}
	return file.Cases
}

func decodeBase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noise is the test picture of a seed, as in scripts/golden/imaging.py.
func noise(w, h int, seed uint32) *RGB {
	m := NewRGB(w, h)
	for i := range m.Pix {
		x := uint32(i)*2654435761 + seed*40503
		x ^= x >> 15
		x *= 2246822519
		x ^= x >> 13
		x *= 3266489917
		m.Pix[i] = uint8(x >> 24)
	}
	return m
}

func TestResizeEqualsPillowInEveryByte(t *testing.T) {
	filters := map[string]Filter{"bilinear": Bilinear, "bicubic": Bicubic, "lanczos": Lanczos}
	type resizeCase struct {
		W, H, To_W, To_H int
		Seed, CRC32      uint32
		Filter, Pix      string
	}
	for _, c := range goldens[resizeCase](t, "testdata/resize.json") {
		t.Run(fmt.Sprintf("%dx%d to %dx%d %s", c.W, c.H, c.To_W, c.To_H, c.Filter), func(t *testing.T) {
			f, ok := filters[c.Filter]
			if !ok {
				t.Fatalf("unknown filter %q", c.Filter)
			}
			got, err := Resize(noise(c.W, c.H, c.Seed), c.To_W, c.To_H, f)
			if err != nil {
				t.Fatal(err)
			}
			if got.W != c.To_W || got.H != c.To_H {
				t.Fatalf("got %d x %d pixels", got.W, got.H)
			}
			if want := decodeBase64(t, c.Pix); len(want) > 0 && !bytes.Equal(got.Pix, want) {
				t.Errorf("got  %v\nwant %v", got.Pix, want)
			}
			if crc := crc32.ChecksumIEEE(got.Pix); crc != c.CRC32 {
				t.Errorf("checksum %08x, want %08x", crc, c.CRC32)
			}
		})
	}
}

func TestResizeRefusesWhatItCannotDo(t *testing.T) {
	ok := NewRGB(4, 4)
	for _, c := range []struct {
		name string
		src  *RGB
		w, h int
		f    Filter
	}{
		{"no picture", nil, 2, 2, Bicubic},
		{"a picture without pixels", &RGB{}, 2, 2, Bicubic},
		{"a picture whose bytes do not fit its sides", &RGB{W: 4, H: 4, Pix: make([]uint8, 47)}, 2, 2, Bicubic},
		{"a width of zero", ok, 0, 2, Bicubic},
		{"a negative height", ok, 2, -1, Bicubic},
		{"a picture that no memory holds", ok, 1 << 30, 1 << 30, Bicubic},
		{"an unknown filter", ok, 2, 2, Filter(9)},
	} {
		if _, err := Resize(c.src, c.w, c.h, c.f); err == nil {
			t.Errorf("Resize accepts %s", c.name)
		}
	}
}

func TestPadSquareCentresThePicture(t *testing.T) {
	bg := [3]uint8{1, 2, 3}
	for _, c := range []struct{ w, h, left, top int }{{3, 6, 1, 0}, {6, 3, 0, 1}, {1, 4, 1, 0}, {5, 5, 0, 0}} {
		src := noise(c.w, c.h, 1)
		got := PadSquare(src, bg)
		side := max(c.w, c.h)
		if got.W != side || got.H != side || got.Check() != nil {
			t.Fatalf("%d x %d became %d x %d", c.w, c.h, got.W, got.H)
		}
		for y := range side {
			for x := range side {
				want := bg[:]
				if sx, sy := x-c.left, y-c.top; sx >= 0 && sx < c.w && sy >= 0 && sy < c.h {
					want = src.row(sy)[3*sx : 3*sx+3]
				}
				if p := got.row(y)[3*x : 3*x+3]; !bytes.Equal(p, want) {
					t.Fatalf("%d x %d: pixel (%d, %d) is %v, want %v", c.w, c.h, x, y, p, want)
				}
			}
		}
	}
}

func TestCenterCropTakesTheMiddle(t *testing.T) {
	src := noise(7, 6, 2)
	got, err := CenterCrop(src, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	for y := range 3 {
		if want := src.row(y + 1)[3*1 : 3*5]; !bytes.Equal(got.row(y), want) {
			t.Errorf("row %d is %v, want %v", y, got.row(y), want)
		}
	}
	for _, side := range [][2]int{{8, 3}, {4, 7}, {0, 3}} {
		if _, err := CenterCrop(src, side[0], side[1]); err == nil {
			t.Errorf("CenterCrop cuts %v out of a 7 x 6 picture", side)
		}
	}
}

func BenchmarkResizePhotoTo336(b *testing.B) {
	src := noise(4000, 3000, 1)
	b.SetBytes(int64(len(src.Pix)))
	for b.Loop() {
		if _, err := Resize(src, 336, 336, Bicubic); err != nil {
			b.Fatal(err)
		}
	}
}
