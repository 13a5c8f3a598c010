package mtmd

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unsafe"
)

// What a bitmap may be. Beyond, arithmetic of the library overflows or its preprocessors fail their
// assertions.
const (
	maxSide        = 1 << 16
	maxPixels      = 1 << 28
	maxAspectRatio = 300 // more than any family's processor makes: Gemma 4 goes up to 280
	minSamples     = 400 // one window of the shortest audio analysis: 25 ms at 16 kHz
	maxSamples     = 1 << 28
)

// A Bitmap is a picture or a sound in memory. It refers to the caller's data, which must not change
// while [Context.Tokenize] runs and is copied there.
type Bitmap struct {
	id            string
	width, height int
	rgb           []byte
	samples       []float32
}

// Image makes a Bitmap of a picture: len(rgb) = 3·width·height bytes R, G, B row by row from the
// top. id is given back by the picture's chunks, and may be empty. A side has at most 65536 pixels,
// the picture 2^28; no side is over 300 times the other.
func Image(id string, width, height int, rgb []byte) (Bitmap, error) {
	b, err := Blank(width, height)
	switch {
	case err != nil:
		return Bitmap{}, err
	case strings.Contains(id, "\x00"):
		return Bitmap{}, errors.New("mtmd: the id of a picture contains a NUL")
	case len(rgb) != 3*width*height:
		return Bitmap{}, fmt.Errorf("mtmd: a picture of %d×%d pixels has %d bytes, not %d", width,
			height, 3*width*height, len(rgb))
	}
	b.id, b.rgb = id, rgb
	return b, nil
}

// Blank makes a Bitmap of a picture without pixels, within the bounds of Image: its chunks tell how
// many tokens a picture of that size becomes and where they stand, and cannot be encoded.
func Blank(width, height int) (Bitmap, error) {
	switch {
	case width <= 0 || height <= 0:
		return Bitmap{}, fmt.Errorf("mtmd: a picture of %d×%d pixels", width, height)
	case width > maxSide || height > maxSide || width > maxPixels/height:
		return Bitmap{}, fmt.Errorf("mtmd: a picture of %d×%d pixels is too large", width, height)
	case max(width, height) > maxAspectRatio*min(width, height):
		return Bitmap{}, fmt.Errorf(
			"mtmd: one side of a picture of %d×%d pixels is over %d times the other", width, height,
			maxAspectRatio)
	}
	return Bitmap{width: width, height: height}, nil
}

// Audio makes a Bitmap of a sound: one channel at the rate of [Capabilities], usually between -1
// and 1. It has between 400 and 2^28 samples, all finite. id is given back by the sound's chunks,
// and may be empty.
func Audio(id string, samples []float32) (Bitmap, error) {
	switch {
	case strings.Contains(id, "\x00"):
		return Bitmap{}, errors.New("mtmd: the id of a sound contains a NUL")
	case len(samples) < minSamples:
		return Bitmap{}, fmt.Errorf("mtmd: a sound of %d samples is shorter than %d", len(samples),
			minSamples)
	case len(samples) > maxSamples:
		return Bitmap{}, fmt.Errorf("mtmd: a sound of %d samples is longer than %d", len(samples),
			maxSamples)
	}
	for i, s := range samples {
		if !(math.Abs(float64(s)) <= math.MaxFloat32) {
			return Bitmap{}, fmt.Errorf("mtmd: sample %d is %v", i, s)
		}
	}
	return Bitmap{id: id, samples: samples}, nil
}

// IsAudio tells a sound from a picture.
func (b Bitmap) IsAudio() bool { return b.samples != nil }

// fits checks that the projector takes the bitmap.
func (b Bitmap) fits(caps Capabilities) error {
	switch {
	case b.width == 0 && b.samples == nil:
		return errors.New("mtmd: a zero Bitmap; make it with Image or Audio")
	case b.IsAudio() && !caps.Audio:
		return fmt.Errorf("a sound: %w", ErrUnsupported)
	case !b.IsAudio() && !caps.Vision:
		return fmt.Errorf("a picture: %w", ErrUnsupported)
	}
	return nil
}

// toC copies the bitmap into the library's memory.
func (b Bitmap) toC() (*C.mtmd_bitmap, error) {
	id := C.CString(b.id)
	defer C.free(unsafe.Pointer(id))
	var out *C.mtmd_bitmap
	var eb errBuf
	var ok C.bool
	if b.IsAudio() {
		ok = C.shim_mtmd_audio(C.size_t(len(b.samples)), (*C.float)(&b.samples[0]), id, &out,
			eb.ptr(), eb.cap())
	} else {
		ok = C.shim_mtmd_image(C.uint32_t(b.width), C.uint32_t(b.height),
			(*C.uchar)(unsafe.SliceData(b.rgb)), id, &out, eb.ptr(), eb.cap())
	}
	if !ok {
		return nil, fmt.Errorf("mtmd: bitmap: %s", eb.String())
	}
	return out, nil
}
