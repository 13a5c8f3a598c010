package tiff

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"math/bits"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/image/tiff/lzw"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/ccitt"
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
)

// Values of the tag Compression.
const (
	uncompressed    = 1
	faxRuns         = 2
	group3          = 3
	group4          = 4
	lzwCompression  = 5
	jpegCompression = 7
	deflate         = 8
	packBits        = 32773
	oldDeflate      = 32946
	zstdCompression = 50000
)

var knownCompressions = map[int]bool{
	uncompressed: true, faxRuns: true, group3: true, group4: true, lzwCompression: true,
	jpegCompression: true, deflate: true, packBits: true, oldDeflate: true, zstdCompression: true,
}

var refusedCompressions = map[int]string{
	6: "old-style JPEG", 9: "JBIG", 10: "JBIG", 32766: "NeXT", 32771: "word-aligned fax",
	32809: "ThunderScan",
	32908: "PixarFilm", 32909: "PixarLog", 33003: "JPEG 2000", 33005: "JPEG 2000", 34661: "JBIG",
	34676: "SGI LogLuv",
	34677: "SGI LogLuv", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG of DNG",
	34925: "LZMA",
	50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}

func isFax(compression int) bool {
	return compression == faxRuns || compression == group3 || compression == group4
}

// predicts reports whether the compression goes with a predictor.
func (p *picture) predicts() bool {
	switch p.compression {
	case lzwCompression, deflate, oldDeflate, zstdCompression:
		return true
	}
	return false
}

// cellData returns the coded bytes of a strip or tile.
func (p *picture) cellData(cell int) ([]byte, error) {
	offsets, counts := uint16(tagStripOffsets), uint16(tagStripByteCounts)
	if p.tiled {
		offsets, counts = tagTileOffsets, tagTileByteCounts
	}
	at, ok := p.at(offsets, cell)
	if !ok || at > uint64(len(p.data)) {
		return nil, io.ErrUnexpectedEOF
	}
	data := p.data[at:]
	// What is not compressed has the length that its rows need, whatever the count says.
	if n, ok := p.at(counts, cell); ok && n > 0 && p.compression != uncompressed {
		if n > uint64(len(data)) {
			return nil, io.ErrUnexpectedEOF
		}
		data = data[:n]
	}
	if len(data) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return data, nil
}

// A rowReader yields the rows of a strip or tile: dst is one of them.
type rowReader func(dst []byte) error

// rows returns a reader of the rows of a strip or tile whose rows have so many pixels.
func (p *picture) rows(data []byte, width int) (rowReader, error) {
	if p.Int(tagFillOrder, 1) == 2 && p.compression != jpegCompression {
		if p.compression == uncompressed {
			return reversed(plain(bytes.NewReader(data))), nil
		}
		data = bytes.Clone(data)
		reverse(data)
	}
	switch p.compression {
	case uncompressed:
		return plain(bytes.NewReader(data)), nil
	case faxRuns:
		return ccitt.NewDecoder(data, ccitt.ModifiedHuffman, width).Next, nil
	case group3:
		scheme := ccitt.Group3
		if p.Int(tagT4Options, 0)&1 != 0 {
			scheme = ccitt.Group3TwoD
		}
		return ccitt.NewDecoder(data, scheme, width).Next, nil
	case group4:
		return ccitt.NewDecoder(data, ccitt.Group4, width).Next, nil
	case lzwCompression:
		if len(data) > 1 && data[0] == 0 && data[1]&1 != 0 {
			return nil, raster.Unsupported("LZW compression of before TIFF 5.0 is not supported")
		}
		return plain(lzw.NewReader(bytes.NewReader(data), lzw.MSB, 8)), nil
	case deflate, oldDeflate:
		r, err := zlib.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return plain(r), nil
	case packBits:
		return plain(&packBitsReader{in: bufio.NewReader(bytes.NewReader(data))}), nil
	case zstdCompression:
		r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, err
		}
		return plain(r), nil
	}
	return nil, raster.Unsupported("compression %d is not supported", p.compression)
}

func plain(r io.Reader) rowReader {
	return func(dst []byte) error {
		_, err := io.ReadFull(r, dst)
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
}

func reversed(next rowReader) rowReader {
	return func(dst []byte) error {
		err := next(dst)
		reverse(dst)
		return err
	}
}

// reverse turns the bits of each byte around.
func reverse(data []byte) {
	for i, b := range data {
		data[i] = bits.Reverse8(b)
	}
}

// packBitsReader decodes TIFF 6.0's section 9: a byte n below 128 precedes n+1 bytes as
// they are, one above 128 a byte to be repeated 257-n times, and 128 nothing.
type packBitsReader struct {
	in     *bufio.Reader
	left   int
	repeat bool
	value  byte
}

func (r *packBitsReader) Read(dst []byte) (int, error) {
	for r.left == 0 {
		n, err := r.in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch {
		case n < 128:
			r.left, r.repeat = int(n)+1, false
		case n > 128:
			r.left, r.repeat = 257-int(n), true
			if r.value, err = r.in.ReadByte(); err != nil {
				return 0, err
			}
		}
	}
	n := min(len(dst), r.left)
	if r.repeat {
		for i := range dst[:n] {
			dst[i] = r.value
		}
		r.left -= n
		return n, nil
	}
	n, err := r.in.Read(dst[:n])
	r.left -= n
	return n, err
}
