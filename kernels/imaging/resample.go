package imaging

import (
	"context"
	"fmt"
	"math"
)

// Filter is a resampling filter, by Pillow's name for it.
type Filter int

// The filters of [Resize].
const (
	// Bilinear is the triangle filter.
	Bilinear Filter = iota
	// Bicubic is the cubic convolution of Keys (1981) with a = -0.5.
	Bicubic
	// Lanczos is the sinc function windowed by its own middle lobe, three lobes wide.
	Lanczos
)

// String returns Pillow's name of the filter.
func (f Filter) String() string {
	switch f {
	case Bilinear:
		return "bilinear"
	case Bicubic:
		return "bicubic"
	case Lanczos:
		return "lanczos"
	}
	return fmt.Sprintf("Filter(%d)", int(f))
}

// kernel returns the filter's function and its support: the distance from the
// centre, in source pixels when enlarging, beyond which it is zero.
//
// The explicit conversions to float64 keep compilers from fusing a product and a
// sum, which would round differently on some processors.
func (f Filter) kernel() (fn func(x float64) float64, support float64, err error) {
	switch f {
	case Bilinear:
		return func(x float64) float64 { return max(0, 1-math.Abs(x)) }, 1, nil
	case Bicubic:
		const a = -0.5
		return func(x float64) float64 {
			x = math.Abs(x)
			switch {
			case x < 1:
				return float64((float64((a+2)*x)-(a+3))*x*x) + 1
			case x < 2:
				return (float64((float64((x-5)*x)+8)*x) - 4) * a
			}
			return 0
		}, 2, nil
	case Lanczos:
		sinc := func(x float64) float64 {
			if x == 0 {
				return 1
			}
			x *= math.Pi
			return math.Sin(x) / x
		}
		return func(x float64) float64 {
			if x < -3 || x >= 3 {
				return 0
			}
			return sinc(x) * sinc(x/3)
		}, 3, nil
	}
	return nil, 0, fmt.Errorf("imaging: no such filter: %v", f)
}

// weightBits is the fixed-point precision of the weights: 32 bits less 8 of the
// sample, less 2 because the negative lobes let a sum leave the range of a sample.
const weightBits = 32 - 8 - 2

// A span is what one output sample is made of: input samples first, first+1, …,
// each times its fixed-point weight.
type span struct {
	first   int
	weights []int32
}

// spans computes the weights of every output sample of one axis. When shrinking,
// the filter is stretched by the ratio of the sizes, which is what averages
// (antialiases) the input.
func spans(in, out int, f Filter) ([]span, error) {
	kernel, support, err := f.kernel()
	if err != nil {
		return nil, err
	}
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	support *= stretch
	shrink := 1 / stretch

	all := make([]span, out)
	// A span has at most this many samples: one more than fit into the support on both sides.
	longest := min(in, int(2*support)+2)
	slab := make([]int32, 0, out*longest)
	weights := make([]float64, 0, longest)
	for i := range all {
		center := (float64(i) + 0.5) * scale
		first := max(int(center-support+0.5), 0)
		end := min(int(center+support+0.5), in)
		weights = weights[:0]
		sum := 0.0
		for j := range end - first {
			w := kernel((float64(j+first) - center + 0.5) * shrink)
			weights = append(weights, w)
			sum += w
		}
		start := len(slab)
		for _, w := range weights {
			if sum != 0 {
				w /= sum
			}
			// Halves round away from zero; int truncates.
			slab = append(slab, int32(math.Copysign(0.5, w)+float64(w*(1<<weightBits))))
		}
		all[i] = span{first, slab[start:len(slab):len(slab)]}
	}
	return all, nil
}

// The largest picture that Resize makes: far beyond what a vision tower takes, and small enough
// that the weights of a side (some hundred bytes a pixel of the side) and the picture itself fit
// into memory.
const (
	maxTargetSide   = 1 << 18
	maxTargetPixels = math.MaxInt32 / 3
)

// Resize resamples a picture to w by h pixels, with antialiasing when it shrinks.
// It equals Pillow's Image.resize((w, h), filter) on 8-bit RGB in every byte: a
// horizontal pass, then a vertical one, each rounding to 8 bits, an axis that
// keeps its size skipped (Pillow, src/libImaging/Resample.c, before 13.0). A
// picture that has the size already is returned as it is, not copied.
//
// Large pictures are worked on by up to GOMAXPROCS goroutines. Memory beyond the
// result is a few hundred kilobytes for each, more for sides of 100000 pixels.
// A side of more than 262144 pixels or a result of more than 2 GiB is refused.
func Resize(src *RGB, w, h int, f Filter) (*RGB, error) {
	return ResizeContext(context.Background(), src, w, h, f)
}

// ResizeContext is [Resize] that gives up with ctx's error soon after ctx is done.
func ResizeContext(ctx context.Context, src *RGB, w, h int, f Filter) (*RGB, error) {
	if err := checkTarget(src, w, h); err != nil {
		return nil, err
	}
	return resample(ctx, plane{src: src, w: src.W, h: src.H}, w, h, f, allPasses, 0)
}

// ResizePadded equals Resize(PadSquare(src, bg), w, h, f) in every byte without
// building the square, which for a photo of 12 megapixels would take 48 MB: the
// margins, being of one colour, enter the sums as constants. It gives up with
// ctx's error soon after ctx is done.
func ResizePadded(ctx context.Context, src *RGB, bg [3]uint8, w, h int, f Filter) (*RGB, error) {
	if err := checkTarget(src, w, h); err != nil {
		return nil, err
	}
	side := max(src.W, src.H)
	left, top := squareMargins(src)
	return resample(ctx, plane{src, side, side, left, top, bg}, w, h, f, allPasses, 0)
}

func checkTarget(src *RGB, w, h int) error {
	if err := src.Check(); err != nil {
		return err
	}
	if w <= 0 || h <= 0 || (w != src.W || h != src.H) &&
		(w > maxTargetSide || h > maxTargetSide || int64(w) > maxTargetPixels/int64(h)) {
		return fmt.Errorf("imaging: cannot resize to %d x %d pixels: sides must be 1 to %d, the result at most %d pixels",
			w, h, maxTargetSide, maxTargetPixels)
	}
	if src.W > math.MaxInt32 || src.H > math.MaxInt32 {
		return fmt.Errorf("imaging: cannot resize a picture of %d x %d pixels: its sides must be below 2^31", src.W, src.H)
	}
	return nil
}
