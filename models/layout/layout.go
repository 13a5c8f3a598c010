// Package layout says how each vision family's processor lays a picture out for its tower, as
// transformers does it, which is how the families were trained.
//
// A [Layout] knows one family's rule. Of a picture's size alone it makes a [Plan]: how the picture
// is resampled, which parts of it the tower sees, in which order, how many tokens each becomes, and
// what the prompt says before, between and behind them. The plan needs no pixels, so that tokens
// can be counted from a file's header; [Plan.Pictures] carries it out.
//
//	l, err := layout.New(projectorFile, layout.Options{})
//	plan, err := l.Plan(4000, 3000)
//	pictures, err := plan.Pictures(ctx, img)   // one for each of plan.Views
//
// Each family stands in a file of its own, which names the processor that it follows and the
// version. Resampling is Pillow's (package imaging), which the families were trained with; the
// processors that transformers runs over torchvision instead differ from that in single steps of
// 255.
//
// LLaVA's layouts, whose tokens come from several tiles at once, are in package llava.
package layout

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// ErrUnknown says that this package does not know the family of a projector.
var ErrUnknown = errors.New("layout: no layout of this family is known")

// ErrShape says that a family's processor refuses a picture for its shape.
var ErrShape = errors.New("the model takes no picture of this shape")

// A Layout is one family's rule. It may be used by several goroutines.
type Layout interface {
	// Plan returns what becomes of a picture of w by h pixels. Errors match ErrShape where the
	// family's own processor refuses it.
	Plan(w, h int) (*Plan, error)
	// Variable reports whether the tower takes pictures of any size. If not, all views have the
	// same.
	Variable() bool
	// MaxTokens is the most tokens that a view can become.
	MaxTokens() int
	// String names the family with all that decides its plans: two Layouts of the same string make
	// the same ones.
	String() string
}

// A Bounded is a Layout that makes as many tokens of a picture however small it is, by its shape
// alone, so that fewer can only come of another setting of the family's processor.
type Bounded interface {
	Layout
	// Within returns the Layout of the setting that makes the most tokens of a picture of w by h
	// pixels among those that make no more than that many, or the fewest where all make more.
	Within(w, h, tokens int) Layout
}

// Options are the choices in making a Layout. The zero value is what the processor does.
type Options struct {
	// Tokens lowers the most tokens of a picture, in families whose processor takes such a limit; 0
	// leaves the processor's own.
	Tokens int
}

// A Plan is what becomes of one picture.
type Plan struct {
	// Steps resample, each the picture or the result of a step before.
	Steps []Step
	// Views are what the tower sees, in the order of the prompt.
	Views []View
	// After is the text behind the last view. As View.Before it is the template's kind of text:
	// control tokens in it are meant.
	After string
}

// Original is the Of and From of the picture itself.
const Original = -1

// A Step resamples a picture to W by H pixels without regard to its shape.
type Step struct {
	From   int // index of the step whose result is resampled, or Original
	W, H   int
	Filter imaging.Filter
	// Square, if not 0, is the side of a square of the colour Margin in whose middle the result is
	// laid; at an odd rest, left and top are less.
	Square int
	Margin [3]uint8
}

// A View is a picture that the tower sees.
type View struct {
	Before     string // text that the prompt has before it
	Of         int    // index of the step of whose result the view is a part, or Original
	X, Y, W, H int    // the part
	Tokens     int    // image tokens that the tower makes of it
}

// Tokens returns the number of image tokens of all views.
func (p *Plan) Tokens() (n int) {
	for _, v := range p.Views {
		n += v.Tokens
	}
	return n
}

// Target returns a size that holds all that the plan takes of the picture: imaging.Options.Target.
// It is 0, 0 where that is all of it.
func (p *Plan) Target() (w, h int) {
	for _, s := range p.Steps {
		if s.From == Original {
			w, h = max(w, s.W), max(h, s.H)
		}
	}
	for _, v := range p.Views {
		if v.Of == Original {
			return 0, 0
		}
	}
	return w, h
}

// Pictures carries the plan out: one picture for each view. A view that is the whole of a step's
// result shares its pixels, and one of the whole original may be img itself. When ctx is done it
// gives up with ctx's error.
func (p *Plan) Pictures(ctx context.Context, img *imaging.RGB) ([]*imaging.RGB, error) {
	if err := img.Check(); err != nil {
		return nil, fmt.Errorf("layout: %w", err)
	}
	made := make([]*imaging.RGB, 0, len(p.Steps))
	of := func(i int) *imaging.RGB {
		if i == Original {
			return img
		}
		return made[i]
	}
	for _, s := range p.Steps {
		out, err := imaging.ResizeContext(ctx, of(s.From), s.W, s.H, s.Filter)
		if err != nil {
			return nil, fmt.Errorf("layout: %w", err)
		}
		if s.Square != 0 {
			out = pad(out, s.Square, s.Margin)
		}
		made = append(made, out)
	}
	var views []*imaging.RGB
	for _, v := range p.Views {
		views = append(views, cut(of(v.Of), v.X, v.Y, v.W, v.H))
	}
	return views, nil
}

// cut returns a part of a picture, the picture itself where that is all of it.
func cut(src *imaging.RGB, x, y, w, h int) *imaging.RGB {
	if x == 0 && y == 0 && w == src.W && h == src.H {
		return src
	}
	out := imaging.NewRGB(w, h)
	for row := range h {
		copy(out.Pix[3*w*row:3*w*(row+1)], src.Pix[3*((y+row)*src.W+x):])
	}
	return out
}

// pad lays a picture in the middle of a square.
func pad(src *imaging.RGB, side int, colour [3]uint8) *imaging.RGB {
	if src.W == side && src.H == side {
		return src
	}
	out := imaging.NewRGB(side, side)
	for i := 0; i < len(out.Pix); i += 3 {
		copy(out.Pix[i:], colour[:])
	}
	x, y := (side-src.W)/2, (side-src.H)/2
	for row := range src.H {
		copy(out.Pix[3*((y+row)*side+x):], src.Pix[3*src.W*row:3*src.W*(row+1)])
	}
	return out
}

// whole is the plan of a family that shows its tower the picture once, resampled.
func whole(w, h int, filter imaging.Filter, tokens int, before, after string) *Plan {
	return &Plan{
		Steps: []Step{{From: Original, W: w, H: h, Filter: filter}},
		Views: []View{{Before: before, W: w, H: h, Tokens: tokens}},
		After: after,
	}
}

// families make a Layout of a projector file, by the projector's kind as llama.cpp's converters
// call it.
var families = map[string]func(f *gguf.File, opt Options) (Layout, error){
	"qwen2vl_merger":   newQwen2VL,
	"qwen2.5vl_merger": newQwen2VL,
	"qwen3vl_merger":   newQwen3VL,
	"glm4v":            newGLM4V,
	"gemma3":           newGemma3,
	"gemma4v":          newGemma4,
	"internvl":         newInternVL,
	"pixtral":          newPixtral,
	"idefics3":         newIdefics3,
	"janus_pro":        newJanus,
}

// New returns the layout of a projector file, ErrUnknown where this package has none. Its numbers
// may be hostile.
func New(f *gguf.File, opt Options) (Layout, error) {
	kind := f.ProjectorKind()
	make, ok := families[kind]
	if !ok {
		return nil, fmt.Errorf("%w: %.40q", ErrUnknown, kind)
	}
	l, err := make(f, opt)
	if err != nil {
		return nil, fmt.Errorf("layout: %w", err)
	}
	return l, nil
}

// Bounds of what a file may say of sizes, far above what any tower takes.
const (
	maxTile   = 1 << 13 // pixels of a side
	maxPatch  = 1 << 8
	maxMerge  = 1 << 5
	maxPixels = 1 << 28
	maxSide   = 1 << 24 // of a picture
)

// checkPicture refuses sizes that no picture has, so that arithmetic on the rest cannot overflow.
func checkPicture(w, h int) error {
	if w < 1 || h < 1 || w > maxSide || h > maxSide {
		return fmt.Errorf("layout: a picture of %d x %d pixels", w, h)
	}
	return nil
}

// refuse returns an ErrShape that says why.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrShape, fmt.Sprintf(format, args...))
}

// number reads a number of the vision tower between least and most; otherwise says what a missing
// one is, 0 for a fault.
func number(f *gguf.File, key string, least, most, otherwise int) (int, error) {
	key = "clip.vision." + key
	v, ok := f.Lookup(key)
	if !ok && otherwise > 0 {
		return otherwise, nil
	}
	n, ok := v.Uint()
	if !ok || n < uint64(least) || n > uint64(most) {
		return 0, fmt.Errorf("%s is missing or not between %d and %d", key, least, most)
	}
	return int(n), nil
}

// grid is a square tile with square patches, merge x merge of which become a token.
type grid struct{ size, patch, merge int }

// readGrid reads a tile's sizes, which must come out even.
func readGrid(f *gguf.File, mergeKey string, merge int) (g grid, err error) {
	if g.size, err = number(f, "image_size", 1, maxTile, 0); err != nil {
		return g, err
	}
	if g.patch, err = number(f, "patch_size", 1, maxPatch, 0); err != nil {
		return g, err
	}
	if g.merge, err = number(f, mergeKey, 1, maxMerge, merge); err != nil {
		return g, err
	}
	if g.size < g.patch*g.merge {
		return g, fmt.Errorf("clip.vision.image_size %d is less than %d patches of %d", g.size,
			g.merge, g.patch)
	}
	return g, nil
}

// tokens is the number of tokens of a tile.
func (g grid) tokens() int {
	side := g.size / g.patch / g.merge
	return side * side
}
