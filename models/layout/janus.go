package layout

import (
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// janus lays out for Janus and Janus-Pro: JanusImageProcessor and JanusProcessor of transformers
// 5.24. A picture is scaled until its longer side is that of the tower, no side being less than
// janusLeast, and then padded with the colour of the mean; LLaVA pads first.
type janus struct {
	grid
	margin [3]uint8
}

// janusLeast is the processor's min_size in pixels.
const janusLeast = 14

func newJanus(f *gguf.File, _ Options) (Layout, error) {
	l := &janus{margin: [3]uint8{127, 127, 127}}
	mean, _ := f.Floats("clip.vision.image_mean")
	for i, x := range mean[:min(len(mean), 3)] {
		l.margin[i] = uint8(min(max(float64(x)*255, 0), 255))
	}
	var err error
	l.grid, err = readGrid(f, "projector.scale_factor", 1)
	if err == nil && l.size < janusLeast {
		err = fmt.Errorf("clip.vision.image_size %d is less than %d", l.size, janusLeast)
	}
	return l, err
}

func (l *janus) Variable() bool { return false }
func (l *janus) MaxTokens() int { return l.tokens() }
func (l *janus) String() string { return fmt.Sprintf("janus %d margin %v", l.size, l.margin) }

// Plan follows resize and pad_to_square of image_processing_pil_janus.py.
func (l *janus) Plan(w, h int) (*Plan, error) {
	if err := checkPicture(w, h); err != nil {
		return nil, err
	}
	scale := float64(l.size) / float64(max(w, h))
	side := func(n int) int { return max(int(math.RoundToEven(float64(n)*scale)), janusLeast) }
	p := whole(side(w), side(h), imaging.Bicubic, l.tokens(), "<begin_of_image>", "<end_of_image>")
	p.Steps[0].Square, p.Steps[0].Margin = l.size, l.margin
	p.Views[0].W, p.Views[0].H = l.size, l.size
	return p, nil
}
