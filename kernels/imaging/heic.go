package imaging

import (
	"bytes"
	"fmt"
	"image"
	"io"
	"strings"

	"github.com/bep/imagemeta"
	"github.com/gen2brain/heic"
)

// minHEICWidth is the narrowest HEIC picture that the decoder gets right
// (gen2brain/heic v0.4.5). It copies planes whose rows libheif pads to at least 64
// samples as if they were padded to a multiple of 16; from 97 pixels on, the two
// agree for subsampled chroma too.
const minHEICWidth = 97

var errNarrowHEIC = fmt.Errorf("a picture less than %d pixels wide, which its decoder cannot do", minHEICWidth)

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

// isAVIF tells the sibling format that this package does not decode.
func isAVIF(head []byte) bool { return strings.HasPrefix(isoBrand(head), "avi") }

// isoBrand returns the major brand of an ISO base media file, "" for other files.
func isoBrand(head []byte) string {
	if len(head) < 12 || string(head[4:8]) != "ftyp" {
		return ""
	}
	return string(head[8:12])
}

// heicSize reads the size from the file's ispe property with imagemeta: the
// decoder's own way to it starts a WebAssembly machine.
func heicSize(data []byte) (w, h int, err error) {
	res, err := imagemeta.Decode(imagemeta.Options{
		R: bytes.NewReader(data), ImageFormat: imagemeta.HEIF, Sources: imagemeta.CONFIG,
	})
	w, h = res.ImageConfig.Width, res.ImageConfig.Height
	switch {
	case err != nil:
		return 0, 0, err
	case w == 0 && h == 0:
		return 0, 0, fmt.Errorf("the header states no size")
	case w < minHEICWidth:
		return 0, 0, errNarrowHEIC
	}
	return w, h, nil
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
