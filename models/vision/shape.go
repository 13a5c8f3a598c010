package vision

import (
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/patch"
	"github.com/eyelet-engine/eyelet/kernels/ref"
)

// shape is how a tower sees pictures of one size: which patch each row is of, where its tokens
// stand, and who attends to whom. Rows of the patches of a token stand side by side, and tokens of
// a window.
type shape struct {
	width, height int // pixels
	cols, rows    int // patches
	classes       int // rows before the patches'
	// order is the patch of each row, counted along the picture's rows; nil in that order.
	order []int32
	// places is the place of each token among the picture's, counted along its rows; nil in that
	// order.
	places []int
	// windows are the lengths of the stretches of rows that attend to each other in windows; nil
	// for a tower without.
	windows []int
}

// newShape lays out a picture of a size that the tower takes.
func (d *description) newShape(width, height int) *shape {
	s := &shape{width: width, height: height, cols: width / d.PatchSize, rows: height / d.PatchSize}
	if d.Class {
		s.classes = 1
	}
	if d.Merge == 1 && d.Window == 0 {
		return s
	}
	cols, rows := s.cols/d.Merge, s.rows/d.Merge // tokens
	side := max(cols, rows)
	if d.Window > 0 {
		side = d.Window / d.PatchSize / d.Merge
	}
	for top := 0; top < rows; top += side {
		for left := 0; left < cols; left += side {
			before := len(s.places)
			for y := top; y < min(top+side, rows); y++ {
				for x := left; x < min(left+side, cols); x++ {
					s.places = append(s.places, y*cols+x)
					for i := range d.Merge * d.Merge {
						s.order = append(s.order,
							int32((y*d.Merge+i/d.Merge)*s.cols+x*d.Merge+i%d.Merge))
					}
				}
			}
			if d.Window > 0 {
				s.windows = append(s.windows, (len(s.places)-before)*d.Merge*d.Merge)
			}
		}
	}
	return s
}

// length is the number of rows.
func (s *shape) length() int { return s.classes + s.cols*s.rows }

// patch is the row and column of the patch of the i-th row behind the class token.
func (s *shape) patch(i int) (y, x int) {
	if s.order != nil {
		i = int(s.order[i])
	}
	return i / s.cols, i % s.cols
}

// positions are the position embeddings of all rows, nil for none.
func (s *shape) positions(d *description, table matrix) []float32 {
	switch d.Positions {
	case learned:
		return s.sorted(table)
	case bilinear:
		return s.bilinear(table)
	case bicubic:
		side := int(math.Sqrt(float64(table.Rows)))
		grid, err := patch.InterpolatePositions(table.Data, table.Cols, 0, side, s.cols, s.rows)
		if err != nil {
			return nil // such a picture was refused before
		}
		return s.sorted(ref.MatrixOf(s.cols*s.rows, table.Cols, grid))
	case axial:
		out := make([]float32, 0, s.cols*s.rows*table.Cols)
		for i := range s.cols * s.rows {
			y, x := s.patch(i)
			across, down := table.Row(x), table.Row(d.MostAcross+y)
			for k := range across {
				out = append(out, across[k]+down[k])
			}
		}
		return out
	}
	return nil
}

// sorted puts the rows of all patches in the order of the tower's.
func (s *shape) sorted(table matrix) []float32 {
	if s.order == nil {
		return table.Data
	}
	out := append([]float32(nil), table.Data[:s.classes*table.Cols]...)
	for _, at := range s.order {
		out = append(out, table.Row(s.classes+int(at))...)
	}
	return out
}

// bilinear interpolates a square table of positions, its corners on the picture's:
// fast_pos_embed_interpolate of transformers.
func (s *shape) bilinear(table matrix) []float32 {
	side := int(math.Sqrt(float64(table.Rows)))
	// place is where the i-th of n patches falls: linspace in float32, as there.
	place := func(i, n int) (low, high int, f float32) {
		if n > 1 {
			at := float32(side-1) / float32(n-1) * float32(i)
			if i >= n/2 { // torch counts the second half from the end
				at = float32(side-1) - float32(side-1)/float32(n-1)*float32(n-1-i)
			}
			low = int(at)
			f = at - float32(low)
		}
		return low, min(low+1, side-1), f
	}
	out := make([]float32, 0, s.cols*s.rows*table.Cols)
	for i := range s.cols * s.rows {
		y, x := s.patch(i)
		y0, y1, fy := place(y, s.rows)
		x0, x1, fx := place(x, s.cols)
		a, b, c, e := table.Row(y0*side+x0), table.Row(y0*side+x1), table.Row(y1*side+x0),
			table.Row(y1*side+x1)
		for k := range a {
			out = append(out, (1-fy)*(1-fx)*a[k]+(1-fy)*fx*b[k]+fy*(1-fx)*c[k]+fy*fx*e[k])
		}
	}
	return out
}

// angles are the rotary angles of all rows, half as many a row as a head is wide.
func (s *shape) angles(d *description) []float64 {
	n := d.Hidden / d.Heads / 4
	out := make([]float64, 0, s.cols*s.rows*2*n)
	down, across := make([]float64, n), make([]float64, n)
	for i := range n {
		stagger := 0.0
		if d.Rotary.Staggered {
			stagger = 0.5
		}
		down[i] = math.Pow(d.Rotary.Theta, -float64(i)/float64(n))
		across[i] = math.Pow(d.Rotary.Theta, -(float64(i)+stagger)/float64(n))
	}
	for i := range s.cols * s.rows {
		y, x := s.patch(i)
		for _, f := range down {
			out = append(out, float64(y)*f)
		}
		for _, f := range across {
			out = append(out, float64(x)*f)
		}
	}
	return out
}

// tokens puts the rows of a picture's tokens, width wide, in the order of the picture, with rowEnd
// between its rows where that is not nil. It may return rows itself.
func (s *shape) tokens(d *description, rows, rowEnd []float32, width int) []float32 {
	if s.places != nil {
		sorted := make([]float32, len(rows))
		for i, place := range s.places {
			copy(sorted[place*width:], rows[i*width:][:width])
		}
		rows = sorted
	}
	if rowEnd == nil {
		return rows
	}
	var out []float32
	step := s.cols / d.Merge * width
	for i := 0; i < len(rows); i += step {
		if i > 0 {
			out = append(out, rowEnd...)
		}
		out = append(out, rows[i:i+step]...)
	}
	return out
}

// tokensOf is the number of tokens that a picture of a size that the tower takes becomes.
func (d *description) tokensOf(width, height int) int {
	cols, rows := width/d.PatchSize/d.Merge, height/d.PatchSize/d.Merge
	if d.RowEnd != "" {
		return rows*(cols+1) - 1
	}
	return rows * cols
}

// places are the M-RoPE positions of such a picture's tokens, and how many positions it takes.
func (d *description) places(width, height int) (list [][4]int32, advance int) {
	cols, rows := width/d.PatchSize/d.Merge, height/d.PatchSize/d.Merge
	for i := range cols * rows {
		list = append(list, [4]int32{0, int32(i / cols), int32(i % cols)})
	}
	return list, max(cols, rows)
}

// checkSize tells whether the tower takes pictures of a size.
func (d *description) checkSize(w, h int) error {
	if !d.AnySize {
		if w != d.ImageSize || h != d.ImageSize {
			return fmt.Errorf("%d x %d pixels; the tower takes %d x %d", w, h, d.ImageSize,
				d.ImageSize)
		}
		return nil
	}
	token := d.PatchSize * d.Merge
	if w%token != 0 || h%token != 0 || w < token || h < token {
		return fmt.Errorf("%d x %d pixels; the tower takes multiples of %d", w, h, token)
	}
	if cols, rows := w/d.PatchSize, h/d.PatchSize; cols > maxPatchesOfPicture/rows {
		return fmt.Errorf("%d x %d patches; at most %d are supported", cols, rows,
			maxPatchesOfPicture)
	} else if d.MostAcross > 0 && max(cols, rows) > d.MostAcross {
		return fmt.Errorf("%d x %d patches; the tower has positions for %d", cols, rows,
			d.MostAcross)
	}
	return nil
}

// maxPatchesOfPicture bounds what a picture of any size is cut into.
const maxPatchesOfPicture = 1 << 15
