package imaging

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// allPages decodes every page of a file.
func allPages(data []byte, opt Options) (list []*RGB, err error) {
	f, err := Open(data, opt)
	if err != nil {
		return nil, err
	}
	for i := range f.Len() {
		p, err := f.Decode(context.Background(), i, nil, false)
		if err != nil {
			return nil, err
		}
		list = append(list, p.RGB)
	}
	return list, nil
}

// pagesCase is what scripts/golden/documents.py writes.
type pagesCase struct {
	File  string
	Pages []struct {
		W, H  int
		RGB   string
		Lasts float64
	}
}

func readPages(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/pages", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func inflate(t testing.TB, data []byte) []byte {
	t.Helper()
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	data, err = io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPagesAndFramesAreThoseOfPillow(t *testing.T) {
	for _, c := range goldens[pagesCase](t, "testdata/pages.json") {
		t.Run(c.File, func(t *testing.T) {
			f, err := Open(readPages(t, c.File), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if f.Len() != len(c.Pages) {
				t.Fatalf("%d pages, want %d", f.Len(), len(c.Pages))
			}
			// A pixel that is half transparent is laid over the background, and not over what is
			// then laid over the background: the two orders round differently.
			limit := 0.0
			if strings.HasPrefix(c.File, "soft") {
				limit = 2
			}
			// From the last to the first, and so each from the beginning of an animation.
			for _, order := range [][]int{{0, 1, 2, 3}, {3, 1, 2, 0}} {
				for _, i := range order {
					if i >= len(c.Pages) {
						continue
					}
					want := c.Pages[i]
					p, err := f.Decode(context.Background(), i, nil, false)
					if err != nil {
						t.Fatal(err)
					}
					h, err := f.Header(t.Context(), i, nil, false)
					if err != nil || h.W != want.W || h.H != want.H ||
						h.Bytes < int64(len(p.Pix)) || p.W != want.W || p.H != want.H ||
						p.OriginalW != want.W {
						t.Fatalf("page %d: %d x %d decoded, %+v stated (%v), want %d x %d", i, p.W,
							p.H, h, err, want.W, want.H)
					}
					pix := inflate(t, decodeBase64(t, want.RGB))
					worst := 0.0
					for k := range pix {
						worst = max(worst, math.Abs(float64(pix[k])-float64(p.Pix[k])))
					}
					if worst > limit {
						t.Errorf("page %d is off by %v", i, worst)
					}
					if _, lasts := f.Times(i); !strings.HasSuffix(c.File, ".tiff") &&
						lasts != time.Duration(want.Lasts*float64(time.Millisecond)) &&
						want.Lasts != 0 {
						t.Errorf("frame %d lasts %v, want %v ms", i, lasts, want.Lasts)
					}
				}
			}
			first, err := Decode(readPages(t, c.File), Options{})
			if err != nil {
				t.Fatal(err)
			}
			again, err := f.Decode(context.Background(), 0, nil, false)
			if err != nil || !bytes.Equal(first.Pix, again.Pix) {
				t.Errorf("Decode returns another first picture (%v)", err)
			}
		})
	}
}

func TestAPageThatIsNotThereIsRefused(t *testing.T) {
	for name, want := range map[string]string{"pages.tiff": "holds 4 pictures; there is no number 5",
		"soft.png": "holds 5 pictures; there is no number 6"} {
		f, err := Open(readPages(t, name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{-1, f.Len()} {
			if _, err := f.Decode(context.Background(), i, nil, false); !errors.Is(err,
				ErrNoPage) || i > 0 && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, page %d: %v", name, i, err)
			}
		}
	}
	f, err := Open(readFile(t, "photo.jpg"), Options{})
	if err != nil || f.Len() != 1 {
		t.Fatal(err)
	}
	if _, err := f.Header(t.Context(), 1, nil, false); !errors.Is(err, ErrNoPage) {
		t.Error(err)
	}
}

func TestDocumentsThatAreCutKeepThePagesBefore(t *testing.T) {
	for _, name := range []string{"lossless.webp", "opaque.png", "default-apart.png", "lzw.tiff"} {
		data := readPages(t, name)
		f, err := Open(data[:len(data)*2/3], Options{})
		if strings.HasSuffix(name, ".tiff") && err != nil { // directories may lie at the end
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := f.Len(); n < 1 || n > 4 {
			t.Errorf("%s: %d pages", name, n)
		}
		if _, err := f.Decode(context.Background(), 0, nil, false); err != nil {
			t.Errorf("%s: the first page: %v", name, err)
		}
	}
}

func TestPagesAreLimited(t *testing.T) {
	for _, name := range []string{"pages.tiff", "lossless.webp", "opaque.png"} {
		if _, err := Open(readPages(t, name), Options{MaxFrames: 3}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		if f, err := Open(readPages(t, name), Options{MaxFrames: 4}); err != nil || f.Len() != 4 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One page is larger than the others: they are decoded, and it is not.
	f, err := Open(readPages(t, "pages.tiff"), Options{MaxPixels: 24*16 - 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Decode(context.Background(), 2, nil, false); err != nil {
		t.Error(err)
	}
	if _, err := f.Decode(context.Background(), 3, nil, false); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestAChainOfDirectoriesThatComesBackEnds(t *testing.T) {
	data := readPages(t, "big.tiff")
	first := binary.LittleEndian.Uint64(data[8:])
	count := binary.LittleEndian.Uint64(data[first:])
	binary.LittleEndian.PutUint64(data[first+8+20*count:], first)
	f, err := Open(data, Options{})
	if err != nil || f.Len() != 1 {
		t.Fatal(f, err)
	}
}

func TestFramesBeyondTheWorkAllowedAreRefused(t *testing.T) {
	f, err := Open(readPages(t, "opaque.png"), Options{MaxPixels: 24 * 16 * 2 / maxFrameWork * 3})
	if err != nil {
		f, err = Open(readPages(t, "opaque.png"), Options{MaxPixels: 24 * 16})
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Decode(ctx, 3, nil, false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	a := &animated{frames: manyFrames(1000), w: 100, h: 100, turn: 1}
	if _, err := a.decode(context.Background(), 999, Options{MaxPixels: 100 * 100}); !errors.Is(err,
		ErrTooLarge) {
		t.Error(err)
	}
	if _, err := a.decode(context.Background(), 5, Options{MaxPixels: 100 * 100}); err != nil {
		t.Error(err)
	}
}

// manyFrames is an animation of so many blank frames of 100 x 100 pixels.
type manyFrames int

func (n manyFrames) count() int            { return int(n) }
func (manyFrames) lasts(int) time.Duration { return 0 }
func (manyFrames) coded(int) (w, h int)    { return 100, 100 }
func (manyFrames) show(on *animation, i int, seen bool) (*RGB, error) {
	return on.put(&layer{m: NewRGB(100, 100)}, seen), nil
}

func FuzzOpen(f *testing.F) {
	names, err := filepath.Glob("testdata/pages/*")
	if err != nil || len(names) == 0 {
		f.Fatal(err)
	}
	for _, name := range names {
		f.Add(readPages(f, filepath.Base(name)))
	}
	for _, name := range []string{"keep", "background", "previous", "background-opaque", "mixed",
		"animated", "still"} {
		f.Add(readFile(f, name+".gif"))
	}
	opt := Options{MaxPixels: 1 << 16, MaxBytes: 1 << 16, MaxFrames: 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		if isHEIC(data) || isAVIF(data) || isJPEGXL(data) {
			return // which FuzzMachines is for
		}
		file, err := Open(data, opt)
		if err != nil {
			return
		}
		if n := file.Len(); n < 1 || n > opt.MaxFrames {
			t.Fatal(n, "pages")
		}
		for _, i := range []int{file.Len() - 1, 0} {
			p, err := file.Decode(context.Background(), i, nil, false)
			if err != nil {
				continue
			}
			if err := p.Check(); err != nil {
				t.Fatal(err)
			}
			if p.W*p.H > int(opt.MaxPixels) {
				t.Fatal(p.W, p.H)
			}
		}
	})
}
