package layout

import (
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// pixtral lays out for Pixtral and Mistral Small 3: PixtralImageProcessor of transformers 5.24. A
// picture longer than the tower's size is shrunk to it; then both sides are stretched up to whole
// tokens. The rows of tokens end with [IMG_BREAK], whose embedding libmtmd puts between the
// tower's, and the last with [IMG_END].
type pixtral struct{ grid }

func newPixtral(f *gguf.File, _ Options) (Layout, error) {
	g, err := readGrid(f, "spatial_merge_size", 1)
	return &pixtral{g}, err
}

func (l *pixtral) Variable() bool { return true }
func (l *pixtral) MaxTokens() int {
	side := (l.size-1)/(l.patch*l.merge) + 1
	return side * (side + 1)
}
func (l *pixtral) String() string {
	return fmt.Sprintf("pixtral %d token %d", l.size, l.patch*l.merge)
}

// Plan follows get_resize_output_image_size of image_processing_pixtral.py.
func (l *pixtral) Plan(w, h int) (*Plan, error) {
	if err := checkPicture(w, h); err != nil {
		return nil, err
	}
	fw, fh := w, h
	if ratio := max(float64(h)/float64(l.size), float64(w)/float64(l.size)); ratio > 1 {
		fw, fh = int(math.Floor(float64(w)/ratio)), int(math.Floor(float64(h)/ratio))
	}
	if fw < 1 || fh < 1 {
		return nil, refuse("%d x %d pixels", w, h)
	}
	token := l.patch * l.merge
	cols, rows := (fw-1)/token+1, (fh-1)/token+1
	return whole(cols*token, rows*token, imaging.Bicubic, rows*(cols+1)-1, "", "[IMG_END]"), nil
}
