// Package bmp decodes Windows and OS/2 bitmaps of every header: palettes of 1, 2, 4 and 8
// bits, run lengths, 16, 24 and 32 bits with bit fields, rows from either end. What it does
// not decode it refuses by name.
//
// Its pixels are those of Pillow, but for files that Pillow misreads: run lengths of an odd
// number of 4-bit pixels. An alpha that is zero throughout is none, as for Windows: writers
// often leave it so.
package bmp

import (
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
)

// Sizes of the headers behind the 14 bytes that begin a file.
const (
	fileHeader = 14
	coreHeader = 12 // OS/2 1.x, whose sides and palette are smaller
	os2Header  = 64 // OS/2 2.x, which may end early
	infoHeader = 40
	v2Header   = 52 // with masks of three colours
	v3Header   = 56 // and of alpha
	maxHeader  = 1024
)

// Values of the field that tells the compression.
const (
	plainPixels   = 0
	runLengths8   = 1
	runLengths4   = 2
	bitFields     = 3
	jpegInside    = 4
	pngInside     = 5
	alphaBitField = 6
)

// header is what a file says of its pixels.
type header struct {
	w, h        int
	topDown     bool
	bits        int
	compression int
	masks       [4]uint32 // red, green, blue, alpha
	palette     []byte    // entries of entrySize bytes: blue, green, red
	entrySize   int
	pixels      []byte
}

// Size returns the sides of the picture.
func Size(data []byte) (w, h int, err error) {
	head, err := readSizes(data)
	return head.w, head.h, err
}

// readSizes reads the fields that every header has.
func readSizes(data []byte) (head header, err error) {
	if len(data) < fileHeader+coreHeader {
		return head, io.ErrUnexpectedEOF
	}
	size := binary.LittleEndian.Uint32(data[fileHeader:])
	if size < coreHeader || size > maxHeader || size > coreHeader && size < 16 {
		return head, raster.Unsupported("a header of %d bytes is not supported", size)
	}
	info := data[fileHeader:]
	if len(info) < int(size) {
		return head, io.ErrUnexpectedEOF
	}
	info = info[:size]
	if size == coreHeader {
		head.w, head.h = int(binary.LittleEndian.Uint16(info[4:])),
			int(binary.LittleEndian.Uint16(info[6:]))
		head.bits = int(binary.LittleEndian.Uint16(info[10:]))
		return head, nil
	}
	w, h := int32(binary.LittleEndian.Uint32(info[4:])), int32(binary.LittleEndian.Uint32(info[8:]))
	if h < 0 {
		head.topDown, h = true, -h
	}
	if w < 0 || h < 0 {
		return head, raster.Corrupt("a picture of %d x %d pixels", w, h)
	}
	head.w, head.h, head.bits = int(w), int(h), int(binary.LittleEndian.Uint16(info[14:]))
	return head, nil
}

// readHeader reads what stands before the pixels.
func readHeader(data []byte) (head header, err error) {
	if head, err = readSizes(data); err != nil {
		return head, err
	}
	size := int(binary.LittleEndian.Uint32(data[fileHeader:]))
	info := data[fileHeader : fileHeader+size]
	field := func(at int) uint32 { // 0 where the header ends before it
		if at+4 > len(info) {
			return 0
		}
		return binary.LittleEndian.Uint32(info[at:])
	}
	head.entrySize = 4
	colours := 0
	if size == coreHeader {
		head.entrySize = 3
	} else {
		head.compression = int(field(16))
		colours = int(min(field(32), 256))
	}
	if head.compression == bitFields && size == os2Header {
		return head, raster.Unsupported("Huffman coding is not supported")
	}
	if head.compression == jpegInside && head.bits == 24 && size == os2Header {
		return head, raster.Unsupported("run lengths of 24 bits are not supported")
	}
	behind, err := head.readMasks(data, info)
	if err != nil {
		return head, err
	}
	if err := head.check(); err != nil {
		return head, err
	}
	start := int64(binary.LittleEndian.Uint32(data[10:]))
	if head.bits <= 8 {
		if colours == 0 {
			colours = 1 << head.bits
		}
		end := behind + colours*head.entrySize
		if start == int64(fileHeader+size) {
			start = int64(end) // of writers that forgot the palette
		}
		if start > int64(behind) {
			end = int(min(int64(end), start))
		}
		if end > len(data) {
			return head, io.ErrUnexpectedEOF
		}
		head.palette = data[behind:end]
		behind = end
	}
	if start == 0 {
		start = int64(behind)
	}
	if start >= int64(len(data)) {
		return head, io.ErrUnexpectedEOF
	}
	head.pixels = data[start:]
	return head, nil
}

// readMasks reads the bits of each colour in a pixel, where the compression has them, and returns
// where the header ends, theirs included.
func (head *header) readMasks(data, info []byte) (end int, err error) {
	end = fileHeader + len(info)
	switch {
	case head.compression != bitFields && head.compression != alphaBitField:
	case len(info) >= v2Header:
		for i := range 3 {
			head.masks[i] = binary.LittleEndian.Uint32(info[40+4*i:])
		}
		if len(info) >= v3Header {
			head.masks[3] = binary.LittleEndian.Uint32(info[52:])
		}
	default: // the masks follow the header
		n := 3
		if head.compression == alphaBitField {
			n = 4
		}
		if len(data) < end+4*n {
			return end, io.ErrUnexpectedEOF
		}
		for i := range n {
			head.masks[i] = binary.LittleEndian.Uint32(data[end+4*i:])
		}
		end += 4 * n
	}
	return end, nil
}

// check refuses what is not decoded.
func (head *header) check() error {
	switch head.compression {
	case plainPixels, bitFields, alphaBitField:
	case runLengths8, runLengths4:
		if want := 8 / head.compression; head.bits != want {
			return raster.Corrupt("run lengths of %d bits in a picture of %d", want, head.bits)
		}
		return nil
	case jpegInside:
		return raster.Unsupported("a JPEG file inside is not supported")
	case pngInside:
		return raster.Unsupported("a PNG file inside is not supported")
	default:
		return raster.Unsupported("compression %d is not supported", head.compression)
	}
	switch head.bits {
	case 1, 2, 4, 8:
		if head.compression != plainPixels {
			return raster.Corrupt("bit fields in a picture with a palette")
		}
	case 16, 24, 32:
		head.setMasks()
	default:
		return raster.Unsupported("pixels of %d bits are not supported", head.bits)
	}
	return nil
}

// setMasks gives pixels without bit fields their usual ones.
func (head *header) setMasks() {
	alpha := head.masks[3]
	switch {
	case head.masks[0]|head.masks[1]|head.masks[2] != 0:
	case head.bits == 16:
		head.masks = [4]uint32{0x7c00, 0x03e0, 0x001f, alpha}
	default:
		head.masks = [4]uint32{0xff0000, 0xff00, 0xff, alpha}
		if head.compression != plainPixels && head.bits == 32 { // Pillow's reading of masks of zero
			head.masks[3] = 0xff000000
		}
	}
}

// Decode returns the picture. The caller holds its size against its limits first.
func Decode(data []byte) (*raster.Image, error) {
	head, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	if head.w == 0 || head.h == 0 {
		return nil, raster.Corrupt("a picture of %d x %d pixels", head.w, head.h)
	}
	switch {
	case head.compression == runLengths8 || head.compression == runLengths4:
		return head.decodeRuns()
	case head.bits <= 8:
		return head.decodeIndices()
	}
	return head.decodeFields()
}

// place returns the row of the picture that the n-th one in the file is.
func (head *header) place(n int) int {
	if head.topDown {
		return n
	}
	return head.h - 1 - n
}

// rows calls each with the bytes of every row and its place.
func (head *header) rows(each func(row []byte, y int)) error {
	used := (head.w*head.bits + 7) / 8
	stride := (used + 3) &^ 3
	for n := range head.h {
		if len(head.pixels) < n*stride+used { // the padding of the last row may be missing
			return io.ErrUnexpectedEOF
		}
		each(head.pixels[n*stride:][:used], head.place(n))
	}
	return nil
}

// table returns the colours of all indices, red, green, blue; those beyond the palette are black.
func (head *header) table() (table [256][3]byte) {
	for i := range min(256, len(head.palette)/head.entrySize) {
		p := head.palette[i*head.entrySize:]
		table[i] = [3]byte{p[2], p[1], p[0]}
	}
	return table
}

func (head *header) decodeIndices() (*raster.Image, error) {
	m, table := raster.New(head.w, head.h, 3), head.table()
	mask := byte(1<<head.bits - 1)
	err := head.rows(func(row []byte, y int) {
		dst := m.Pix[3*y*head.w:]
		for x := range head.w {
			at := x * head.bits
			index := row[at>>3] >> (8 - head.bits - at&7) & mask
			copy(dst[3*x:3*x+3], table[index][:])
		}
	})
	return m, err
}

// decodeFields decodes pixels of 16, 24 or 32 bits. A field of n bits is stretched to 255
// as Pillow does it: v*255/(2^n-1), rounded down.
func (head *header) decodeFields() (*raster.Image, error) {
	channels := 3
	if head.masks[3] != 0 {
		channels = 4
	}
	m := raster.New(head.w, head.h, channels)
	var shift [4]int
	var most [4]uint64
	for c, mask := range head.masks {
		if mask == 0 {
			continue
		}
		shift[c] = bits.TrailingZeros32(mask)
		most[c] = uint64(mask >> shift[c])
	}
	size := head.bits / 8
	err := head.rows(func(row []byte, y int) {
		dst := m.Pix[channels*y*head.w:]
		for x := range head.w {
			var pixel uint32
			for i := range size {
				pixel |= uint32(row[x*size+i]) << (8 * i)
			}
			for c := range channels {
				if most[c] != 0 {
					dst[x*channels+c] = byte(uint64(pixel&head.masks[c]>>shift[c]) * 255 / most[c])
				}
			}
		}
	})
	if err == nil && channels == 4 && m.InvisibleEverywhere() {
		m.DropAlpha()
	}
	return m, err
}
