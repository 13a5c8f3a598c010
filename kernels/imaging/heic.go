package imaging

import (
	"context"
	"fmt"
	"image"
	"io"
	"runtime"

	"github.com/gen2brain/heic"
)

// minHEICWidth is the narrowest HEIC picture that the decoder gets right
// (gen2brain/heic v0.4.5). It copies planes whose rows libheif pads to at least 64
// samples as if they were padded to a multiple of 16; from 97 pixels on, the two
// agree for subsampled chroma too.
const minHEICWidth = 97

var errNarrowHEIC = fmt.Errorf("a picture less than %d pixels wide, which its decoder cannot do",
	minHEICWidth)

// isHEIC looks at the major brand of the ISO base media file (ISO/IEC 23008-12,
// annex B: HEVC-coded images and image sequences; mif1 and msf1 are the
// structural brands that phones and libheif also write).
func isHEIC(head []byte) bool {
	switch isoBrand(head) {
	case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1":
		return true
	}
	return false
}

// isoBrand returns the major brand of an ISO base media file, "" for other files.
func isoBrand(head []byte) string {
	if len(head) < 12 || string(head[4:8]) != "ftyp" {
		return ""
	}
	return string(head[8:12])
}

// isHEIC tells the format whose decoder, in WebAssembly, nothing stops: its files pass
// [checkHEIC] first, and a context that ends leaves it to itself.
func (f *format) isHEIC() bool { return f.name == "HEIC" }

// heicSize reads the size that the primary picture's ispe property states: before
// any crop or turn.
func heicSize(data []byte) (w, h int, err error) {
	file, err := readHEIC(data)
	if err != nil {
		return 0, 0, err
	}
	primary := file.items[file.primary]
	if primary == nil {
		return 0, 0, fmt.Errorf("%w: no item %d", errBoxes, file.primary)
	}
	return file.statedSize(primary)
}

// unstopped holds a place for each decoder at work that cannot be stopped, so that
// requests that were given up do not pile up behind it.
var unstopped = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))

// decodeUntil is safeDecode for a decoder that cannot be stopped: once ctx is done it
// returns the context's error, and leaves the decoder to end by itself.
func (f *format) decodeUntil(ctx context.Context, data []byte, opt Options) (*RGB, error) {
	select {
	case unstopped <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type result struct {
		m   *RGB
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-unstopped }()
		m, err := f.safeDecode(data, opt)
		done <- result{m, err}
	}()
	select {
	case r := <-done:
		return r.m, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// decodeHEIC is [heic.Decode] with a fault of v0.4.5 mended: the picture lives in
// the WebAssembly machine's memory, and freeing it there, before it is returned,
// overwrites its first 24 bytes. The row below stands in for them.
func decodeHEIC(r io.Reader) (image.Image, error) {
	img, err := heic.Decode(r)
	switch {
	case err != nil:
		return nil, err
	case img.Bounds().Dx() < minHEICWidth: // cropped by the file's clap property
		return nil, errNarrowHEIC
	case heic.Dynamic() == nil: // the system's libheif, which lacks this fault
		return img, nil
	}
	var first []byte
	var stride int
	switch m := img.(type) {
	case *image.YCbCr:
		first, stride = m.Y, m.YStride
	case *image.Gray:
		first, stride = m.Pix, m.Stride
	case *image.NRGBA:
		first, stride = m.Pix, m.Stride
	case *image.RGBA:
		first, stride = m.Pix, m.Stride
	}
	if len(first) >= stride+24 {
		copy(first[:24], first[stride:])
	}
	return img, nil
}
