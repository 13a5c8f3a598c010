package imaging

import (
	"errors"
	"fmt"
)

// Types of NAL units (ITU-T H.265, table 7-1).
const (
	nalFirstIRAP = 16 // with nalLastIRAP: pictures that can be decoded on their own
	nalIDR       = 19
	nalIDRNoLead = 20
	nalCRA       = 21
	nalLastIRAP  = 23
	nalLastVCL   = 31 // the types up to here carry parts of pictures
	nalVPS       = 32
	nalSPS       = 33
	nalPPS       = 34
)

// maxParameterSets bounds the parameter sets of one picture. Encoders write three;
// the decoder builds tables of the picture's size for each PPS.
const maxParameterSets = 16

// maxReferencePictures is the size of the decoded picture buffer (H.265, A.4.2).
const maxReferencePictures = 16

var errSPS = errors.New("a sequence parameter set that cannot be read")

// hevcSize is what a sequence parameter set says of its pictures, in luma samples.
type hevcSize struct {
	codedW, codedH int // as decoded
	w, h           int // inside the conformance window
}

// hevcStream sums up the NAL units of one coded picture.
type hevcStream struct {
	sets, slices, pictures int
	sizes                  []hevcSize
	references             bool // a picture that may name others, which the decoder then makes up
}

// add takes a NAL unit, its two-byte header included.
func (s *hevcStream) add(nal []byte) error {
	if len(nal) < 3 {
		return nil
	}
	if layer := nal[0]&1<<5 | nal[1]>>3; layer != 0 {
		return nil // only the base layer is decoded
	}
	kind := nal[0] >> 1 & 63
	switch {
	case kind <= nalLastVCL:
		if kind < nalFirstIRAP || kind > nalLastIRAP {
			return fmt.Errorf("a coded picture that needs others (NAL unit of type %d)", kind)
		}
		s.references = s.references || (kind != nalIDR && kind != nalIDRNoLead)
		s.slices++
		if nal[2]&0x80 != 0 { // first_slice_segment_in_pic_flag
			s.pictures++
		}
		if s.pictures > 1 {
			return fmt.Errorf("several coded pictures in one item")
		}
	case kind == nalVPS || kind == nalSPS || kind == nalPPS:
		if s.sets++; s.sets > maxParameterSets {
			return fmt.Errorf("%w: more than %d parameter sets for one picture", errHEICCost,
				maxParameterSets)
		}
		if kind != nalSPS {
			return nil
		}
		size, err := readSPS(nal[2:])
		if err != nil {
			return err
		}
		s.sizes = append(s.sizes, size)
	}
	return nil
}

// addConfig takes the NAL units of an hvcC property (ISO/IEC 14496-15, 8.3.3.1).
func (s *hevcStream) addConfig(body []byte) error {
	r := boxReader{data: body}
	r.bytes(21)
	if r.uint(1)&3 != 3 && !r.short {
		return fmt.Errorf("NAL units whose lengths do not take 4 bytes, which its decoder cannot do")
	}
	for arrays := r.uint(1); arrays > 0 && !r.short; arrays-- {
		r.uint(1) // type, which the units repeat
		for n := r.uint(2); n > 0 && !r.short; n-- {
			if err := s.add(r.bytes(int(r.uint(2)))); err != nil {
				return err
			}
		}
	}
	return r.err()
}

// addData takes an item's data: NAL units after lengths of 4 bytes.
func (s *hevcStream) addData(data []byte) error {
	for len(data) > 0 {
		r := boxReader{data: data}
		n := r.uint(4)
		if r.short || n > uint64(len(r.data)) {
			return fmt.Errorf("unexpected EOF in coded data")
		}
		if err := s.add(r.bytes(int(n))); err != nil {
			return err
		}
		data = r.data
	}
	return nil
}

// bitReader reads a NAL unit's payload, leaving out the bytes that prevent the
// emulation of start codes (H.265, 7.3.1.1). Past the end it gives zeros and sets short.
type bitReader struct {
	data  []byte
	at    int // next byte
	zeros int // zero bytes before it
	cur   byte
	left  int // bits of cur
	short bool
}

func (r *bitReader) bit() uint32 {
	if r.left == 0 {
		if r.zeros >= 2 && r.at < len(r.data) && r.data[r.at] == 3 {
			r.at, r.zeros = r.at+1, 0
		}
		if r.at >= len(r.data) {
			r.short = true
			return 0
		}
		r.cur, r.left = r.data[r.at], 8
		r.at++
		if r.zeros++; r.cur != 0 {
			r.zeros = 0
		}
	}
	r.left--
	return uint32(r.cur>>r.left) & 1
}

// bits reads n bits, and returns the last 32 of them.
func (r *bitReader) bits(n int) (v uint32) {
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}

// ue reads an unsigned Exp-Golomb number (H.265, 9.2). One of more than 25 bits, which
// no field has that is read here, sets short.
func (r *bitReader) ue() int {
	zeros := 0
	for r.bit() == 0 {
		if zeros++; zeros > 24 || r.short {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + int(r.bits(zeros))
}

// readSPS reads a sequence parameter set up to the sizes of its blocks (H.265, 7.3.2.2).
func readSPS(payload []byte) (hevcSize, error) {
	r := bitReader{data: payload}
	r.bits(4) // video parameter set
	layers := int(r.bits(3))
	r.bits(1)
	skipProfile(&r, layers)
	id, chroma := r.ue(), r.ue()
	unitW, unitH := 1, 1 // of the conformance window: the samples of a chroma sample
	switch chroma {
	case 1:
		unitW, unitH = 2, 2
	case 2:
		unitW = 2
	case 3:
		r.bit() // colour planes coded apart
	}
	size := hevcSize{codedW: r.ue(), codedH: r.ue()}
	size.w, size.h = size.codedW, size.codedH
	if r.bit() == 1 {
		size.w -= unitW * (r.ue() + r.ue())
		size.h -= unitH * (r.ue() + r.ue())
	}
	depthY, depthC := 8+r.ue(), 8+r.ue()
	r.ue() // bits of the picture order count
	first := layers
	if r.bit() == 1 {
		first = 0
	}
	for range layers - first + 1 {
		r.ue()
		r.ue()
		r.ue()
	}
	minBlock := 3 + r.ue()
	block := minBlock + r.ue()
	switch {
	case r.short, id > 15, chroma > 3, layers > 6:
		return hevcSize{}, errSPS
	case max(depthY, depthC) > 16:
		return hevcSize{}, fmt.Errorf("%w: %d bits a sample", errSPS, max(depthY, depthC))
	case block > 6 || block < 4:
		return hevcSize{}, fmt.Errorf("%w: blocks of 1<<%d samples", errSPS, block)
	case size.w <= 0 || size.h <= 0 || size.codedW >= 1<<16 || size.codedH >= 1<<16:
		return hevcSize{}, fmt.Errorf("%w: %d x %d samples of %d x %d", errSPS, size.w, size.h,
			size.codedW, size.codedH)
	}
	return size, nil
}

// skipProfile skips profile, tier and level (H.265, 7.3.3) of a stream of layers+1
// temporal sub-layers.
func skipProfile(r *bitReader, layers int) {
	const profile, level = 88, 8
	r.bits(profile + level)
	if layers == 0 {
		return
	}
	var present [8]uint32 // for a sub-layer: 2 its profile, 1 its level
	for i := range present {
		present[i] = r.bits(2)
	}
	for _, p := range present[:layers] {
		r.bits(int(p>>1)*profile + int(p&1)*level)
	}
}
