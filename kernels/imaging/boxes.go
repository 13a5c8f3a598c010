package imaging

import (
	"encoding/binary"
	"iter"
	"slices"
)

// isoBrand returns the major brand of an ISO base media file, "" for other files.
func isoBrand(head []byte) string {
	if len(head) < 12 || string(head[4:8]) != "ftyp" {
		return ""
	}
	return string(head[8:12])
}

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

// isAVIF looks at the brands of an ISO base media file (AV1 Image File Format 1.1, section 6). Of
// those that name the structure alone, the compatible brands say who codes the pixels.
func isAVIF(head []byte) bool {
	switch isoBrand(head) {
	case "avif", "avis":
		return true
	case "mif1", "msf1":
		end := min(len(head), int(min(binary.BigEndian.Uint32(head), 1<<10)))
		for brand := range slices.Chunk(head[min(16, end):end], 4) {
			if string(brand) == "avif" || string(brand) == "avis" {
				return true
			}
		}
	}
	return false
}

// isoBox is a box's type and what follows its header.
type isoBox struct {
	kind string
	body []byte
}

// isoBoxes yields the boxes of a file or of another box, up to the first that is damaged.
func isoBoxes(data []byte) iter.Seq[isoBox] {
	return func(yield func(isoBox) bool) {
		for len(data) >= 8 {
			size, head := uint64(binary.BigEndian.Uint32(data)), uint64(8)
			switch {
			case size == 0: // up to the end
				size = uint64(len(data))
			case size == 1 && len(data) >= 16:
				size, head = binary.BigEndian.Uint64(data[8:]), 16
			}
			if size < head || size > uint64(len(data)) ||
				!yield(isoBox{string(data[4:8]), data[head:size]}) {
				return
			}
			data = data[size:]
		}
	}
}

// isoFields reads the fields of a box. Reading past the end gives zeros and leaves it short.
type isoFields struct {
	data  []byte
	short bool
}

// uint reads a number of n bytes, at most 8.
func (r *isoFields) uint(n int) (v uint64) {
	if n > len(r.data) {
		r.data, r.short = nil, true
		return 0
	}
	for _, b := range r.data[:n] {
		v = v<<8 | uint64(b)
	}
	r.data = r.data[n:]
	return v
}

// item reads the number of an item, of four bytes in versions that widen it.
func (r *isoFields) item(wide bool) uint64 {
	if wide {
		return r.uint(4)
	}
	return r.uint(2)
}

// avifTurn returns how the primary picture of an AVIF file is turned and mirrored, in that order,
// as an EXIF orientation (ISO/IEC 23008-12, 6.5.10 and 6.5.12). The EXIF block does not count.
func avifTurn(data []byte) int {
	angle, mirror := 0, 0 // in quarters, against the clock; 1 top to bottom, 2 left to right
	for _, p := range primaryProperties(data) {
		switch {
		case len(p.body) == 0:
		case p.kind == "irot":
			angle = int(p.body[0] & 3)
		case p.kind == "imir":
			mirror = 1 + int(p.body[0]&1)
		}
	}
	return [4][3]int{{1, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}}[angle][mirror]
}

// heicStored returns the sides of the primary picture of a HEIC file before it is cropped and
// turned (ISO/IEC 23008-12, 6.5.3), 0 where the file does not say.
func heicStored(data []byte) (w, h int) {
	for _, p := range primaryProperties(data) {
		if r := (isoFields{data: p.body}); p.kind == "ispe" {
			r.uint(4) // a version and flags
			w, h = int(r.uint(4)), int(r.uint(4))
		}
	}
	return w, h
}

// primaryProperties returns what an image file says of its primary picture (ISO/IEC 14496-12, 8.11
// and ISO/IEC 23008-12, 9.3), in the order of the boxes ipco and ipma.
func primaryProperties(data []byte) (list []isoBox) {
	var primary uint64
	var properties []isoBox
	var associations []isoFields
	for file := range isoBoxes(data) {
		if file.kind != "meta" || len(file.body) < 4 {
			continue
		}
		for b := range isoBoxes(file.body[4:]) {
			switch b.kind {
			case "pitm":
				r := isoFields{data: b.body}
				primary = r.item(r.uint(4)>>24 != 0)
			case "iprp":
				for b := range isoBoxes(b.body) {
					switch b.kind {
					case "ipco":
						properties = slices.Collect(isoBoxes(b.body))
					case "ipma":
						associations = append(associations, isoFields{data: b.body})
					}
				}
			}
		}
	}
	for _, r := range associations {
		head := r.uint(4) // a version and flags
		for n := r.uint(4); n > 0 && !r.short; n-- {
			ours := r.item(head>>24 != 0) == primary
			for range r.uint(1) {
				index := r.uint(1) & 0x7f // the upper bit: whether the property is essential
				if head&1 != 0 {
					index = index<<8 | r.uint(1)
				}
				if ours && index > 0 && index <= uint64(len(properties)) {
					list = append(list, properties[index-1])
				}
			}
		}
	}
	return list
}
