package imaging

import (
	"bytes"
	"context"
	"errors"
	"image"
	stdjpeg "image/jpeg"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/jpeg"
)

// scene draws a picture as a camera might see it: light that falls off, rolling
// shapes with soft and hard edges, rows of strokes as of print, noise of a sensor.
func scene(w, h int, seed uint64) *image.RGBA {
	rng := rand.New(rand.NewPCG(20261123, seed))
	p := func() float64 { return rng.Float64() }
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	type disc struct{ x, y, r, soft, cr, cg, cb float64 }
	discs := make([]disc, 12)
	for i := range discs {
		discs[i] = disc{p(), p(), 0.03 + 0.2*p(), 0.001 + 0.02*p()*p(), 255 * p(), 255 * p(),
			255 * p()}
	}
	kx, ky, phase := 2+6*p(), 2+6*p(), 6*p()
	glyphs := make([]uint8, 4096)
	for i := range glyphs {
		glyphs[i] = uint8(rng.Uint32())
	}
	unit := float64(max(w, h))
	strokes := max(1, max(w, h)/500) // width of a stroke in pixels
	for y := range h {
		for x := range w {
			fx, fy := float64(x)/unit, float64(y)/unit
			v := 130 + 70*math.Sin(kx*fx+phase)*math.Cos(ky*fy) +
				12*math.Sin(190*fx+40*math.Sin(9*fy))
			r, g, b := v, 0.9*v+10, 0.75*v+30*fy
			for _, d := range discs {
				dist := math.Hypot(fx-d.x, fy-d.y) - d.r
				a := min(max(0.5-dist/d.soft/2, 0), 1)
				r, g, b = r+a*(d.cr-r), g+a*(d.cg-g), b+a*(d.cb-b)
			}
			if tx, ty := x/strokes, y/strokes; fx > 0.55 && fy > 0.3 && ty%12 < 7 && tx%6 < 5 &&
				glyphs[(tx/6*31+ty/12*17)%4096]>>((tx%6+ty%12)%8)&1 == 1 {
				r, g, b = 25, 25, 30
			}
			n := rng.NormFloat64() * 3
			i := img.PixOffset(x, y)
			img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = to8(r+n), to8(g+n), to8(b+n), 255
		}
	}
	return img
}

func to8(v float64) uint8 { return uint8(min(max(v, 0), 255)) }

func encodeJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := stdjpeg.Encode(&file, img, &stdjpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func difference(a, b *RGB) (mean, worst float64) {
	for i := range a.Pix {
		d := math.Abs(float64(a.Pix[i]) - float64(b.Pix[i]))
		mean, worst = mean+d/float64(len(a.Pix)), max(worst, d)
	}
	return mean, worst
}

func TestScalingWhileDecodingChangesTheResultLittle(t *testing.T) {
	if !jpeg.Available {
		t.Skip("the standard library does not scale")
	}
	for i, c := range []struct{ w, h, to, scaledW int }{
		{2688, 2016, 336, 672}, // a margin of 2 to the pixel
		{1920, 1080, 448, 960},
		{1024, 1600, 224, 512},
	} {
		data := encodeJPEG(t, scene(c.w, c.h, uint64(i)))
		opt := Options{Target: Within(c.to)}
		tw, th := opt.Target(c.w, c.h)
		var results []*RGB
		for _, exact := range []bool{false, true} {
			opt.Exact = exact
			p, err := DecodePicture(context.Background(), data, opt)
			if err != nil {
				t.Fatal(err)
			}
			want := c.scaledW
			if exact {
				want = c.w
			}
			if p.W != want || p.H*c.w != p.W*c.h || p.OriginalW != c.w || p.OriginalH != c.h {
				t.Fatalf("%d x %d for %d, exact %v: decoded to %d x %d, originally %d x %d", c.w,
					c.h, c.to, exact, p.W, p.H, p.OriginalW, p.OriginalH)
			}
			m, err := Resize(p.RGB, tw, th, Bicubic)
			if err != nil {
				t.Fatal(err)
			}
			results = append(results, m)
		}
		mean, worst := difference(results[0], results[1])
		t.Logf("%d x %d to %d: mean difference %.3f, worst %g", c.w, c.h, c.to, mean, worst)
		if mean > 0.6 || worst > 20 {
			t.Errorf("%d x %d to %d: mean difference %.3f, worst %g", c.w, c.h, c.to, mean, worst)
		}
		if worst == 0 {
			t.Errorf("%d x %d to %d: nothing differs, as if nothing had been scaled", c.w, c.h,
				c.to)
		}
	}
}

func TestTargetsChooseTheScale(t *testing.T) {
	fixed := func(w, h int) func(int, int) (int, int) {
		return func(int, int) (int, int) { return w, h }
	}
	for _, c := range []struct {
		w, h   int
		target func(int, int) (int, int)
		want   int
	}{
		{4000, 3000, nil, 8},
		{4000, 3000, Within(336), 2},
		{4000, 3000, Covering(336), 2},
		{4032, 3024, Within(224), 1},
		{8000, 1000, Within(336), 1},
		{8000, 1000, Covering(336), 8},
		{4000, 3000, fixed(250, 187), 1},
		{4000, 3000, fixed(251, 187), 2},
		{4000, 3000, fixed(250, 188), 2},
		{4000, 2250, Within(336), 4}, // a quarter would have half a row
		{3001, 2000, Within(336), 8},
		{4000, 3000, fixed(0, 5), 8},
		{4000, 3000, fixed(-1, -1), 8},
		{100, 100, Within(336), 8},
	} {
		if got := (Options{Target: c.target}).eighths(c.w, c.h); got != c.want {
			t.Errorf("%d x %d: %d eighths, want %d", c.w, c.h, got, c.want)
		}
	}
	if got := (Options{Target: Within(1), Exact: true}).eighths(800, 800); got != 8 {
		t.Errorf("exact: %d eighths", got)
	}
}

func TestTheTargetSeesTheUprightSize(t *testing.T) {
	var w, h int
	target := func(tw, th int) (int, int) { w, h = tw, th; return 0, 0 }
	p, err := DecodePicture(context.Background(), readFile(t, "orientation-6.jpg"),
		Options{Target: target})
	if err != nil {
		t.Fatal(err)
	}
	if p.W != 23 || p.H != 37 || p.OriginalW != 23 || p.OriginalH != 37 {
		t.Errorf("%d x %d, originally %d x %d", p.W, p.H, p.OriginalW, p.OriginalH)
	}
	if jpeg.Available && (w != 23 || h != 37) {
		t.Errorf("the target was asked about %d x %d", w, h)
	}
	p, err = DecodePicture(context.Background(), readFile(t, "orientation-6.png"),
		Options{Target: target})
	if err != nil || p.W != 23 || p.OriginalW != 23 || p.OriginalH != 37 {
		t.Errorf("PNG: %+v, %v", p, err)
	}
}

func TestBothJPEGDecodersAgree(t *testing.T) {
	if !jpeg.Available {
		t.Skip("there is one decoder in this build")
	}
	f := format{name: "JPEG", decode: flattened(decodeJPEG)}
	for _, c := range []struct {
		file string
		mean float64
	}{{"444.jpg", 0.5}, {"grey.jpg", 0.5}, {"cmyk.jpg", 2.5}, {"photo.jpg", 5},
		{"progressive.jpg", 5}, {"422.jpg", 5}, {"440.jpg", 5}} {
		data := readFile(t, c.file)
		plain, err := f.safeDecode(data, Options{}.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		turbo, err := Decode(data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if mean, _ := difference(plain, turbo); plain.W != turbo.W || mean > c.mean {
			t.Errorf("%s: mean difference %.2f", c.file, mean)
		}
	}
}

// manyScans repeats the first scan of a progressive file.
func manyScans(t testing.TB, n int) []byte {
	t.Helper()
	file := readFile(t, "progressive.jpg")
	tables, scan := bytes.Index(file, []byte{0xff, 0xc4}), bytes.Index(file, []byte{0xff, 0xda})
	next := scan + bytes.Index(file[scan:], []byte{0xff, 0xc4})
	return slices.Concat(file[:next], bytes.Repeat(file[tables:next], n), file[next:])
}

func TestScansOfProgressiveFilesAreCounted(t *testing.T) {
	for _, c := range []struct {
		data []byte
		want int
	}{
		{readFile(t, "photo.jpg"), 1},
		{readFile(t, "progressive.jpg"), 10},
		{manyScans(t, 30), 40},
		{nil, 0},
		{[]byte{0xff}, 0},
		{[]byte{0xff, 0xda}, 1},
		{[]byte{0xff, 0xe0, 0xff, 0xff, 0xff, 0xda}, 0}, // inside a segment
	} {
		if got := countScans(c.data); got != c.want {
			t.Errorf("%.8x: counted %d scans, want %d", c.data, got, c.want)
		}
	}
	if _, err := Decode(manyScans(t, 30), Options{}); err != nil {
		t.Errorf("40 scans: %v", err)
	}
	if _, err := Decode(manyScans(t, 100), Options{}); !errors.Is(err, ErrTooLarge) ||
		!strings.Contains(err.Error(), "scans") {
		t.Errorf("110 scans: %v", err)
	}
	if _, err := decodeJPEG(bytes.NewReader(manyScans(t, 100))); err == nil {
		t.Error("the plain decoder takes 110 scans")
	}
}

func TestADoneContextStopsDecoding(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, name := range []string{"photo.jpg", "rgb.png"} {
		if _, err := DecodePicture(ctx, readFile(t, name), Options{}); !errors.Is(err,
			context.Canceled) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// photo12MP is a JPEG as a phone makes it: 12 megapixels, 4:2:0.
var photo12MP = sync.OnceValue(func() []byte {
	var file bytes.Buffer
	if err := stdjpeg.Encode(&file, scene(4000, 3000, 1), &stdjpeg.Options{Quality: 90}); err !=
		nil {
		panic(err)
	}
	return file.Bytes()
})

func BenchmarkDecodePhoto(b *testing.B) {
	data := photo12MP()
	for name, opt := range map[string]Options{"exact": {}, "for 336": {Target: Within(336)},
		"for 672": {Target: Within(672)}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := Decode(data, opt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("standard library", func(b *testing.B) {
		f := format{name: "JPEG", decode: flattened(decodeJPEG)}
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := f.safeDecode(data, Options{}.WithDefaults()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
