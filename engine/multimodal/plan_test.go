package multimodal

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// A picture that is not of the size that its header states would be laid out for the wrong prompt.
func TestAPictureOfAnotherSizeThanItsHeaderIsDamaged(t *testing.T) {
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewRGBA(image.Rect(0, 0, 64, 48))); err != nil {
		t.Fatal(err)
	}
	_, err := decode(t.Context(), nil, &Image{Data: file.Bytes()}, imaging.Header{W: 48, H: 64},
		&vision.Plan{W: 48, H: 64}, imaging.Options{}, &Spent{})
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
