package llava

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

func TestLongPicturesTakeLittleMemoryOrAreRefused(t *testing.T) {
	layouts := map[string]Layout{"anyres": anyRes(t, 336, 14, "spatial_unpad")}
	for name, aspect := range map[string]Aspect{"pad": Pad, "crop": Crop} {
		l, err := New(336, 14, clipMean)
		if err != nil {
			t.Fatal(err)
		}
		l.Aspect = aspect
		layouts[name] = l
	}
	for _, c := range []struct {
		layout  string
		w, h    int
		refused bool
	}{
		{"pad", 30000, 20, false},
		{"pad", 20, 30000, false},
		{"pad", 1, 1 << 20, false},
		{"pad", 1<<20 + 1, 1, true},
		{"pad", 1, 1<<20 + 1, true},
		{"crop", 10000, 50, false},
		{"crop", 10000, 1, true},
		{"crop", 1, 10000, true},
		{"crop", 1, 1<<20 + 1, true},
		{"anyres", 1 << 20, 1, false},
		{"anyres", 1, 1 << 20, false},
		{"anyres", 1, 1<<20 + 1, true},
	} {
		img := imaging.NewRGB(c.w, c.h)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := layouts[c.layout].Tiles(img)
		runtime.ReadMemStats(&after)
		if c.refused != errors.Is(err, imaging.ErrTooLarge) || !c.refused && err != nil {
			t.Errorf("%s, %d x %d: %v", c.layout, c.w, c.h, err)
		}
		limit := uint64(3*maxPixels) / 2
		if c.refused {
			limit = 1 << 20
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > limit {
			t.Errorf("%s, %d x %d: %d bytes", c.layout, c.w, c.h, n)
		}
	}
}

func TestTilesStopWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	img := noise(500, 400, 1)
	l := anyRes(t, 336, 14, "spatial_unpad")
	for _, l.Aspect = range []Aspect{Pad, Crop, AnyRes} {
		if _, err := l.TilesContext(ctx, img); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: error %v", l.Aspect, err)
		}
	}
}

func benchmarkTiles(b *testing.B, l Layout, w, h int) {
	img := noise(w, h, 1)
	for b.Loop() {
		if _, err := l.Tiles(img); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPadPhoto(b *testing.B) {
	benchmarkTiles(b, Layout{Size: 336, Patch: 14}, 4000, 3000)
}

func BenchmarkAnyResPhoto(b *testing.B) {
	benchmarkTiles(b, anyRes(b, 336, 14, "spatial_unpad"), 4000, 3000)
}
