package layout

import (
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// internvl lays out for InternVL 2.5 and 3: GotOcr2ImageProcessor with crop_to_patches, as
// InternVLProcessor of transformers 5.24 calls it, and dynamic_preprocess of the original code. The
// picture is stretched to the grid of tiles whose shape is nearest its own, however small it is,
// and cut; where that gives more than one tile, a view of the whole follows.
type internvl struct {
	grid
	least, most int // tiles of a grid
}

func newInternVL(f *gguf.File, _ Options) (Layout, error) {
	g, err := readGrid(f, "projector.scale_factor", 2)
	if err != nil {
		return nil, err
	}
	l := &internvl{grid: g}
	if l.least, err = number(f, "preproc_min_tiles", 1, 64, 1); err != nil {
		return nil, err
	}
	if l.most, err = number(f, "preproc_max_tiles", l.least, 64, max(12, l.least)); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *internvl) Variable() bool { return false }
func (l *internvl) MaxTokens() int { return l.tokens() }
func (l *internvl) String() string {
	return fmt.Sprintf("internvl %d tiles %d-%d", l.size, l.least, l.most)
}

func (l *internvl) Plan(w, h int) (*Plan, error) {
	if err := checkPicture(w, h); err != nil {
		return nil, err
	}
	cols, rows := l.best(w, h)
	p := &Plan{Steps: []Step{{From: Original, W: cols * l.size, H: rows * l.size,
		Filter: imaging.Bicubic}}, After: "</img>"}
	for i := range cols * rows {
		p.Views = append(p.Views, View{X: i % cols * l.size, Y: i / cols * l.size, W: l.size,
			H: l.size, Tokens: l.tokens()})
	}
	if len(p.Views) > 1 {
		p.Steps = append(p.Steps, Step{From: Original, W: l.size, H: l.size,
			Filter: imaging.Bicubic})
		p.Views = append(p.Views, View{Of: 1, W: l.size, H: l.size, Tokens: l.tokens()})
	}
	p.Views[0].Before = "<img>"
	return p, nil
}

// Within implements [Bounded]: max_patches of the processor.
func (l *internvl) Within(w, h, tokens int) Layout {
	b := *l
	for b.most = l.most; b.most > l.least; b.most-- {
		if p, err := b.Plan(w, h); err != nil || p.Tokens() <= tokens {
			break
		}
	}
	return &b
}

// best is get_optimal_tiled_canvas of image_processing_got_ocr2.py: of grids that are equally near
// the picture's shape, the later one in the order of their tiles wins if the picture has more than
// half its pixels.
func (l *internvl) best(w, h int) (cols, rows int) {
	shape, area := float64(w)/float64(h), float64(w)*float64(h)
	nearest := math.Inf(1)
	cols, rows = 1, 1
	for tiles := l.least; tiles <= l.most; tiles++ {
		for c := 1; c <= tiles; c++ {
			if tiles%c != 0 {
				continue
			}
			r := tiles / c
			off := math.Abs(shape - float64(c)/float64(r))
			if off < nearest || off == nearest && area > 0.5*float64(l.size*l.size*tiles) {
				nearest, cols, rows = off, c, r
			}
		}
	}
	return cols, rows
}
