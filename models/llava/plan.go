package llava

import (
	"fmt"
	"strconv"
)

// A Row says what one image token is: row Row of what the tower makes of all tiles,
// tile after tile (patch Row % TileTokens of tile Row / TileTokens), or [Newline].
type Row int32

// Newline is the model's newline embedding.
const Newline Row = -1

// A Plan is what becomes of one picture, known from its size alone.
type Plan struct {
	// Resolution is the chosen grid pinpoint of an [AnyRes] layout, otherwise zero.
	Resolution Resolution
	// Tiles is the number of tiles, TileTokens the number of the tower's rows of each.
	Tiles, TileTokens int
	// Rows are the image tokens in the order of the prompt.
	Rows []Row
}

// Plan returns what becomes of a picture of w by h pixels. It fails if the layout is
// impossible or a side is not positive or over 2³¹−1.
func (l Layout) Plan(w, h int) (Plan, error) {
	if err := l.check(); err != nil {
		return Plan{}, err
	}
	if !isSize(w, h) {
		return Plan{}, fmt.Errorf("llava: picture of %d x %d pixels", w, h)
	}
	p := Plan{Tiles: 1, TileTokens: l.TileTokens(), Rows: make([]Row, 0, l.Tokens(w, h))}
	if l.Aspect == AnyRes {
		p.Resolution = l.best(w, h)
		p.Tiles += p.Resolution.W / l.Size * (p.Resolution.H / l.Size)
	}
	consecutive := p.TileTokens // the overview's rows, or all
	if l.Aspect == AnyRes && l.Merge == Flat {
		consecutive *= p.Tiles
	}
	for i := range consecutive {
		p.Rows = append(p.Rows, Row(i))
	}
	if l.Aspect == AnyRes && l.Merge != Flat {
		p.Rows = l.appendGrid(p.Rows, w, h)
	}
	return p, nil
}

// appendGrid appends the rows of an AnyRes layout's grid, read across the tiles.
func (l Layout) appendGrid(rows []Row, w, h int) []Row {
	g := l.grid()
	across := l.best(w, h).W / l.Size
	r := l.region(w, h)
	for y := r.top; y < r.bottom; y++ {
		for x := r.left; x < r.right; x++ {
			tile := 1 + y/g*across + x/g
			rows = append(rows, Row((tile*g+y%g)*g+x%g))
		}
		if l.Merge == SpatialUnpad {
			rows = append(rows, Newline)
		}
	}
	return rows
}

// Tokens returns the number of image tokens of a picture of w by h pixels, which
// its header tells before it is decoded: the length of [Plan]'s Rows. It is 0 where
// Plan fails.
func (l Layout) Tokens(w, h int) int {
	if !isSize(w, h) || l.check() != nil {
		return 0
	}
	if l.Aspect != AnyRes {
		return l.TileTokens()
	}
	r := l.region(w, h)
	across, down := r.right-r.left, r.bottom-r.top
	if l.Merge == SpatialUnpad {
		across++
	}
	return l.TileTokens() + across*down
}

func isSize(w, h int) bool { return w > 0 && h > 0 && w <= maxSide && h <= maxSide }

// A region is a part of a grid of patches: rows top to bottom, columns left to right,
// the ends not included.
type region struct {
	left, right, top, bottom int
}

// region returns which part of an AnyRes layout's grid of patches is kept of a
// picture: unpad_image in transformers' modeling_llava_next.py for [SpatialUnpad],
// otherwise all.
func (l Layout) region(w, h int) region {
	best := l.best(w, h)
	cols, rows := best.W/l.Size*l.grid(), best.H/l.Size*l.grid()
	r := region{right: cols, bottom: rows}
	switch {
	case l.Merge != SpatialUnpad:
	case float64(w)/float64(h) > float64(cols)/float64(rows):
		margin := (rows - truncate(float64(h)*(float64(cols)/float64(w)))) / 2
		r.top, r.bottom = margin, rows-margin
	default:
		margin := (cols - truncate(float64(w)*(float64(rows)/float64(h)))) / 2
		r.left, r.right = margin, cols-margin
	}
	return r
}

// truncate is int(round(x, 7)) of Python for 0 ≤ x ≤ 2³¹. Both languages round the
// exact binary value to decimals; scaling by 10⁷ in float64 would round twice.
func truncate(x float64) int {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 7, 64), 64)
	if err != nil {
		panic(err) // no float64 is printed as something else
	}
	return int(rounded)
}

// Assemble writes the image tokens in order: len(p.Rows) rows of width numbers. tiles
// are the tower's rows of all tiles, p.Tiles·p.TileTokens of them, in the order of
// [Layout.Tiles]; newline is the newline embedding, which may be nil where
// [Layout.HasNewline] is false. dst must not overlap tiles. It fails if a length is
// not what the plan asks for, and has written nothing then.
func (p Plan) Assemble(dst, tiles, newline []float32, width int) error {
	switch {
	case width <= 0:
		return fmt.Errorf("llava: rows of %d numbers", width)
	case len(dst)/width != len(p.Rows) || len(dst)%width != 0:
		return fmt.Errorf("llava: room for %d numbers, want %d rows of %d", len(dst), len(p.Rows),
			width)
	case len(tiles)/width != p.Tiles*p.TileTokens || len(tiles)%width != 0:
		return fmt.Errorf("llava: %d numbers from the tower, want %d rows of %d", len(tiles),
			p.Tiles*p.TileTokens, width)
	case newline != nil && len(newline) != width:
		return fmt.Errorf("llava: a newline embedding of %d numbers, want %d", len(newline), width)
	}
	if newline == nil {
		for _, r := range p.Rows {
			if r == Newline {
				return fmt.Errorf("llava: the layout needs a newline embedding")
			}
		}
	}
	for i, r := range p.Rows {
		src := newline
		if r != Newline {
			src = tiles[int(r)*width:][:width]
		}
		copy(dst[i*width:], src)
	}
	return nil
}
