// Package tiff decodes the pages of a TIFF or BigTIFF file to 8 bits a sample:
// grey, palette, RGB, CMYK and Y'CbCr of 1 to 16 bits, with or without alpha, in strips or
// tiles, pixels or planes, with the compressions that scanners and editors write. What it
// does not decode it refuses by name.
//
// It reads what Pillow reads as Pillow does (src: TIFF 6.0, the TIFF Technical Notes, and
// BigTIFF), but for files of 16 bits where white is zero, which Pillow shows inverted.
package tiff

import (
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
)

// Tags of TIFF 6.0 and of its supplements.
const (
	tagSubfileType       = 254
	tagWidth             = 256
	tagHeight            = 257
	tagBitsPerSample     = 258
	tagCompression       = 259
	tagPhotometric       = 262
	tagFillOrder         = 266
	tagStripOffsets      = 273
	TagOrientation       = 274 // TagOrientation says where row 0 and column 0 belong, as in EXIF.
	tagSamplesPerPixel   = 277
	tagRowsPerStrip      = 278
	tagStripByteCounts   = 279
	tagPlanar            = 284
	tagT4Options         = 292
	tagPredictor         = 317
	tagColorMap          = 320
	tagTileWidth         = 322
	tagTileHeight        = 323
	tagTileOffsets       = 324
	tagTileByteCounts    = 325
	tagInkSet            = 332
	tagExtraSamples      = 338
	tagSampleFormat      = 339
	tagJPEGTables        = 347
	tagYCbCrCoefficients = 529
	tagYCbCrSubsampling  = 530
	tagReferenceBW       = 532
	TagXMP               = 700 // TagXMP holds an XMP packet.
)

// Meanings of the samples (tag PhotometricInterpretation).
const (
	whiteIsZero = 0
	blackIsZero = 1
	rgb         = 2
	palette     = 3
	mask        = 4
	cmyk        = 5
	yCbCr       = 6
)

// Kinds of an extra sample.
const (
	alphaAssociated   = 1
	alphaUnassociated = 2
	alphaCorel        = 999 // as Corel Draw 10 says unassociated
)

// maxSamples bounds the samples of a pixel.
const maxSamples = 8

// Size returns the sides of the page as it is stored, before [TagOrientation] is obeyed.
func (d *Directory) Size() (w, h int, err error) {
	w, h = d.Int(tagWidth, 0), d.Int(tagHeight, 0)
	if w == 0 || h == 0 {
		return 0, 0, raster.Corrupt("a picture without width or height")
	}
	return w, h, nil
}

// Decode returns the page. It takes memory for its pixels, and for one row of a
// strip or tile more; the caller holds the size against its limits first.
func (d *Directory) Decode() (*raster.Image, error) {
	p, err := describe(d)
	if err != nil {
		return nil, err
	}
	if err := p.read(); err != nil {
		return nil, err
	}
	return p.colours()
}

// picture is what the tags say of the pixels.
type picture struct {
	*Directory
	w, h        int
	bits        int // of a sample
	samples     int // of a pixel, in the file
	photometric int
	compression int
	planar      bool
	predictor   int
	// colour is how many samples make a colour. alpha is which sample is the alpha, -1 for
	// none, and alphaKind what kind; where the file has a sample too many without saying
	// what it is, stated is false.
	colour, alpha, alphaKind int
	stated                   bool

	tiled        bool
	cellW, cellH int // of a strip or tile
	across, down int // strips or tiles

	// pix holds the samples that are kept, colours and alpha, of one byte each.
	pix  []byte
	kept int
}

// describe reads and checks the tags.
func describe(d *Directory) (*picture, error) {
	p := &picture{
		Directory:   d,
		w:           d.Int(tagWidth, 0),
		h:           d.Int(tagHeight, 0),
		compression: d.Int(tagCompression, uncompressed),
		photometric: d.Int(tagPhotometric, whiteIsZero),
		planar:      d.Int(tagPlanar, 1) == 2,
		predictor:   d.Int(tagPredictor, 1),
	}
	if p.w <= 0 || p.h <= 0 {
		return nil, raster.Corrupt("a picture of %d x %d pixels", p.w, p.h)
	}
	if name, ok := refusedCompressions[p.compression]; ok {
		return nil, raster.Unsupported("%s compression is not supported", name)
	}
	if !knownCompressions[p.compression] {
		return nil, raster.Unsupported("compression %d is not supported", p.compression)
	}
	if err := p.describeSamples(); err != nil {
		return nil, err
	}
	p.describeAlpha()
	if err := p.describeCells(); err != nil {
		return nil, err
	}
	return p, p.checkCombination()
}

func (p *picture) describeSamples() error {
	switch p.photometric {
	case whiteIsZero, blackIsZero, palette:
		p.colour = 1
	case rgb, yCbCr:
		p.colour = 3
	case cmyk:
		p.colour = 4
		if ink := p.Int(tagInkSet, 1); ink != 1 {
			return raster.Unsupported("inks other than CMYK are not supported")
		}
	case mask:
		return raster.Unsupported("a transparency mask is not a picture")
	case 8, 9, 10:
		return raster.Unsupported("CIE L*a*b* colours are not supported")
	case 32803, 34892:
		return raster.Unsupported("raw samples of a camera's sensor are not supported")
	case 32844, 32845:
		return raster.Unsupported("LogL and LogLuv colours are not supported")
	default:
		return raster.Unsupported("photometric interpretation %d is not supported", p.photometric)
	}
	p.samples = p.Int(tagSamplesPerPixel, 1)
	if p.samples < p.colour && p.photometric == yCbCr && p.samples == 1 {
		p.photometric, p.colour = blackIsZero, 1 // luma alone
	}
	if p.samples < p.colour {
		return raster.Corrupt("%d samples a pixel, which are too few for its colours", p.samples)
	}
	if p.samples > maxSamples {
		return raster.Unsupported("%d samples a pixel; at most %d are supported", p.samples,
			maxSamples)
	}
	p.bits = p.Int(tagBitsPerSample, 1)
	for i := range min(p.count(tagBitsPerSample), p.samples) {
		if v, _ := p.at(tagBitsPerSample, i); v != uint64(p.bits) {
			return raster.Unsupported("samples of different depths are not supported")
		}
	}
	if p.bits < 1 || p.bits > 16 {
		return raster.Unsupported("samples of %d bits are not supported", p.bits)
	}
	if p.photometric == palette && p.bits > 8 {
		return raster.Unsupported("a palette of more than 256 colours is not supported")
	}
	for i := range min(p.count(tagSampleFormat), p.samples) {
		switch v, _ := p.at(tagSampleFormat, i); {
		case v == 2 && p.bits != 8:
			return raster.Unsupported("signed samples are not supported")
		case v == 3:
			return raster.Unsupported("floating-point samples are not supported")
		case v == 5 || v == 6:
			return raster.Unsupported("complex samples are not supported")
		}
	}
	return nil
}

// describeAlpha finds the alpha among the samples beyond the colour.
func (p *picture) describeAlpha() {
	p.alpha, p.kept = -1, p.colour
	if p.photometric == cmyk || p.photometric == yCbCr {
		return
	}
	stated := p.count(tagExtraSamples)
	for i := range min(stated, p.samples-p.colour) {
		switch v, _ := p.at(tagExtraSamples, i); v {
		case alphaAssociated, alphaUnassociated, alphaCorel:
			p.alpha, p.alphaKind, p.stated = p.colour+i, int(v), true
			p.kept++
			return
		}
	}
	if stated == 0 && p.photometric == rgb && p.samples == 4 {
		p.alpha, p.alphaKind = 3, alphaUnassociated
		p.kept++
	}
}

// describeCells finds how the picture is cut into strips or tiles.
func (p *picture) describeCells() error {
	p.tiled = p.count(tagTileOffsets) > 0
	offsets := tagStripOffsets
	if p.tiled {
		offsets = tagTileOffsets
		p.cellW, p.cellH = p.Int(tagTileWidth, 0), p.Int(tagTileHeight, 0)
	} else {
		p.cellW, p.cellH = p.w, min(p.Int(tagRowsPerStrip, p.h), p.h)
		if p.cellH == 0 {
			p.cellH = p.h
		}
	}
	if p.cellW <= 0 || p.cellH <= 0 {
		return raster.Corrupt("tiles of %d x %d pixels", p.cellW, p.cellH)
	}
	p.across, p.down = (p.w-1)/p.cellW+1, (p.h-1)/p.cellH+1
	need := p.across * p.down
	if p.planar {
		need *= p.samples
	}
	if have := p.count(uint16(offsets)); have < need {
		if have == 0 {
			return raster.Corrupt("it says nowhere where its pixels lie")
		}
		return raster.Corrupt("%d strips or tiles, where %d are needed", have, need)
	}
	// Tiles may go beyond the picture; those of an honest file do so by less than a tile.
	const allowance = 1 << 26
	if p.tiled && int64(p.across)*int64(p.cellW) > 16*int64(p.w)+allowance/int64(p.h) {
		return raster.Unsupported("tiles far wider than the picture are not supported")
	}
	return nil
}

// checkCombination refuses what each tag allows and all of them together do not.
func (p *picture) checkCombination() error {
	switch {
	case isFax(p.compression) && (p.bits != 1 || p.samples != 1 && !p.planar):
		return raster.Corrupt("fax compression of %d bits a pixel", p.bits*p.samples)
	case isFax(p.compression) && p.Int(tagT4Options, 0)&2 != 0 && p.compression == group3:
		return raster.Unsupported("fax compression in uncompressed mode is not supported")
	case p.compression == jpegCompression && p.photometric == cmyk:
		return raster.Unsupported("JPEG compression of CMYK is not supported")
	case p.compression == jpegCompression && (p.bits != 8 || p.samples != p.colour ||
		p.planar && p.samples > 1):
		return raster.Unsupported("JPEG compression of %d samples of %d bits is not supported",
			p.samples, p.bits)
	case p.compression == jpegCompression && p.photometric == palette:
		return raster.Unsupported("JPEG compression of a palette's indices is not supported")
	case p.photometric == yCbCr && p.compression != jpegCompression && (p.bits != 8 ||
		p.samples != 3 || p.planar):
		return raster.Unsupported(
			"Y'CbCr colours in planes or of %d samples of %d bits are not supported", p.samples,
			p.bits)
	case p.photometric == palette && p.count(tagColorMap) < 3<<p.bits:
		return raster.Corrupt("a palette of %d values, where %d are needed", p.count(tagColorMap),
			3<<p.bits)
	}
	if p.predicts() {
		switch p.predictor {
		case 1:
		case 2:
			if p.bits != 8 && p.bits != 16 {
				return raster.Unsupported("a predictor over samples of %d bits is not supported",
					p.bits)
			}
		case 3:
			return raster.Unsupported("the floating-point predictor is not supported")
		default:
			return raster.Unsupported("predictor %d is not supported", p.predictor)
		}
	}
	return nil
}
