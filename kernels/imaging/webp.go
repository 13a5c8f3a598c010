package imaging

import (
	"encoding/binary"
	"image"
	"io"

	"golang.org/x/image/webp"
)

func isWebP(head []byte) bool {
	return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP"
}

// isAnimatedWebP looks at the animation flag of an extended WebP header
// (RFC 9649, section 2.7).
func isAnimatedWebP(data []byte) bool {
	return isWebP(data) && len(data) > 20 && string(data[12:16]) == "VP8X" && data[20]&0x02 != 0
}

// webpEXIF returns the EXIF block of a WebP file, nil if there is none. imagemeta
// finds it only when no chunk before it has an odd length, for want of the pad byte.
func webpEXIF(data []byte) []byte {
	chunk := data[min(12, len(data)):]
	for range maxChunks {
		if len(chunk) < 8 {
			return nil
		}
		size := int64(binary.LittleEndian.Uint32(chunk[4:]))
		if size > int64(len(chunk)-8) {
			return nil
		}
		if string(chunk[:4]) == "EXIF" {
			return chunk[8 : 8+size]
		}
		chunk = chunk[min(8+size+size%2, int64(len(chunk))):]
	}
	return nil
}

// decodeWebP is [webp.Decode] with the colours of lossy pictures put right. Lossy
// WebP stores luma in 16..235 and chroma in 16..240 (ITU-R BT.601; RFC 9649 calls
// for it), and the decoder hands these planes out as an [image.YCbCr], which in
// Go means JPEG's full range: white would come out as 235.
func decodeWebP(r io.Reader) (image.Image, error) {
	img, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	switch m := img.(type) {
	case *image.YCbCr:
		return fromStudioRange(m, nil), nil
	case *image.NYCbCrA:
		return fromStudioRange(&m.YCbCr, m), nil
	}
	return img, nil
}

// fromStudioRange converts planes of BT.601 studio range to RGB, in fixed point
// with 16 fractional bits. The alpha plane is optional.
//
//	R = 255/219 (Y-16)                         + 255/224·1.402 (Cr-128)
//	G = 255/219 (Y-16) - 255/224·0.344136 (Cb-128) - 255/224·0.714136 (Cr-128)
//	B = 255/219 (Y-16) + 255/224·1.772 (Cb-128)
func fromStudioRange(m *image.YCbCr, alpha *image.NYCbCrA) *image.NRGBA {
	const (
		one  = 1 << 16
		luma = 76309  // one * 255 / 219
		rCr  = 104597 // one * 255 / 224 * 1.402
		gCb  = 25675  // one * 255 / 224 * 0.344136
		gCr  = 53279  // one * 255 / 224 * 0.714136
		bCb  = 132201 // one * 255 / 224 * 1.772
	)
	clip := func(v int32) uint8 { return uint8(min(max((v+one/2)>>16, 0), 255)) }
	out := image.NewNRGBA(m.Rect)
	for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
		dst := out.Pix[(y-m.Rect.Min.Y)*out.Stride:]
		for x := m.Rect.Min.X; x < m.Rect.Max.X; x++ {
			c := m.COffset(x, y)
			l := luma * (int32(m.Y[m.YOffset(x, y)]) - 16)
			cb, cr := int32(m.Cb[c])-128, int32(m.Cr[c])-128
			p := dst[4*(x-m.Rect.Min.X):][:4]
			p[0], p[1], p[2], p[3] = clip(l+rCr*cr), clip(l-gCb*cb-gCr*cr), clip(l+bCb*cb), 255
			if alpha != nil {
				p[3] = alpha.A[alpha.AOffset(x, y)]
			}
		}
	}
	return out
}
