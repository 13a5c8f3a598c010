package imaging

import (
	"bytes"
	"context"
	"fmt"
	"image"
	stdjpeg "image/jpeg"
	"io"

	"github.com/eyelet-engine/eyelet/cgo/jpeg"
)

// jpegFormat decodes with libjpeg-turbo where it is linked, and else with the
// standard library, whose files are to pass the same limit of scans.
func jpegFormat() format {
	f := format{
		name: "JPEG", match: prefix("\xff\xd8\xff"), size: configSize(stdjpeg.DecodeConfig),
		decode: flattened(decodeJPEG), metadata: jpegMetadata,
	}
	if jpeg.Available {
		f.size = turboSize
		f.direct = decodeTurbo
	}
	return f
}

func turboSize(data []byte) (w, h int, err error) {
	head, err := jpeg.ReadHeader(data)
	return head.Width, head.Height, err
}

func decodeTurbo(ctx context.Context, data []byte, eighths int) (*RGB, error) {
	// The caller has checked the pixels.
	pix, w, h, err := jpeg.Decode(ctx, data, jpeg.Options{Eighths: eighths, MaxPixels: maxSide *
		maxSide})
	if err != nil {
		return nil, err
	}
	return &RGB{W: w, H: h, Pix: pix}, nil
}

// maxSide is the largest side that the format can state.
const maxSide = 1<<16 - 1

// decodeJPEG is the standard library's, for files of no more scans than
// libjpeg-turbo is allowed.
func decodeJPEG(r io.Reader) (image.Image, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if n := countScans(data); n > jpeg.DefaultMaxScans {
		return nil, fmt.Errorf("%w: %d scans; the limit is %d", jpeg.ErrTooLarge, n,
			jpeg.DefaultMaxScans)
	}
	return stdjpeg.Decode(bytes.NewReader(data))
}

// countScans counts the SOS markers (ITU-T T.81, annex B): segments have lengths and
// are skipped whole, and in the data after an SOS segment a byte of 0xff begins a
// marker unless 0x00 or a restart marker follows.
func countScans(data []byte) (scans int) {
	const (
		restart0, restart7 = 0xd0, 0xd7
		startOfImage       = 0xd8
		endOfImage         = 0xd9
		startOfScan        = 0xda
	)
	for {
		i := bytes.IndexByte(data, 0xff)
		if i < 0 || i+2 > len(data) {
			return scans
		}
		marker := data[i+1]
		switch {
		case marker == 0xff: // fill byte
			data = data[i+1:]
			continue
		case marker <= 0x01 || marker >= restart0 && marker <= startOfImage:
			data = data[i+2:]
			continue
		case marker == endOfImage:
			return scans
		case marker == startOfScan:
			scans++
		}
		data = data[i+2:]
		if len(data) < 2 {
			return scans
		}
		data = data[min(max(2, int(data[0])<<8|int(data[1])), len(data)):]
	}
}
