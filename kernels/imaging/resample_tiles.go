package imaging

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// A plane is a picture at (left, top) of an area of w by h pixels, the rest of which has the colour
// bg.
type plane struct {
	src             *RGB
	w, h, left, top int
	bg              [3]uint8
}

// row writes pixels [x0, x1) of row y of the picture, with the margins beside it.
func (c *plane) row(dst []uint8, y, x0, x1 int) {
	for x := x0; x < x1; x++ {
		copy(dst[3*(x-x0):3*(x-x0)+3], c.bg[:])
	}
	from, to := max(c.left, x0), min(c.left+c.src.W, x1)
	if from < to {
		copy(dst[3*(from-x0):], c.src.row(y)[3*(from-c.left):3*(to-c.left)])
	}
}

// A resampling is the work of one Resize. It is cut into tiles of the result, which goroutines take
// one after the other. For a tile both passes alternate: some source rows go through the horizontal
// pass into a buffer that stays in the cache, then the vertical pass makes of them as many output
// rows as it can.
type resampling struct {
	plane
	out        *RGB
	cols, rows *axis // nil if the side keeps its size
	passes     *passes
	bias       []int32 // four sums for each output column: rounding, and what the margins add
	beyond     []uint8 // a row of the margins above and below, after the horizontal pass
	// The rows of the picture from `whole` on are read from tail, a copy with room for the overrun
	// behind it.
	whole int
	tail  grid
}

// Tiles are cut so that the buffer of rows takes about bufferSize bytes, but no narrower than
// minTile pixels; a goroutine is started for each threadWork products of a sample and a weight.
const (
	bufferSize = 192 << 10
	minTile    = 32
	threadWork = 2 << 20
)

// resample resizes a plane to w by h pixels with the first of the given passes that can take the
// weights. At most `threads` goroutines work on it, or GOMAXPROCS if that is 0.
func resample(ctx context.Context, c plane, w, h int, f Filter, all []*passes,
	threads int) (*RGB, error) {
	if w == c.w && h == c.h {
		if c.src.W == w && c.src.H == h {
			return c.src, nil
		}
		return PadSquare(c.src, c.bg), nil
	}
	r := &resampling{plane: c}
	var err error
	if w != c.w {
		if r.cols, err = newAxis(c.w, c.left, c.src.W, w, f); err != nil {
			return nil, err
		}
	}
	if h != c.h {
		if r.rows, err = newAxis(c.h, c.top, c.src.H, h, f); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("imaging: resize: %w", err)
	}
	r.margins(w)
	for _, r.passes = range all {
		if r.passes.fits(r.cols) && r.passes.fits(r.rows) {
			break
		}
	}
	r.passes.packAll(r.cols)
	r.passes.packAll(r.rows)
	r.copyTail()
	r.out = NewRGB(w, h)
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if err := r.run(ctx, threads); err != nil {
		return nil, fmt.Errorf("imaging: resize: %w", err)
	}
	return r.out, nil
}

// margins computes what the margins add to each output column, before the weights are packed.
func (r *resampling) margins(w int) {
	r.beyond = make([]uint8, 3*w)
	if r.cols == nil {
		for i := range r.beyond {
			r.beyond[i] = r.bg[i%3]
		}
		return
	}
	r.bias = make([]int32, 4*w)
	for x := range w {
		sum := r.cols.outside[x]
		for _, v := range r.cols.weights[x*r.cols.taps:][:r.cols.taps] {
			sum += v
		}
		for ch, v := range r.bg {
			r.bias[4*x+ch] = roundHalf + int32(v)*r.cols.outside[x]
			r.beyond[3*x+ch] = toSample(roundHalf + int32(v)*sum)
		}
	}
}

// copyTail copies the last rows of the picture, those from which the horizontal pass could read
// past its end.
func (r *resampling) copyTail() {
	if r.cols == nil {
		return
	}
	pix, stride := r.src.Pix, 3*r.src.W
	reach := 3*max(r.cols.in, r.cols.taps) + overrun
	if len(pix) >= reach {
		r.whole = min((len(pix)-reach)/stride+1, r.src.H)
	}
	if rest := pix[r.whole*stride:]; len(rest) > 0 {
		r.tail = grid{make([]uint8, len(rest)-stride+reach), stride}
		copy(r.tail.pix, rest)
	}
}

// run cuts the result into tiles and works on them.
func (r *resampling) run(ctx context.Context, threads int) error {
	w, h := r.out.W, r.out.H
	work := 0.0
	widest := w
	if r.cols != nil {
		work += 3 * float64(r.src.H) * float64(w) * float64(r.cols.taps)
	}
	if r.rows != nil {
		work += 3 * float64(w) * float64(h) * float64(r.rows.taps)
		widest = min(w, max(minTile, bufferSize/(2*3*r.rows.taps)))
	}
	threads = int(max(1, min(float64(threads), work/threadWork)))
	// Columns are cut first: cut rows make the horizontal pass do the source rows at the cut twice.
	across, down := (w+widest-1)/widest, 1
	if threads > 1 {
		tiles := 2 * threads
		across = max(across, min(tiles, w/minTile))
		if across < tiles {
			down = min((tiles+across-1)/across, h)
		}
	}
	var next atomic.Int64
	worker := func() error {
		var buf []uint8
		for {
			i := int(next.Add(1)) - 1
			if i >= across*down {
				return nil
			}
			x, y := i%across, i/across
			if err := r.tile(ctx, &buf, x*w/across, (x+1)*w/across, y*h/down, (y+1)*h/down); err !=
				nil {
				return err
			}
		}
	}
	if threads == 1 {
		return worker()
	}
	errs := make([]error, threads)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = worker() })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// tile makes pixels [x0, x1) of rows [y0, y1) of the result. It leaves its buffer in *scratch for
// the next tile.
func (r *resampling) tile(ctx context.Context, scratch *[]uint8, x0, x1, y0, y1 int) error {
	switch {
	case r.rows == nil:
		return r.tileOfRows(ctx, x0, x1, y0, y1)
	case r.cols == nil && r.src.W == r.w:
		return r.tileOfColumns(ctx, x0, x1, y0, y1)
	}
	a := r.rows
	stride := (3*(x1-x0) + 63) &^ 63
	last := a.end(y1 - 1)
	lo, hi := int(a.first[y0]), int(a.first[y0])
	room := min(max(2*a.taps, bufferSize/stride), last-lo)
	if len(*scratch) < room*stride {
		*scratch = make([]uint8, room*stride)
	}
	buf := grid{*scratch, stride}
	for y := y0; y < y1; {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Rows [lo, hi) of the picture are in the buffer. Those that are needed no more make room.
		keep := int(a.first[y])
		if keep < hi {
			copy(buf.pix, buf.pix[(keep-lo)*stride:(hi-lo)*stride])
		}
		lo, hi = keep, max(keep, hi)
		end := min(lo+room, last)
		if even := hi + (end-hi)&^7; even >= a.end(y) {
			end = even // passes take up to eight rows at once
		}
		if end > hi {
			r.fill(buf.from(hi-lo, 0), x0, x1, hi, end)
			hi = end
		}
		made := y + 1
		for made < y1 && a.end(made) <= hi {
			made++
		}
		r.passes.columns(r.result(x0, y), buf, lo, hi-lo, a, y, made, r.beyond[3*x0:], 3*(x1-x0))
		y = made
	}
	return nil
}

// chunk is how many rows a tile with one pass makes before it looks at its context.
const chunk = 64

// tileOfRows is tile where the height stays.
func (r *resampling) tileOfRows(ctx context.Context, x0, x1, y0, y1 int) error {
	top, bottom := r.top, r.top+r.src.H
	for y := y0; y < y1; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if y < top || y >= bottom {
			copy(r.out.row(y)[3*x0:3*x1], r.beyond[3*x0:])
			y++
			continue
		}
		end := min(y+chunk, y1, bottom)
		r.fill(r.result(x0, y), x0, x1, y-top, end-top)
		y = end
	}
	return nil
}

// tileOfColumns is tile where the width stays and there are no margins beside the picture.
func (r *resampling) tileOfColumns(ctx context.Context, x0, x1, y0, y1 int) error {
	src := grid{r.src.Pix, 3 * r.src.W}.from(0, 3*x0)
	for y := y0; y < y1; y += chunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.passes.columns(r.result(x0, y), src, 0, r.src.H, r.rows, y, min(y+chunk, y1),
			r.beyond[3*x0:], 3*(x1-x0))
	}
	return nil
}

// result is the result from pixel (x, y) on.
func (r *resampling) result(x, y int) grid { return grid{r.out.Pix, 3 * r.out.W}.from(y, 3*x) }

// fill makes pixels [x0, x1) of rows [y0, y1) of the picture as the horizontal pass leaves them.
func (r *resampling) fill(dst grid, x0, x1, y0, y1 int) {
	if r.cols == nil {
		for y := y0; y < y1; y++ {
			r.plane.row(dst.pix[(y-y0)*dst.stride:], y, x0, x1)
		}
		return
	}
	from, to := min(max(r.cols.from, x0), x1), max(min(r.cols.to, x1), x0)
	to = max(from, to)
	for y := range y1 - y0 {
		row := dst.pix[y*dst.stride:]
		copy(row[:3*(from-x0)], r.beyond[3*x0:])
		copy(row[3*(to-x0):3*(x1-x0)], r.beyond[3*to:])
	}
	if from == to {
		return
	}
	if end := min(y1, r.whole); y0 < end {
		src := grid{r.src.Pix, 3 * r.src.W}.from(y0, 0)
		r.passes.rows(dst.from(0, 3*(from-x0)), src, end-y0, r.cols, from, to, r.bias)
	}
	if start := max(y0, r.whole); start < y1 {
		r.passes.rows(dst.from(start-y0, 3*(from-x0)), r.tail.from(start-r.whole, 0), y1-start,
			r.cols, from, to, r.bias)
	}
}
