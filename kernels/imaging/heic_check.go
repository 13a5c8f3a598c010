package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Why the boxes are read here, and not left to the decoder in a WebAssembly machine, which is
// limited in memory and time. A request is priced before a picture is decoded: its size after all
// crops and turns, which is its number of tokens, stands in the same boxes, so that they are read
// anyway. A limit refuses a hostile file only once that much memory and time have been spent on it,
// by every request that brings it; what follows refuses it for the price of its tables, and says
// why. The box parser that Go programs share, go4.org/media/heif/bmff, follows neither references
// nor parameter sets, knows one version of infe, copies the bodies of all boxes, and promises no
// stable API.

// What the decoder is going to do is bounded beforehand.
// In multiples of Options.MaxPixels, over heicAllowance: a picture, its alpha plane, and
// for both the tiles' excess over the grid; and slices, each of which may make the
// decoder go over the whole of its picture (phones write one, some cameras eight).
const (
	maxHEICPictures = 4
	maxHEICPasses   = 16
	heicAllowance   = 1 << 20 // pixels
)

// How deep derived pictures may nest, and how many pictures one may be made of.
const (
	maxHEICDepth = 6
	maxHEICParts = 1 << 14
)

// codingBlock is the largest coding tree block's side: coded pictures are at most this
// much larger than what is shown of them.
const codingBlock = 64

// errHEICCost marks the errors of files that would cost too much to decode.
var errHEICCost = errors.New("too much for one picture")

// heicCost is what decoding a coded picture takes.
type heicCost struct {
	size   hevcSize
	pixels int64 // of memory
	passes int64 // pixels, for each slice
	bytes  int64
}

// heicWalk adds up what decoding the primary picture takes.
type heicWalk struct {
	*heicFile
	parts                 int
	pixels, passes, bytes int64
	opt                   Options
}

// checkHEIC refuses a file that would cost the decoder more than opt allows, whatever
// its first header says: it follows the primary picture's derivations, and reads the
// sizes that the coded pictures themselves state. It returns the size after all crops and turns.
func checkHEIC(f *format, data []byte, opt Options) (width, height int, err error) {
	file, err := readHEIC(data)
	if err != nil {
		return 0, 0, f.describe(err)
	}
	for _, p := range file.properties {
		w, h := 0, 0
		switch p.kind {
		case "ispe":
			w, h, err = readIspe(p.body)
			if err != nil {
				return 0, 0, f.describe(err)
			}
		case "hvcC":
			var s hevcStream
			if s.addConfig(p.body) != nil {
				continue // a fault only if it belongs to the picture
			}
			for _, size := range s.sizes {
				w, h = max(w, size.w), max(h, size.h)
			}
		}
		if w > 0 || h > 0 {
			if err := f.checkSize(w, h, len(data), opt); err != nil {
				return 0, 0, err
			}
		}
	}
	walk := heicWalk{heicFile: file, opt: opt}
	if width, height, err = walk.visit(file.primary, 0); err != nil {
		return 0, 0, f.describe(err)
	}
	return width, height, nil
}

// spend adds to the sums and holds them against the limits.
func (w *heicWalk) spend(pixels, passes, bytes int64) error {
	w.pixels, w.passes, w.bytes = w.pixels+pixels, w.passes+passes, w.bytes+bytes
	n := int64(len(w.data))
	switch {
	case w.pixels-heicAllowance > maxHEICPictures*w.opt.MaxPixels:
		return fmt.Errorf("%w: coded and composed pictures of over %d pixels; the limit is %d times %d",
			errHEICCost, w.pixels, maxHEICPictures, w.opt.MaxPixels)
	case (3*w.pixels/maxHEICPictures-RatioAllowance)/w.opt.MaxRatio > n:
		return fmt.Errorf("%w: %d pixels to decode from %d bytes", errHEICCost, w.pixels, n)
	case w.passes-heicAllowance > maxHEICPasses*w.opt.MaxPixels:
		return fmt.Errorf("%w: slices over %d pixels; the limit is %d times %d", errHEICCost,
			w.passes, maxHEICPasses, w.opt.MaxPixels)
	case w.bytes > 4*n+1<<20:
		return fmt.Errorf("%w: %d bytes to decode, again and again, in a file of %d", errHEICCost,
			w.bytes, n)
	}
	return nil
}

// visit accounts for a picture and all that it is made of, and returns its size after
// its own crops and turns. It goes the way the decoder goes: a part that is used twice
// counts twice.
func (w *heicWalk) visit(id uint32, depth int) (width, height int, err error) {
	it := w.items[id]
	switch w.parts++; {
	case it == nil:
		return 0, 0, fmt.Errorf("%w: no item %d", errBoxes, id)
	case depth > maxHEICDepth:
		return 0, 0, fmt.Errorf("%w: pictures made of pictures, %d deep", errHEICCost, depth)
	case w.parts > maxHEICParts:
		return 0, 0, fmt.Errorf("%w: a picture of more than %d parts", errHEICCost, maxHEICParts)
	}
	if width, height, err = w.statedSize(it); err != nil {
		return 0, 0, err
	}
	switch it.kind {
	case "hvc1":
		err = w.coded(it, width, height, depth)
	case "grid", "iovl", "iden":
		err = w.derived(it, width, height, depth)
	default:
		err = fmt.Errorf("a picture of type %q, which its decoder cannot do", it.kind)
	}
	if err != nil {
		return 0, 0, err
	}
	for _, aux := range it.auxiliary {
		if w.parts++; !w.isAlpha(w.items[aux]) {
			continue
		}
		if _, _, err := w.visit(aux, depth+1); err != nil {
			return 0, 0, err
		}
	}
	return w.transformed(it, width, height)
}

// statedSize returns the size that an item's ispe property states, before any crop or turn.
func (f *heicFile) statedSize(it *heicItem) (width, height int, err error) {
	for p := range f.propertiesOf(it) {
		if p.kind != "ispe" {
			continue
		}
		pw, ph, err := readIspe(p.body)
		if err != nil {
			return 0, 0, err
		}
		if width != 0 && (width != pw || height != ph) {
			return 0, 0, fmt.Errorf("%w: a picture of two sizes", errBoxes)
		}
		width, height = pw, ph
	}
	if width == 0 || height == 0 {
		return 0, 0, fmt.Errorf("the header states no size")
	}
	return width, height, nil
}

// coded accounts for an HEVC picture.
func (w *heicWalk) coded(it *heicItem, width, height, depth int) error {
	if it.cost == nil {
		cost, err := w.costOf(it)
		if err != nil {
			return err
		}
		it.cost = cost
	}
	c := it.cost
	// The decoder's caller copies as many rows as the header states: for the picture itself, they
	// have to be there.
	if c.size.w < width || c.size.h < height ||
		c.size.codedW >= width+codingBlock || c.size.codedH >= height+codingBlock ||
		depth == 0 && (c.size.w != width || c.size.h != height) {
		return fmt.Errorf("%w: %d x %d pixels, coded as %d x %d of %d x %d", errBoxes, width,
			height,
			c.size.w, c.size.h, c.size.codedW, c.size.codedH)
	}
	return w.spend(c.pixels, c.passes, c.bytes)
}

func (w *heicWalk) costOf(it *heicItem) (*heicCost, error) {
	var s hevcStream
	c := &heicCost{}
	for p := range w.propertiesOf(it) {
		if p.kind != "hvcC" {
			continue
		}
		c.bytes += int64(len(p.body))
		if err := s.addConfig(p.body); err != nil {
			return nil, err
		}
	}
	data, err := w.contents(it)
	if err == nil {
		err = s.addData(data)
	}
	if err != nil {
		return nil, err
	}
	if len(s.sizes) == 0 {
		return nil, fmt.Errorf("a coded picture without a sequence parameter set")
	}
	for _, size := range s.sizes {
		if size != s.sizes[0] {
			return nil, fmt.Errorf("%w: a picture of two sizes", errBoxes)
		}
	}
	c.size = s.sizes[0]
	area := int64(c.size.codedW) * int64(c.size.codedH)
	c.bytes += int64(len(data))
	c.pixels, c.passes = area, area*int64(max(s.slices, 1))
	if s.references {
		c.pixels += maxReferencePictures * area
	}
	return c, nil
}

// derived accounts for a picture made of others (ISO/IEC 23008-12, 6.6.2).
func (w *heicWalk) derived(it *heicItem, width, height, depth int) error {
	data, err := w.contents(it)
	if err != nil {
		return err
	}
	canvas := int64(width) * int64(height)
	if err := w.spend(canvas, canvas, int64(len(data))); err != nil {
		return err
	}
	r := boxReader{data: data}
	parts, statedW, statedH := len(it.parts), uint64(width), uint64(height)
	switch it.kind {
	case "iden":
		parts = 1
	case "grid":
		r.uint(1)
		size := idSize(r.uint(1)&1 != 0)
		rows, columns := int(r.uint(1))+1, int(r.uint(1))+1
		parts, statedW, statedH = rows*columns, r.uint(size), r.uint(size)
	case "iovl":
		r.uint(1)
		size := idSize(r.uint(1)&1 != 0)
		r.bytes(8) // background
		statedW, statedH = r.uint(size), r.uint(size)
	}
	if err := r.err(); err != nil {
		return err
	}
	if statedW != uint64(width) || statedH != uint64(height) || parts != len(it.parts) {
		return fmt.Errorf("%w: %d x %d pixels and %d parts, which its %s says are %d x %d and %d",
			errBoxes, width, height, len(it.parts), it.kind, statedW, statedH, parts)
	}
	for _, part := range it.parts {
		pw, ph, err := w.visit(part, depth+1)
		if err != nil {
			return err
		}
		if it.kind == "iden" && (pw != width || ph != height) {
			return fmt.Errorf("%w: %d x %d pixels, derived from %d x %d", errBoxes, width, height,
				pw, ph)
		}
	}
	return nil
}

// alphaURNs name the auxiliary pictures that are decoded together with their master.
var alphaURNs = []string{
	"urn:mpeg:hevc:2015:auxid:1", "urn:mpeg:avc:2015:auxid:1",
	"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
}

func (w *heicWalk) isAlpha(it *heicItem) bool {
	for p := range w.propertiesOf(it) {
		if p.kind == "auxC" && len(p.body) > 4 {
			urn, _, _ := bytes.Cut(p.body[4:], []byte{0})
			if slices.Contains(alphaURNs, string(urn)) {
				return true
			}
		}
	}
	return false
}

// propertiesOf yields an item's properties in the order of their association.
func (f *heicFile) propertiesOf(it *heicItem) iter.Seq[heicBox] {
	return func(yield func(heicBox) bool) {
		for _, i := range it.properties {
			if i < len(f.properties) && !yield(f.properties[i]) {
				return
			}
		}
	}
}

// transformed returns a picture's size after its crops and turns, in their order. A
// crop that leaves the picture is refused: the decoder would make room for all of it.
func (w *heicWalk) transformed(it *heicItem, width, height int) (int, int, error) {
	for p := range w.propertiesOf(it) {
		switch {
		case p.kind == "irot" && len(p.body) > 0 && p.body[0]&1 != 0:
			width, height = height, width
		case p.kind == "clap":
			if len(p.body) < 32 {
				return 0, 0, fmt.Errorf("%w: one ends too early", errBoxes)
			}
			cw, okW := cropped(p.body, 0, width)
			ch, okH := cropped(p.body, 8, height)
			if !okW || !okH {
				return 0, 0, fmt.Errorf("%w: a crop that leaves its picture of %d x %d pixels",
					errBoxes, width, height)
			}
			width, height = cw, ch
		}
	}
	return width, height, nil
}

// cropped reads one axis of a clap property (ISO/IEC 14496-12, 12.1.4): a length at
// offset at, and 16 bytes on how far its centre lies from the picture's, as fractions.
// It returns the length, rounded, and whether it is inside the side, give or take a pixel.
func cropped(clap []byte, at, side int) (int, bool) {
	field := func(i int) float64 { return float64(int32(binary.BigEndian.Uint32(clap[at+i:]))) }
	length, shift := field(0)/field(4), field(16)/field(20)
	if !(length >= 0.5 && length <= float64(side)) { // also what is no number
		return 0, false
	}
	first := (float64(side)-length)/2 + shift
	return int(length + 0.5), first >= -1 && first+length <= float64(side)+1
}

func readIspe(body []byte) (w, h int, err error) {
	r := boxReader{data: body}
	r.version()
	width, height := r.uint(4), r.uint(4)
	if max(width, height) > 1<<31-1 {
		return 0, 0, fmt.Errorf("%w: %d x %d pixels", errHEICCost, width, height)
	}
	return int(width), int(height), r.err()
}
