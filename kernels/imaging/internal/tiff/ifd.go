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

// Directory is the first directory of a file: tags and where their values lie.
type Directory struct {
	data  []byte
	order binary.ByteOrder
	tags  map[uint16]entry
}

type entry struct {
	kind   uint16
	count  uint64
	values []byte
}

// maxTags bounds the tags of a directory that are looked at.
const maxTags = 4096

// ReadDirectory reads the first directory of a TIFF or BigTIFF file, or of an EXIF block,
// which has the same form. A tag whose values do not lie in the file is left out.
func ReadDirectory(data []byte) (*Directory, error) {
	d := &Directory{data: data, tags: map[uint16]entry{}}
	if len(data) < 8 {
		return nil, errNoTIFF
	}
	switch string(data[:2]) {
	case "II":
		d.order = binary.LittleEndian
	case "MM":
		d.order = binary.BigEndian
	default:
		return nil, errNoTIFF
	}
	var at, count uint64
	entrySize, inline := uint64(12), uint64(4)
	switch d.order.Uint16(data[2:]) {
	case 42:
		at = uint64(d.order.Uint32(data[4:]))
		if at > uint64(len(data))-2 {
			return nil, io.ErrUnexpectedEOF
		}
		count = uint64(d.order.Uint16(data[at:]))
		at += 2
	case 43: // BigTIFF: offsets of 8 bytes
		if len(data) < 16 || d.order.Uint16(data[4:]) != 8 {
			return nil, errNoTIFF
		}
		entrySize, inline = 20, 8
		at = d.order.Uint64(data[8:])
		if at > uint64(len(data))-8 {
			return nil, io.ErrUnexpectedEOF
		}
		count = d.order.Uint64(data[at:])
		at += 8
	default:
		return nil, errNoTIFF
	}
	if count > maxTags {
		return nil, fmt.Errorf("a directory of %d tags", count)
	}
	for range count {
		if at+entrySize > uint64(len(data)) {
			if len(d.tags) == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			break
		}
		d.add(data[at:at+entrySize], inline)
		at += entrySize
	}
	return d, nil
}

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
