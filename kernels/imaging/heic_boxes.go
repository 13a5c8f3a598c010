package imaging

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// How many of each the tables of a HEIC file may state. A phone's photo has some
// fifty items; the decoder takes time and memory for each, reachable or not.
const (
	maxHEICItems      = 4096
	maxHEICReferences = 1 << 16
	maxHEICExtents    = 1 << 16
	maxHEICAuxiliary  = 64 // to one picture: its alpha plane, depth, mattes
)

var errBoxes = errors.New("its boxes contradict each other")

// heicFile is what the meta box of an image file says about its items
// (ISO/IEC 14496-12, 8.11 and ISO/IEC 23008-12, 6 and 9).
type heicFile struct {
	data, idat []byte
	primary    uint32
	items      map[uint32]*heicItem
	properties []heicBox // of the ipco box; associations count from 1
	stored     int64     // bytes that all the items' extents span together
}

// heicItem is one item: a picture, a part or derivation of one, or metadata.
type heicItem struct {
	kind       string // four characters, "" if the file names none
	properties []int  // indices into heicFile.properties, in the file's order
	parts      []uint32
	auxiliary  []uint32 // items that say they are auxiliary to this one
	extents    []heicExtent
	inIdat     bool
	located    bool
	// cost of decoding an item of kind hvc1, once it is known
	cost *heicCost
}

type heicExtent struct{ at, n uint64 }

// heicBox is a box's type and what follows its header.
type heicBox struct {
	kind string
	body []byte
}

// nextBox splits the first box off data. The last box of a file may state no size,
// or one past the end.
func nextBox(data []byte, topLevel bool) (b heicBox, rest []byte, err error) {
	if len(data) < 8 {
		return b, nil, fmt.Errorf("%w: a box of %d bytes", errBoxes, len(data))
	}
	size, head := uint64(binary.BigEndian.Uint32(data)), uint64(8)
	b.kind = string(data[4:8])
	if size == 1 && len(data) >= 16 {
		size, head = binary.BigEndian.Uint64(data[8:]), 16
	}
	if topLevel && (size == 0 || size > uint64(len(data))) {
		size = uint64(len(data))
	}
	if size < head || size > uint64(len(data)) {
		return b, nil, fmt.Errorf("%w: a box of %d bytes among %d", errBoxes, size, len(data))
	}
	b.body = data[head:size]
	return b, data[size:], nil
}

// eachBox calls f for the boxes in body. More than max of them are an error.
func eachBox(body []byte, max int, f func(heicBox) error) error {
	for n := 0; len(body) > 0; n++ {
		b, rest, err := nextBox(body, false)
		if err != nil {
			return err
		}
		if n == max {
			return fmt.Errorf("%w: more than %d in a row", errBoxes, max)
		}
		if err := f(b); err != nil {
			return err
		}
		body = rest
	}
	return nil
}

// boxReader reads the fields of a box. Reading past the end gives zeros and sets short.
type boxReader struct {
	data  []byte
	short bool
}

// uint reads n bytes, 0 to 8.
func (r *boxReader) uint(n int) (v uint64) {
	for _, b := range r.bytes(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *boxReader) bytes(n int) []byte {
	if n > len(r.data) {
		r.data, r.short = nil, true
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// version reads the head of a full box.
func (r *boxReader) version() (version int, flags uint32) {
	v := r.uint(4)
	return int(v >> 24), uint32(v & 0xffffff)
}

func (r *boxReader) err() error {
	if r.short {
		return fmt.Errorf("%w: one ends too early", errBoxes)
	}
	return nil
}

// idSize is the number of bytes of an item's number in a box whose version widens them.
func idSize(wide bool) int {
	if wide {
		return 4
	}
	return 2
}

// readHEIC walks the boxes of a file. It copies nothing, and takes time and memory
// proportional to the tables in the file, which are bounded.
func readHEIC(data []byte) (*heicFile, error) {
	f := &heicFile{data: data, items: map[uint32]*heicItem{}}
	var meta []byte
	for rest := data; len(rest) >= 8; {
		b, next, err := nextBox(rest, true)
		if err != nil {
			break // trailing bytes; what counts came before
		}
		if b.kind == "meta" {
			if meta != nil {
				return nil, fmt.Errorf("%w: two of type meta", errBoxes)
			}
			meta = b.body
		}
		rest = next
	}
	if len(meta) < 4 {
		return nil, fmt.Errorf("the file has no meta box")
	}
	seen := map[string]bool{}
	boxes := map[string]func(*boxReader) error{
		"pitm": f.readPitm, "iinf": f.readIinf, "iref": f.readIref, "iloc": f.readIloc,
		"iprp": f.readIprp, "idat": f.readIdat,
	}
	err := eachBox(meta[4:], maxHEICItems, func(b heicBox) error {
		read := boxes[b.kind]
		if read == nil {
			return nil
		}
		if seen[b.kind] {
			return fmt.Errorf("%w: two of type %s", errBoxes, b.kind)
		}
		seen[b.kind] = true
		return read(&boxReader{data: b.body})
	})
	if err != nil {
		return nil, err
	}
	return f, f.measureExtents()
}

// item returns the item of a number, which a table of the file mentions.
func (f *heicFile) item(id uint64) (*heicItem, error) {
	it := f.items[uint32(id)]
	if it == nil {
		if len(f.items) == maxHEICItems {
			return nil, fmt.Errorf("%w: more than %d items", errHEICCost, maxHEICItems)
		}
		it = &heicItem{}
		f.items[uint32(id)] = it
	}
	return it, nil
}

func (f *heicFile) readPitm(r *boxReader) error {
	version, _ := r.version()
	f.primary = uint32(r.uint(idSize(version != 0)))
	return r.err()
}

func (f *heicFile) readIdat(r *boxReader) error {
	f.idat = r.data
	return nil
}

func (f *heicFile) readIinf(r *boxReader) error {
	version, _ := r.version()
	r.uint(idSize(version != 0)) // how many; the boxes themselves say
	if err := r.err(); err != nil {
		return err
	}
	return eachBox(r.data, maxHEICItems, func(b heicBox) error {
		if b.kind != "infe" {
			return nil
		}
		r := boxReader{data: b.body}
		version, _ := r.version()
		if version < 2 { // states no type: no picture
			return nil
		}
		id := r.uint(idSize(version > 2))
		r.uint(2) // protection
		kind := string(r.bytes(4))
		if err := r.err(); err != nil {
			return err
		}
		it, err := f.item(id)
		if err == nil && it.kind != "" {
			err = fmt.Errorf("%w: two of type infe for item %d", errBoxes, id)
		}
		if err == nil {
			it.kind = kind
		}
		return err
	})
}

func (f *heicFile) readIref(r *boxReader) error {
	version, _ := r.version()
	if err := r.err(); err != nil {
		return err
	}
	left := maxHEICReferences
	return eachBox(r.data, maxHEICItems, func(b heicBox) error {
		r := boxReader{data: b.body}
		from := r.uint(idSize(version != 0))
		n := int(r.uint(2))
		if left -= n; left < 0 {
			return fmt.Errorf("%w: more than %d references", errHEICCost, maxHEICReferences)
		}
		it, err := f.item(from)
		if err != nil {
			return err
		}
		if b.kind == "dimg" && it.parts != nil {
			return fmt.Errorf("%w: two of type dimg for item %d", errBoxes, from)
		}
		for range n {
			to := r.uint(idSize(version != 0))
			switch b.kind {
			case "dimg":
				it.parts = append(it.parts, uint32(to))
			case "auxl":
				master, err := f.item(to)
				if err != nil {
					return err
				}
				if len(master.auxiliary) == maxHEICAuxiliary {
					return fmt.Errorf("%w: more than %d pictures auxiliary to one", errHEICCost,
						maxHEICAuxiliary)
				}
				master.auxiliary = append(master.auxiliary, uint32(from))
			}
		}
		return r.err()
	})
}

func (f *heicFile) readIloc(r *boxReader) error {
	version, _ := r.version()
	sizes := r.uint(2)
	size := func(shift int) int { return int(sizes >> shift & 15) }
	offsetSize, lengthSize, baseSize, indexSize := size(12), size(8), size(4), size(0)
	if version == 0 {
		indexSize = 0
	}
	if max(offsetSize, lengthSize, baseSize, indexSize) > 8 {
		return fmt.Errorf("%w: numbers of more than 8 bytes in iloc", errBoxes)
	}
	left := maxHEICExtents
	for n := r.uint(idSize(version > 1)); n > 0 && !r.short; n-- {
		it, err := f.item(r.uint(idSize(version > 1)))
		if err != nil {
			return err
		}
		if it.located {
			return fmt.Errorf("%w: an item is twice in iloc", errBoxes)
		}
		it.located = true
		if version > 0 {
			it.inIdat = r.uint(2)&15 == 1
		}
		r.uint(2) // where the data is, if not in this file
		base := r.uint(baseSize)
		extents := int(r.uint(2))
		if left -= extents; left < 0 {
			return fmt.Errorf("%w: more than %d extents", errHEICCost, maxHEICExtents)
		}
		for range extents {
			r.uint(indexSize)
			at, length := r.uint(offsetSize), r.uint(lengthSize)
			if r.short {
				break
			}
			if at += base; at < base {
				return fmt.Errorf("%w: an offset overflows", errBoxes)
			}
			it.extents = append(it.extents, heicExtent{at, length})
		}
	}
	return r.err()
}

func (f *heicFile) readIprp(r *boxReader) error {
	seen := false
	return eachBox(r.data, maxHEICItems, func(b heicBox) error {
		switch {
		case b.kind == "ipma":
			return f.readIpma(&boxReader{data: b.body})
		case b.kind == "ipco" && seen:
			return fmt.Errorf("%w: two of type ipco", errBoxes)
		case b.kind == "ipco":
			seen = true
			return eachBox(b.body, maxHEICItems, func(b heicBox) error {
				f.properties = append(f.properties, b)
				return nil
			})
		}
		return nil
	})
}

func (f *heicFile) readIpma(r *boxReader) error {
	version, flags := r.version()
	for n := r.uint(4); n > 0 && !r.short; n-- {
		it, err := f.item(r.uint(idSize(version != 0)))
		if err != nil {
			return err
		}
		for range int(r.uint(1)) {
			index := int(r.uint(1) & 0x7f) // the upper bit: whether the property is essential
			if flags&1 != 0 {
				index = index<<8 | int(r.uint(1))
			}
			if index == 0 || r.short {
				continue
			}
			if len(it.properties) == 256 {
				return fmt.Errorf("%w: an item of more than 256 properties", errBoxes)
			}
			it.properties = append(it.properties, index-1)
		}
	}
	return r.err()
}

// measureExtents sums up what the extents span in the file, clipped to it.
func (f *heicFile) measureExtents() error {
	for _, it := range f.items {
		in := f.data
		if it.inIdat {
			in = f.idat
		}
		for i, e := range it.extents {
			if e.at > uint64(len(in)) {
				continue
			}
			n := uint64(len(in)) - e.at
			if e.n == 0 {
				it.extents[i].n = n // to the end
			}
			f.stored += int64(min(n, it.extents[i].n))
		}
	}
	if f.stored > 4*int64(len(f.data))+1<<16 {
		return fmt.Errorf("%w: its items take %d bytes of the file's %d, by overlapping",
			errHEICCost, f.stored, len(f.data))
	}
	return nil
}

// contents returns an item's data. It copies only what is stored in pieces.
func (f *heicFile) contents(it *heicItem) ([]byte, error) {
	in := f.data
	if it.inIdat {
		in = f.idat
	}
	var all []byte
	for i, e := range it.extents {
		if e.at > uint64(len(in)) || e.n > uint64(len(in))-e.at {
			return nil, fmt.Errorf("unexpected EOF: an item's data is past the end")
		}
		if part := in[e.at:][:e.n]; i == 0 {
			all = part[:len(part):len(part)]
		} else {
			all = append(all, part...)
		}
	}
	return all, nil
}
