package document

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document/documenttest"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPDFPagesAreThoseOfPoppler(t *testing.T) {
	var golden struct {
		Cases []struct {
			File  string
			Pages []struct {
				W, H int
				RGB  []byte
			}
		}
	}
	if err := json.Unmarshal(read(t, "pdf.json"), &golden); err != nil || len(golden.Cases) < 6 {
		t.Fatal(err, len(golden.Cases))
	}
	ctx := context.Background()
	for _, c := range golden.Cases {
		t.Run(c.File, func(t *testing.T) {
			d, err := Open(ctx, read(t, c.File), imaging.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d.Len() != len(c.Pages) || d.Format() != "PDF" || d.Moving() {
				t.Fatalf("%d pages of %s, want %d", d.Len(), d.Format(), len(c.Pages))
			}
			for i, want := range c.Pages {
				p, err := d.Decode(ctx, i, Render{})
				if err != nil {
					t.Fatal(err)
				}
				if h, err := d.Header(ctx, i, Render{}); err != nil || h.W != want.W ||
					h.H != want.H || p.W != h.W || p.H != h.H || p.OriginalW != h.W {
					t.Fatalf("page %d has %d x %d pixels and is stated as %+v (%v), want %d x %d",
						i+1, p.W, p.H, h, err, want.W, want.H)
				}
				r, err := zlib.NewReader(bytes.NewReader(want.RGB))
				if err != nil {
					t.Fatal(err)
				}
				squares, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				mean, worst := distance(p.RGB, squares)
				t.Logf("page %d: squares differ by %.2f of 255 in the mean, %.0f at most", i+1,
					mean, worst)
				limit := 64.0 // half a square of letters, which the two fit into lines differently
				if c.File == "form.pdf" {
					limit = 128 // Poppler's highlighter has round ends
				}
				if mean > 3 || worst > limit {
					t.Errorf("page %d: squares differ by %.2f of 255 in the mean, %.0f at most",
						i+1, mean, worst)
				}
			}
		})
	}
}

// distance compares the mean colours of squares of 16 x 16 pixels with those of another picture.
func distance(m *imaging.RGB, squares []byte) (mean, worst float64) {
	w, h := m.W/16, m.H/16
	for y := range h {
		for x := range w {
			for c := range 3 {
				sum := 0
				for k := range 256 {
					sum += int(m.Pix[3*((16*y+k/16)*m.W+16*x+k%16)+c])
				}
				d := math.Abs(float64(sum)/256 - float64(squares[3*(y*w+x)+c]))
				mean, worst = mean+d, max(worst, d)
			}
		}
	}
	return mean / float64(3*w*h), worst
}

func TestAPDFPageIsDrawnAtTheSizeThatIsSeen(t *testing.T) {
	ctx := context.Background()
	d, err := Open(ctx, read(t, "pages.pdf"), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target func(w, h int) (int, int)
		exact  bool
		w, h   int
	}{
		{nil, false, 480, 320},
		{imaging.Within(100), false, 201, 134},   // twice the target's 100 x 67
		{imaging.Within(300), false, 480, 320},   // twice that would be more than there is
		{imaging.Within(1000), false, 1001, 667}, // larger than the page's size
		{imaging.Within(1000), true, 480, 320},
		{func(int, int) (int, int) { return 0, 0 }, false, 480, 320},
	} {
		p, err := d.Decode(ctx, 0, Render{Target: c.target, Exact: c.exact})
		if err != nil {
			t.Fatal(err)
		}
		if abs(p.W-c.w) > 1 || abs(p.H-c.h) > 1 || p.OriginalW != 480 || p.OriginalH != 320 {
			t.Errorf("%d x %d pixels, of %d x %d, want %d x %d", p.W, p.H, p.OriginalW, p.OriginalH,
				c.w, c.h)
		}
	}
}

func TestAPDFPageHasAMostOfPixels(t *testing.T) {
	p := &pdf{opt: imaging.Options{MaxPixels: 1_000_000}}
	for _, c := range [][3]float64{{480, 320, 100}, {1e9, 1, 1}, {1, 1e9, 1}, {1e-3, 1e-3, 1},
		{5000, 5000, 1e6}} {
		if w, h := p.scaled(c[0], c[1], c[2]); w < 1 || h < 1 || w*h > 1_000_000 {
			t.Errorf("%v times %v is %d x %d", c[:2], c[2], w, h)
		}
	}
	if w, h := p.scaled(480, 320, 100); w*h < 990_000 || abs(2*w-3*h) > 3 {
		t.Errorf("%d x %d", w, h)
	}
}

func abs(v int) int { return max(v, -v) }

func TestPagesOfAPDFAreDrawnSideBySide(t *testing.T) {
	ctx := context.Background()
	d, err := Open(ctx, read(t, "pages.pdf"), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 2 * d.Len() {
		group.Go(func() {
			if p, err := d.Decode(ctx, i%d.Len(), Render{}); err != nil || p.Check() != nil {
				t.Error(i, err)
			}
		})
	}
	group.Wait()
}

// page is a PDF file of one page with a content stream, a resources dictionary and further objects
// from number 5 on.
func page(box, content, resources string, more ...string) []byte {
	return documenttest.Objects(append([]string{
		"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[" + box + "]/Contents 4 0 R/Resources<<" + resources +
			">>>>",
		documenttest.Stream("", content),
	}, more...)...)
}

func TestDamagedPDFsAreRefusedWithTheReason(t *testing.T) {
	ctx := context.Background()
	whole := read(t, "pages.pdf")
	for name, c := range map[string]struct {
		data []byte
		kind error
		want string
	}{
		"cut in its header": {whole[:20], imaging.ErrDamaged, "corrupt or truncated PDF"},
		"noise": {append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte{7, 200, 13, 0},
			5000)...), imaging.ErrDamaged, "corrupt or truncated PDF"},
		"locked": {read(t, "locked.pdf"), imaging.ErrDamaged, "needs a password"},
		"without pages": {documenttest.Objects("<</Type/Catalog/Pages 2 0 R>>",
			"<</Type/Pages/Kids[]/Count 0>>"), imaging.ErrDamaged, "without pages"},
		"pages in a circle": {documenttest.Objects("<</Type/Catalog/Pages 2 0 R>>",
			"<</Type/Pages/Kids[2 0 R]/Count 1>>"), imaging.ErrDamaged, "PDF"},
		"lies about its size": {documenttest.Objects("<</Type/Catalog/Pages 2 0 R>>",
			"<</Type/Pages/Kids[]/Count 2000000000>>"), nil, "PDF"},
		"over the file limit": {append(bytes.Clone(whole), make([]byte, 1<<20)...),
			imaging.ErrTooLarge, "limit is"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(ctx, c.data, imaging.Options{MaxBytes: 1 << 20})
			if err == nil {
				_, err = d.Decode(ctx, d.Len()-1, Render{})
			}
			if err == nil || !imaging.IsFault(err) || c.kind != nil && !errors.Is(err, c.kind) ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
		})
	}
	d, err := Open(ctx, whole, imaging.Options{MaxFrames: 4})
	if !errors.Is(err, imaging.ErrTooLarge) {
		t.Errorf("5 pages at a limit of 4: %v, %v", d, err)
	}
	if d, err = Open(ctx, whole, imaging.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{-1, 5} {
		if _, err := d.Decode(ctx, i, Render{}); !errors.Is(err, imaging.ErrNoPage) {
			t.Errorf("page %d: %v", i, err)
		}
	}
	// A file that lost a part of its last line still has its pages.
	if d, err = Open(ctx, whole[:len(whole)-8], imaging.Options{}); err != nil || d.Len() != 5 {
		t.Errorf("without its last bytes: %v", err)
	}
}

func TestHugePagesAreDrawnSmall(t *testing.T) {
	ctx := context.Background()
	for _, box := range []string{"0 0 14400 14400", "0 0 100000000 100", "0 0 1 100000000",
		"0 0 0.001 0.001"} {
		d, err := Open(ctx, page(box, "1 0 0 rg 0 0 50 50 re f", ""), imaging.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h, err := d.Header(ctx, 0, Render{})
		if err != nil || h.W < 1 || h.H < 1 || h.W*h.H > maxPagePixels {
			t.Errorf("%s: %+v, %v", box, h, err)
			continue
		}
		if p, err := d.Decode(ctx, 0, Render{Target: imaging.Within(200)}); err == nil &&
			p.Check() != nil {
			t.Error(box, p.Check())
		}
	}
}

func TestDrawingIsBoundedInMemory(t *testing.T) {
	defer func(p *pool) { readers = p }(readers)
	readers = newPool(24 << 20)
	ctx := context.Background()
	d, err := Open(ctx, read(t, "pages.pdf"), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * cap(readers.places) {
		if _, err := d.Decode(ctx, 0, Render{Target: imaging.Within(6000)}); !errors.Is(err,
			imaging.ErrDamaged) || !strings.Contains(err.Error(), "more than 24 MiB of memory") {
			t.Errorf("got error %v", err)
		}
	}
	if _, err := d.Decode(ctx, 4, Render{}); err != nil {
		t.Error("the next page:", err)
	}
}

func TestAPictureThatInflatesIsDrawnOrRefused(t *testing.T) {
	const w, h = 8000, 600
	var zeros bytes.Buffer
	z := zlib.NewWriter(&zeros)
	for range h {
		if _, err := z.Write(make([]byte, 3*w)); err != nil {
			t.Fatal(err)
		}
	}
	z.Close()
	bomb := documenttest.Stream(
		fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/FlateDecode", w, h), zeros.String())
	ctx := context.Background()
	d, err := Open(ctx, page("0 0 100 100", "100 0 0 100 0 0 cm /I Do", "/XObject<</I 5 0 R>>",
		bomb), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := d.Decode(ctx, 0, Render{}); err == nil && p.Check() != nil ||
		err != nil && !imaging.IsFault(err) {
		t.Error(err)
	}
}

// endless is a page that takes forever: forms that draw forms, ten times each, many deep.
func endless() []byte {
	const deep = 12
	var forms []string
	for i := range deep {
		content, resources := strings.Repeat("/F Do ", 10), fmt.Sprintf("/XObject<</F %d 0 R>>",
			6+i)
		if i == deep-1 {
			content, resources = "0 0 10 10 re f", ""
		}
		forms = append(forms,
			documenttest.Stream(
				fmt.Sprintf("/Type/XObject/Subtype/Form/BBox[0 0 100 100]/Resources<<%s>>",
					resources), content))
	}
	return page("0 0 100 100", "/F Do", "/XObject<</F 5 0 R>>", forms...)
}

func TestDrawingEndsWithItsContext(t *testing.T) {
	d, err := Open(context.Background(), endless(), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := d.Decode(ctx, 0, Render{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v", err)
	}
	again, err := Open(context.Background(), read(t, "pages.pdf"), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Decode(context.Background(), 0, Render{}); err != nil {
		t.Error("the next page:", err)
	}
}

func TestDrawingIsBoundedInTime(t *testing.T) {
	defer func(d time.Duration) { pageTime = d }(pageTime)
	d, err := Open(context.Background(), endless(), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pageTime = 200 * time.Millisecond
	if _, err := d.Decode(context.Background(), 0, Render{}); !errors.Is(err,
		imaging.ErrTooLarge) || !strings.Contains(err.Error(), "takes longer than") {
		t.Errorf("got error %v", err)
	}
}

// Many slow pages are given up together, though each keeps to its own bound.
func TestDrawingAllPagesIsBoundedInTime(t *testing.T) {
	d, err := Open(context.Background(), read(t, "pages.pdf"), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // as pages of nearly 30 s
		if left := d.pdf.left(); left > pageTime || left <= 0 {
			break
		}
		d.pdf.took(pageTime - time.Second)
	}
	if _, err := d.Decode(context.Background(), 0, Render{}); !errors.Is(err,
		imaging.ErrTooLarge) || !strings.Contains(err.Error(), "too long to draw") {
		t.Errorf("got error %v", err)
	}
	quick, err := Open(context.Background(), read(t, "pages.pdf"), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		quick.pdf.took(usualTime / 2)
	}
	if left := quick.pdf.left(); left != pageTime {
		t.Errorf("a thousand quick pages leave %v", left)
	}
}

func TestOtherThanPicturesAreRefusedWithAHint(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"SVG":       {"<?xml version=\"1.0\"?>\n<!-- made by hand -->\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "rsvg-convert"},
		"MP4":       {"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41", "ffmpeg"},
		"WebM":      {"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01", "ffmpeg"},
		"AVI":       {"RIFF\x00\x00\x00\x00AVI LIST", "ffmpeg"},
		"Photoshop": {"8BPS\x00\x01", "save it as PNG"},
		"text":      {"hello, this is text", "not an image"},
		"HTML":      {"<html><body></body></html>", "not an image"},
		"nothing":   {"", "the file is empty"},
	} {
		if _, err := Open(context.Background(), []byte(c.data), imaging.Options{}); !errors.Is(err,
			imaging.ErrNotImage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %q", name, err, c.want)
		}
	}
}

func FuzzPDF(f *testing.F) {
	for _, name := range []string{"pages.pdf", "colours.pdf", "form.pdf", "turned.pdf",
		"owner.pdf"} {
		f.Add(read(f, name))
	}
	f.Add(endless())
	f.Fuzz(func(t *testing.T, data []byte) {
		defer func(d time.Duration) { pageTime = d }(pageTime)
		pageTime = time.Second
		d, err := openPDF(context.Background(), data, imaging.Options{})
		if err != nil {
			if !imaging.IsFault(err) {
				t.Fatal(err)
			}
			return
		}
		p, err := d.decode(context.Background(), d.pages-1, Render{Target: imaging.Within(64)})
		if err == nil && p.Check() != nil || err != nil && !imaging.IsFault(err) {
			t.Fatal(err)
		}
	})
}
