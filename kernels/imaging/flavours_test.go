package imaging

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/jpeg"
)

// flavours is what scripts/golden/flavours.py writes.
type flavours struct {
	Pictures map[string]struct {
		W, H int
		Pix  []byte
	}
	Cases []struct {
		Name       string
		File       []byte
		Shows      string // a picture
		Refused    string // or why there is none
		Mean_Error float64
	}
}

func readFlavours(t testing.TB) (f flavours) {
	t.Helper()
	file, err := os.Open("testdata/flavours.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(r).Decode(&f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 500 {
		t.Fatalf("only %d files", len(f.Cases))
	}
	return f
}

func TestEveryFlavourIsDecodedOrRefusedByName(t *testing.T) {
	f := readFlavours(t)
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			got, err := Decode(c.File, Options{})
			if c.Refused != "" {
				if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.Refused) {
					t.Fatalf("got error %v, want %q", err, c.Refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := f.Pictures[c.Shows]
			if got.W != want.W || got.H != want.H || got.Check() != nil {
				t.Fatalf("got %d x %d pixels, want %d x %d", got.W, got.H, want.W, want.H)
			}
			// JPEG streams are compared in every byte where libjpeg-turbo decodes them, as Pillow
			// does.
			limit := c.Mean_Error
			if strings.Contains(strings.ToUpper(c.Name), "JPEG") {
				limit = 0
				if !jpeg.Available {
					limit = 5
				}
			}
			sum, worst := 0.0, 0.0
			for i, v := range want.Pix {
				d := math.Abs(float64(v) - float64(got.Pix[i]))
				sum, worst = sum+d, max(worst, d)
			}
			if mean := sum / float64(len(got.Pix)); mean > limit {
				t.Errorf("mean difference %.3f, worst %g, want at most %g in the mean", mean, worst,
					limit)
			}
		})
	}
}

func TestHalfOfEveryFlavourIsAnError(t *testing.T) {
	for _, c := range readFlavours(t).Cases {
		half, err := Decode(c.File[:len(c.File)/2], Options{})
		if err == nil && !strings.HasPrefix(c.Name, "gif") && !strings.Contains(c.Name,
			"animated") && !strings.Contains(c.Name, "XMP") {
			whole, wholeErr := Decode(c.File, Options{})
			if wholeErr != nil || !bytes.Equal(half.Pix, whole.Pix) {
				t.Errorf("%s: half of it is shown", c.Name)
			}
		}
	}
}
