package tiff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The types of a tag's values that are whole numbers (TIFF 6.0, section 2; BigTIFF adds
// the last two).
const (
	typeByte  = 1
	typeShort = 3
	typeLong  = 4
	typeUndef = 7
	typeIFD   = 13
	typeLong8 = 16
	typeIFD8  = 18
)

var errNoTIFF = errors.New("no TIFF header")

// Directory is a directory of a file, which describes one page: tags and where their values lie.
type Directory struct {
	data  []byte
	order binary.ByteOrder
	tags  map[uint16]entry
	next  uint64 // where the next directory lies, 0 if it is the last
}

type entry struct {
	kind   uint16
	count  uint64
	values []byte
}

// maxTags bounds the tags of a directory that are looked at.
const maxTags = 4096

// header is how a file is written: the order of its bytes and the sizes of BigTIFF or of TIFF.
type header struct {
	order                           binary.ByteOrder
	countSize, entrySize, fieldSize uint64 // of a directory's count and entries, and of offsets
	first                           uint64 // where the first directory lies
}

// readHeader reads the first bytes of a TIFF or BigTIFF file.
func readHeader(data []byte) (h header, err error) {
	if len(data) < 8 {
		return h, errNoTIFF
	}
	switch string(data[:2]) {
	case "II":
		h.order = binary.LittleEndian
	case "MM":
		h.order = binary.BigEndian
	default:
		return h, errNoTIFF
	}
	switch h.order.Uint16(data[2:]) {
	case 42:
		h.countSize, h.entrySize, h.fieldSize = 2, 12, 4
		h.first = uint64(h.order.Uint32(data[4:]))
	case 43: // BigTIFF: offsets of 8 bytes
		if len(data) < 16 || h.order.Uint16(data[4:]) != 8 {
			return h, errNoTIFF
		}
		h.countSize, h.entrySize, h.fieldSize = 8, 20, 8
		h.first = h.order.Uint64(data[8:])
	default:
		return h, errNoTIFF
	}
	return h, nil
}

// number reads a number of so many bytes, 2, 4 or 8.
func (h header) number(b []byte, size uint64) uint64 {
	switch size {
	case 2:
		return uint64(h.order.Uint16(b))
	case 4:
		return uint64(h.order.Uint32(b))
	}
	return h.order.Uint64(b)
}

// ReadDirectory reads the first directory of a TIFF or BigTIFF file, or of an EXIF block,
// which has the same form. A tag whose values do not lie in the file is left out.
func ReadDirectory(data []byte) (*Directory, error) {
	h, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	return h.directory(data, h.first)
}

// ReadDirectoryAt reads the directory at an offset that [Pages] found.
func ReadDirectoryAt(data []byte, at uint64) (*Directory, error) {
	h, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	return h.directory(data, at)
}

// directory reads the directory at an offset. One that is cut off keeps the tags that are there.
func (h header) directory(data []byte, at uint64) (*Directory, error) {
	d := &Directory{data: data, order: h.order, tags: map[uint16]entry{}}
	if at > uint64(len(data)) || uint64(len(data))-at < h.countSize {
		return nil, io.ErrUnexpectedEOF
	}
	count := h.number(data[at:], h.countSize)
	at += h.countSize
	if count > maxTags {
		return nil, fmt.Errorf("a directory of %d tags", count)
	}
	for range count {
		if at+h.entrySize > uint64(len(data)) {
			if len(d.tags) == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return d, nil
		}
		d.add(data[at:at+h.entrySize], h.fieldSize)
		at += h.entrySize
	}
	if at+h.fieldSize <= uint64(len(data)) {
		d.next = h.number(data[at:], h.fieldSize)
	}
	return d, nil
}

// Bits of the tag NewSubfileType: a smaller version of another page, or the mask of one.
const (
	reducedPage = 1
	maskPage    = 4
)

// Pages returns where the directories of the pages lie, at most so many: those of the file's chain
// but for smaller versions and masks of other pages. A chain that is damaged behind a page, or
// that comes back to one, ends there. The first directory counts whatever it is.
func Pages(data []byte, most int) ([]uint64, error) {
	h, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	var pages []uint64
	seen := map[uint64]bool{}
	for at := h.first; at != 0 && !seen[at] && len(pages) < most && len(seen) < maxDirectories; {
		d, err := h.directory(data, at)
		if err != nil {
			if len(pages) == 0 {
				return nil, err
			}
			break
		}
		seen[at] = true
		if len(pages) == 0 || d.Int(tagSubfileType, 0)&(reducedPage|maskPage) == 0 {
			pages = append(pages, at)
		}
		at = d.next
	}
	if len(pages) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return pages, nil
}

// maxDirectories bounds the directories of a chain that are looked at.
const maxDirectories = 1 << 17

// add enters a tag; of two with one number the first counts.
func (d *Directory) add(raw []byte, inline uint64) {
	tag, e := d.order.Uint16(raw), entry{kind: d.order.Uint16(raw[2:])}
	field := raw[8:]
	if inline == 4 {
		e.count = uint64(d.order.Uint32(raw[4:]))
	} else {
		e.count = d.order.Uint64(raw[4:])
		field = raw[12:]
	}
	size := valueSize(e.kind)
	if size == 0 || e.count == 0 || e.count > uint64(len(d.data))/size {
		return
	}
	length := e.count * size
	if length <= inline {
		e.values = field[:length]
	} else {
		at := uint64(0)
		if inline == 4 {
			at = uint64(d.order.Uint32(field))
		} else {
			at = d.order.Uint64(field)
		}
		if at > uint64(len(d.data)) || length > uint64(len(d.data))-at {
			return
		}
		e.values = d.data[at : at+length]
	}
	if _, ok := d.tags[tag]; !ok {
		d.tags[tag] = e
	}
}

// valueSize returns the bytes of a value, 0 for an unknown type.
func valueSize(kind uint16) uint64 {
	switch kind {
	case 1, 2, 6, 7:
		return 1
	case 3, 8:
		return 2
	case 4, 9, 11, 13:
		return 4
	case 5, 10, 12, 16, 17, 18:
		return 8
	}
	return 0
}

// Bytes returns the values of a tag as they lie in the file, nil if it has none.
func (d *Directory) Bytes(tag uint16) []byte { return d.tags[tag].values }

// count returns how many values a tag has.
func (d *Directory) count(tag uint16) int { return int(d.tags[tag].count) }

// at returns one whole number of a tag's values.
func (d *Directory) at(tag uint16, i int) (uint64, bool) {
	e := d.tags[tag]
	if i < 0 || uint64(i) >= e.count {
		return 0, false
	}
	switch e.kind {
	case typeByte, typeUndef, 6:
		return uint64(e.values[i]), true
	case typeShort, 8:
		return uint64(d.order.Uint16(e.values[2*i:])), true
	case typeLong, typeIFD, 9:
		return uint64(d.order.Uint32(e.values[4*i:])), true
	case typeLong8, typeIFD8, 17:
		return d.order.Uint64(e.values[8*i:]), true
	}
	return 0, false
}

// Int returns the first value of a tag, or other where there is none, or none that is a
// whole number below 2^31.
func (d *Directory) Int(tag uint16, other int) int {
	if v, ok := d.at(tag, 0); ok && v < 1<<31 {
		return int(v)
	}
	return other
}

// rational returns one value of a tag of fractions or whole numbers.
func (d *Directory) rational(tag uint16, i int) (float64, bool) {
	e := d.tags[tag]
	if e.kind != 5 || i < 0 || uint64(i) >= e.count {
		v, ok := d.at(tag, i)
		return float64(v), ok
	}
	den := d.order.Uint32(e.values[8*i+4:])
	if den == 0 {
		return 0, false
	}
	return float64(d.order.Uint32(e.values[8*i:])) / float64(den), true
}
