package imaging

// Limits that apply where [Options] leaves a field at zero.
const (
	DefaultMaxBytes  = 64 << 20
	DefaultMaxPixels = 100_000_000
	DefaultMaxFrames = 10_000
	DefaultMaxRatio  = 1000
)

// RatioAllowance is what a file may decode to whatever its own length, in bytes of
// RGB: a blank page scanned at 600 dpi (35 megapixels) is a legitimate file of some
// kilobytes.
const RatioAllowance = 128 << 20

// ScaleMargin is how much larger than the target a picture that was scaled while
// decoding stays, on both sides. The later resampling then still averages over
// pixels that the scaling left independent.
//
// Measured with libjpeg-turbo 3.1.3 over drawn scenes (soft and hard edges, strokes as of
// print, noise) of 2 to 12 megapixels, resampled to 224, 336 and 448 pixels: beside
// decoding at full size, samples of the result differ by 0.1 to 0.5 of 255 in the mean
// and by 1 to 16 at the worst, where the margin is between 2 and 9. At a margin of
// 1.5 it would be 0.8 and 20, at 1.1, 1.4 and 48.
const ScaleMargin = 2

// Options bound what [Decode] accepts and say what it is for. The zero value takes
// the defaults, and gives full size over white.
type Options struct {
	// MaxBytes is the largest file, in bytes.
	MaxBytes int64
	// MaxPixels is the largest product of width and height, of one page or frame. Decoding takes up
	// to about 18 bytes of memory a pixel (a progressive JPEG without chroma subsampling), 3 to 6
	// for the usual photo.
	MaxPixels int64
	// MaxFrames is the largest number of pages or frames of a file that [Open] accepts.
	MaxFrames int
	// MaxRatio is the largest ratio of the decoded bytes of RGB to those of the file,
	// over what [RatioAllowance] grants to any file.
	MaxRatio int64

	// Target, if set, is given the size of the upright picture in the file, in pixels, and
	// returns the size that the caller is going to resample it to. Decoding may then
	// return a smaller picture, both of whose sides are at least [ScaleMargin] times
	// those of the target: a JPEG file is scaled to a half, a quarter or an eighth
	// by libjpeg-turbo, if both sides can be divided so (a remainder would shift the picture
	// by up to a pixel), which takes less time and memory. A target of no pixels
	// asks for full size. [Within] and [Covering] make the usual targets.
	Target func(w, h int) (targetW, targetH int)
	// Exact decodes at full size in spite of Target.
	Exact bool

	// Background is the colour, red, green, blue, that shows through transparent
	// pixels; nil is white.
	Background *[3]uint8
}

// Within is the [Options.Target] of a caller that shrinks the whole picture until it fits in
// a square of so many pixels, to pad it ([PadSquare]).
func Within(side int) func(w, h int) (int, int) {
	return func(w, h int) (int, int) {
		long := max(w, h, 1)
		return ceilDiv(w*side, long), ceilDiv(h*side, long)
	}
}

// Covering is the [Options.Target] of a caller that shrinks the picture until it
// just covers a square of so many pixels, to crop it ([CenterCrop]).
func Covering(side int) func(w, h int) (int, int) {
	return func(w, h int) (int, int) {
		short := max(min(w, h), 1)
		return ceilDiv(w*side, short), ceilDiv(h*side, short)
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// WithDefaults is o with the defaults in the place of zeros.
func (o Options) WithDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxPixels <= 0 {
		o.MaxPixels = DefaultMaxPixels
	}
	if o.MaxFrames <= 0 {
		o.MaxFrames = DefaultMaxFrames
	}
	if o.MaxRatio <= 0 {
		o.MaxRatio = DefaultMaxRatio
	}
	return o
}

// Ground is the background, white where o names none.
func (o Options) Ground() [3]uint8 {
	if o.Background == nil {
		return [3]uint8{255, 255, 255}
	}
	return *o.Background
}

// eighths returns the scale to decode an upright picture of w by h pixels at. Only
// those scales are chosen that libjpeg-turbo has vector code for: the others take
// longer than the next larger one.
func (o Options) eighths(w, h int) int {
	if o.Target == nil || o.Exact {
		return 8
	}
	tw, th := o.Target(w, h)
	if tw <= 0 || th <= 0 {
		return 8
	}
	for _, e := range []int{1, 2, 4} {
		whole := w*e%8 == 0 && h*e%8 == 0
		if whole && w*e/8/ScaleMargin >= tw && h*e/8/ScaleMargin >= th {
			return e
		}
	}
	return 8
}

// checkSize holds the size that a file of n bytes claims against the limits.
func (f *format) checkSize(w, h, n int, opt Options) error {
	switch {
	case w <= 0 || h <= 0:
		return faultf(ErrDamaged, "%s of %d x %d pixels", f.name, w, h)
	case int64(w) > opt.MaxPixels/int64(h):
		return faultf(ErrTooLarge, "%s of %d x %d pixels; the limit is %d pixels", f.name, w, h,
			opt.MaxPixels)
	}
	if decoded := 3 * int64(w) * int64(h); (decoded-RatioAllowance)/opt.MaxRatio > int64(n) {
		return faultf(ErrTooLarge, "%s of %d x %d pixels in %d bytes: more than %d times the file, as of a file made to fill memory",
			f.name, w, h, n, opt.MaxRatio)
	}
	return nil
}
