package layout

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// gemma3 lays out for Gemma 3: Gemma3ImageProcessor and Gemma3Processor of transformers 5.24
// without pan and scan, which is off unless asked for. Any picture is stretched to the tower's
// square, and the prompt has empty lines around it.
type gemma3 struct{ grid }

func newGemma3(f *gguf.File, _ Options) (Layout, error) {
	g, err := readGrid(f, "projector.scale_factor", 4)
	return &gemma3{g}, err
}

func (l *gemma3) Variable() bool { return false }
func (l *gemma3) MaxTokens() int { return l.tokens() }
func (l *gemma3) String() string { return fmt.Sprintf("gemma3 %d", l.size) }

func (l *gemma3) Plan(w, h int) (*Plan, error) {
	if err := checkPicture(w, h); err != nil {
		return nil, err
	}
	return whole(l.size, l.size, imaging.Bilinear, l.tokens(), "\n\n<start_of_image>",
		"<end_of_image>\n\n"), nil
}
