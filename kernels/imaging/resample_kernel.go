package imaging

// An axis holds the weights of every output sample of one side, as many for each output, so that a
// pass can step through them.
type axis struct {
	in   int // samples of the picture along this side, at least 1
	taps int // weights an output, a multiple of 4
	// first is, for each output, the picture's sample that its first weight belongs to. It never
	// falls from one output to the next. Weights of samples that the picture does not have are
	// zero; that happens only if in is less than taps.
	first   []int32
	weights []int32
	// outside is, for each output, the sum of the weights that fall on the margins.
	outside []int32
	// from and to bound the outputs that the picture has any part in.
	from, to int
}

// newAxis computes the weights of a side that is resampled from `full` samples to `out`. The
// picture is in of them, after a margin.
func newAxis(full, margin, in, out int, f Filter) (*axis, error) {
	all, err := spans(full, out, f)
	if err != nil {
		return nil, err
	}
	taps := 1
	for _, s := range all {
		taps = max(taps, min(s.first+len(s.weights), margin+in)-max(s.first, margin))
	}
	taps = (taps + 3) &^ 3
	a := &axis{
		in: in, taps: taps, from: out,
		first: make([]int32, out), weights: make([]int32, out*taps), outside: make([]int32, out),
	}
	for i, s := range all {
		// Where the span would reach past the picture's end, it starts earlier, with weights of
		// zero.
		first := min(max(s.first-margin, 0), max(in-taps, 0))
		a.first[i] = int32(first)
		weights := a.weights[i*taps:][:taps]
		for j, w := range s.weights {
			k := s.first + j - margin
			if k < 0 || k >= in {
				a.outside[i] += w
				continue
			}
			weights[k-first] = w
			a.from, a.to = min(a.from, i), i+1
		}
	}
	return a, nil
}

// end returns the sample after the last that output i is made of.
func (a *axis) end(i int) int { return min(int(a.first[i])+a.taps, a.in) }

// A grid is rows of samples, each so many bytes after the one before.
type grid struct {
	pix    []uint8
	stride int
}

// from returns the grid from row y and byte x on.
func (g grid) from(y, x int) grid { return grid{g.pix[y*g.stride+x:], g.stride} }

// passes is one implementation of the two passes. All give the same bytes; sums of 32 bits wrap
// around, in any order, and the whole sum fits.
type passes struct {
	name string
	// maxWeight is the largest magnitude of a weight that pack can take.
	maxWeight int32
	// pack brings the weights of four taps into the order that the passes want.
	pack func(block *[4]int32)
	// rows makes outputs [x0, x1) of the axis, in pixels, for n rows. Pixel x starts from the sums
	// bias[4*x:][:3]. It reads up to overrun bytes of src past the last pixel that has a weight,
	// and writes nothing past the last output of a row.
	rows func(dst, src grid, n int, a *axis, x0, x1 int, bias []int32)
	// columns makes outputs [y0, y1) of the axis, rows of the given number of bytes. src holds the
	// picture's rows from lo on, n of them. The margins are rows like beyond.
	columns func(dst, src grid, lo, n int, a *axis, y0, y1 int, beyond []uint8, bytes int)
}

// overrun is how far rows may read past the pixels it needs: it takes pixels of three bytes in
// steps of four, 16 bytes each.
const overrun = 4

// goPasses are the passes in Go, for processors that no C kernel was written for.
var goPasses = passes{
	name:      "go",
	maxWeight: 1<<31 - 1,
	pack:      func(*[4]int32) {},
	rows: func(dst, src grid, n int, a *axis, x0, x1 int, bias []int32) {
		for y := range n {
			in, out := src.pix[y*src.stride:], dst.pix[y*dst.stride:]
			for x := x0; x < x1; x++ {
				r, g, b := bias[4*x], bias[4*x+1], bias[4*x+2]
				p := in[3*int(a.first[x]):][:3*a.taps]
				for _, w := range a.weights[x*a.taps:][:a.taps] {
					r += int32(p[0]) * w
					g += int32(p[1]) * w
					b += int32(p[2]) * w
					p = p[3:]
				}
				o := out[3*(x-x0):][:3]
				o[0], o[1], o[2] = toSample(r), toSample(g), toSample(b)
			}
		}
	},
	columns: func(dst, src grid, lo, n int, a *axis, y0, y1 int, beyond []uint8, bytes int) {
		sums := make([]int32, bytes)
		for y := y0; y < y1; y++ {
			for i := range sums {
				sums[i] = roundHalf
			}
			add := func(row []uint8, w int32) {
				if w == 0 {
					return
				}
				row = row[:len(sums)]
				for i, v := range row {
					sums[i] += int32(v) * w
				}
			}
			if a.outside[y] != 0 {
				add(beyond, a.outside[y])
			}
			first := int(a.first[y]) - lo
			for j, w := range a.weights[y*a.taps:][:min(a.taps, n-first)] {
				add(src.pix[(first+j)*src.stride:], w)
			}
			out := dst.pix[(y-y0)*dst.stride:]
			for i, v := range sums {
				out[i] = toSample(v)
			}
		}
	},
}

// fits reports whether the passes can take the weights of an axis.
func (p *passes) fits(a *axis) bool {
	if a == nil {
		return true
	}
	for _, all := range [][]int32{a.weights, a.outside} {
		for _, w := range all {
			if w > p.maxWeight || w < -p.maxWeight {
				return false
			}
		}
	}
	return true
}

// packAll packs the weights of an axis, once.
func (p *passes) packAll(a *axis) {
	if a == nil {
		return
	}
	for i := 0; i < len(a.weights); i += 4 {
		p.pack((*[4]int32)(a.weights[i:]))
	}
}

// roundHalf makes the shift of toSample round to nearest.
const roundHalf = 1 << (weightBits - 1)

// toSample takes a fixed-point sum back to a sample.
func toSample(sum int32) uint8 { return uint8(min(max(sum>>weightBits, 0), 255)) }
