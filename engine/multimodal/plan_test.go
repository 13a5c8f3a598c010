package multimodal

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// pngOf writes a black picture as a PNG file.
func pngOf(t *testing.T, w, h int) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewRGBA(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// A picture that is not of the size that its header states would be laid out for the wrong prompt.
func TestAPictureOfAnotherSizeThanItsHeaderIsDamaged(t *testing.T) {
	_, err := decode(t.Context(), nil, &Image{Data: pngOf(t, 64, 48)},
		imaging.Header{W: 48, H: 64}, &vision.Plan{W: 48, H: 64}, imaging.Options{}, &Spent{})
	if !errors.Is(err, fault.ErrImage) || !strings.Contains(err.Error(), "64 x 48") {
		t.Errorf("%v", err)
	}
}

func TestErrorsSayTheirKindOnce(t *testing.T) {
	for _, kind := range []error{fault.ErrImage, fault.ErrSound} {
		err := bad(kind, "x.png", bad(kind, "y.png", errors.New("it is torn")))
		if !errors.Is(err, kind) || strings.Count(err.Error(), kind.Error()) != 1 ||
			!strings.HasSuffix(err.Error(), "x.png: y.png: it is torn") {
			t.Errorf("%v", err)
		}
	}
}

func TestPixelsSayWhatIsWrong(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	file := pngOf(t, 64, 48)
	if _, err := Pixels(ended, &Image{Data: file}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := Pixels(t.Context(), &Image{Name: "x.png"}); !errors.Is(err, fault.ErrImage) {
		t.Error(err)
	}
	if img, err := Pixels(t.Context(), &Image{Data: file}); err != nil || img.W != 64 ||
		img.H != 48 {
		t.Error(img, err)
	}
}
