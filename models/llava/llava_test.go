package llava

import (
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// clipMean is CLIP's normalisation mean, which LLaVA pads with.
var clipMean = [3]float32{0.48145466, 0.4578275, 0.40821073}

func TestTheBackgroundIsTheOriginalLLaVAs(t *testing.T) {
	l, err := New(336, 14, clipMean)
	if err != nil {
		t.Fatal(err)
	}
	// tuple(int(x*255) for x in processor.image_mean) of llava/mm_utils.py.
	if l.Background != [3]uint8{122, 116, 104} {
		t.Errorf("background %v", l.Background)
	}
	if l.TileTokens() != 576 || l.Tokens(4000, 3000) != 576 {
		t.Errorf("%d tokens a tile, %d a photo, want 576", l.TileTokens(), l.Tokens(4000, 3000))
	}
}

func TestAPictureOfTheTowersSizeIsLeftAsItIs(t *testing.T) {
	l, err := New(112, 14, clipMean)
	if err != nil {
		t.Fatal(err)
	}
	img := imaging.NewRGB(112, 112)
	tiles, err := l.Tiles(img)
	if err != nil {
		t.Fatal(err)
	}
	if len(tiles) != 1 || tiles[0] != img {
		t.Error("the picture was copied or changed")
	}
}

func TestALongPictureIsPaddedNotCropped(t *testing.T) {
	l, err := New(8, 2, clipMean)
	if err != nil {
		t.Fatal(err)
	}
	img := imaging.NewRGB(64, 16) // black: rows 3 and 4 of the tile, the rest is background
	tiles, err := l.Tiles(img)
	if err != nil {
		t.Fatal(err)
	}
	tile := tiles[0]
	if len(tiles) != 1 || tile.W != 8 || tile.H != 8 {
		t.Fatalf("%d tiles, the first of %d x %d", len(tiles), tile.W, tile.H)
	}
	for _, x := range []int{0, 7} {
		if top := [3]uint8(tile.Pix[3*x:]); top != l.Background {
			t.Errorf("pixel (%d, 0) is %v", x, top)
		}
		if middle := tile.Pix[3*(3*8+x)]; middle > 20 {
			t.Errorf("pixel (%d, 3) is %d", x, middle)
		}
	}
}

func TestImpossibleLayoutsAreRefused(t *testing.T) {
	for _, c := range [][2]int{{0, 14}, {112, 0}, {112, 113}, {-14, 14}} {
		if _, err := New(c[0], c[1], clipMean); err == nil {
			t.Errorf("New(%d, %d) succeeds", c[0], c[1])
		}
	}
	if _, err := (Layout{Size: 8, Patch: 2}).Tiles(&imaging.RGB{W: 3, H: 3}); err == nil {
		t.Error("Tiles takes a misshapen picture")
	}
}
