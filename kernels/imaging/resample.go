package imaging

import (
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
	var weights []float64
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
		fixed := make([]int32, len(weights))
		for j, w := range weights {
			if sum != 0 {
				w /= sum
			}
			// Halves round away from zero; int truncates.
			fixed[j] = int32(math.Copysign(0.5, w) + float64(w*(1<<weightBits)))
		}
		all[i] = span{first, fixed}
	}
	return all, nil
}

// Resize resamples a picture to w by h pixels, with antialiasing when it shrinks.
// It equals Pillow's Image.resize((w, h), filter) on 8-bit RGB in every byte: a
// horizontal pass, then a vertical one, each rounding to 8 bits, an axis that
// keeps its size skipped (Pillow, src/libImaging/Resample.c). A picture that has
// the size already is returned as it is, not copied.
func Resize(src *RGB, w, h int, f Filter) (*RGB, error) {
	if err := src.Check(); err != nil {
		return nil, err
	}
	if w <= 0 || h <= 0 || int64(w) > math.MaxInt32/3/int64(h) {
		return nil, fmt.Errorf("imaging: cannot resize to %d x %d pixels", w, h)
	}
	if w != src.W {
		cols, err := spans(src.W, w, f)
		if err != nil {
			return nil, err
		}
		src = resizeRows(src, cols)
	}
	if h != src.H {
		rows, err := spans(src.H, h, f)
		if err != nil {
			return nil, err
		}
		src = resizeColumns(src, rows)
	}
	return src, nil
}

// resizeRows applies one span to each output column, row by row.
func resizeRows(src *RGB, cols []span) *RGB {
	out := NewRGB(len(cols), src.H)
	for y := range out.H {
		in, dst := src.row(y), out.row(y)
		for x, s := range cols {
			r, g, b := int32(half), int32(half), int32(half)
			p := in[3*s.first:]
			for j, w := range s.weights {
				r += int32(p[3*j]) * w
				g += int32(p[3*j+1]) * w
				b += int32(p[3*j+2]) * w
			}
			dst[3*x], dst[3*x+1], dst[3*x+2] = clip8(r), clip8(g), clip8(b)
		}
	}
	return out
}

// resizeColumns applies one span to each output row, byte column by byte column.
func resizeColumns(src *RGB, rows []span) *RGB {
	out := NewRGB(src.W, len(rows))
	sums := make([]int32, 3*src.W)
	for y, s := range rows {
		for i := range sums {
			sums[i] = half
		}
		for j, w := range s.weights {
			for i, v := range src.row(s.first + j) {
				sums[i] += int32(v) * w
			}
		}
		dst := out.row(y)
		for i, v := range sums {
			dst[i] = clip8(v)
		}
	}
	return out
}

// half makes the shift of clip8 round to nearest.
const half = 1 << (weightBits - 1)

// clip8 takes a fixed-point sum back to a sample.
func clip8(sum int32) uint8 { return uint8(min(max(sum>>weightBits, 0), 255)) }
