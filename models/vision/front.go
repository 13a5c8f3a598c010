package vision

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/llava"
)

var (
	// errClosed is what a closed tower answers.
	errClosed = errors.New("vision: the tower is closed")
	// errJobClosed is what a closed job answers, errUnfinished one that has no rows yet.
	errJobClosed  = errors.New("vision: the job is closed")
	errUnfinished = errors.New(
		"vision: the picture is not fully encoded; advance the job to its end first")
)

// front is what the implementations of [Encoder] share: the description of the tower, and the
// layout of pictures: LLaVA's (package llava), or that of another family (package layout).
type front struct {
	info    Info
	d       *description
	layout  llava.Layout
	rule    layout.Layout // nil for LLaVA's
	newline []float32     // the newline embedding, where LLaVA's layout has one
	rowEnd  []float32     // what stands between the rows of a picture, or nil
}

// MaxTokens is the most tokens of a picture in families whose pictures may have any size: Qwen's
// processors alone allow more, 16384.
const MaxTokens = 4096

// newFront makes the front of a tower from its metadata. Width and Identity are
// known only when the tensors are read.
func newFront(file *gguf.File, d *description, backend, precision string) (front, error) {
	f := front{d: d, info: Info{
		Family: d.Family, Projector: d.Projector, Backend: backend, Precision: precision,
		ImageSize: d.ImageSize, PatchSize: d.PatchSize, TileTokens: d.tokensOf(d.ImageSize,
			d.ImageSize),
		Blocks: d.depth(), Hidden: d.Hidden,
	}}
	rule, err := layout.New(file, layout.Options{Tokens: MaxTokens})
	if err == nil {
		f.rule, f.info.Layout = rule, rule.String()
		if d.Whole {
			f.info.Whole = rule.MaxTokens()
		}
		return f, nil
	}
	if !errors.Is(err, layout.ErrUnknown) {
		return front{}, fmt.Errorf("vision: %w", err)
	}
	f.layout, err = llava.FromMetadata(llava.Metadata{
		Size: d.ImageSize, Patch: d.PatchSize, Mean: d.Mean,
		AspectRatio: d.Tiling.AspectRatio, MergeType: d.Tiling.MergeType,
		GridPinpoints: d.Tiling.Pinpoints,
	})
	if errors.Is(err, llava.ErrUnsupported) {
		return front{}, fmt.Errorf("%w (%w)", ErrUnknownTower, err)
	}
	if err != nil {
		return front{}, fmt.Errorf("vision: %w", err)
	}
	f.info.Layout = f.layout.Aspect.String()
	return f, nil
}

// setHead takes what the head tells about the layout.
func (f *front) setHead(h *head) error {
	f.info.Width = h.width()
	f.rowEnd = h.rowEnd
	if f.rule != nil || !f.layout.HasNewline() {
		return nil
	}
	if h.newline == nil {
		return fmt.Errorf("vision: no tensor %s, which the merge type spatial_unpad needs",
			newlineNames[0])
	}
	f.newline = h.newline
	return nil
}

// Info implements [Encoder].
func (f *front) Info() Info { return f.info }

// Plan implements [Encoder].
func (f *front) Plan(w, h int) (*Plan, error) {
	if f.rule != nil {
		return f.planByRule(w, h, 0)
	}
	own, err := f.layout.Plan(w, h)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	p := &Plan{W: w, H: h, Parts: []Part{{Tokens: len(own.Rows), Advance: len(own.Rows)}}}
	if p.TargetW, p.TargetH = f.layout.Target(w, h); !f.sameShrunk(own, w, h) {
		p.TargetW, p.TargetH = 0, 0
	}
	return p, nil
}

// sameShrunk reports whether a picture is laid out alike when it is decoded to a half, a quarter or
// an eighth.
func (f *front) sameShrunk(own llava.Plan, w, h int) bool {
	if f.layout.Aspect != llava.AnyRes {
		return true
	}
	for n := 2; n <= 8 && w%n == 0 && h%n == 0; n *= 2 {
		if small, err := f.layout.Plan(w/n, h/n); err == nil &&
			(small.Resolution != own.Resolution || len(small.Rows) != len(own.Rows)) {
			return false
		}
	}
	return true
}

// Prepare implements [Encoder].
func (f *front) Prepare(ctx context.Context, plan *Plan, img *imaging.RGB) (*Input, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.rule != nil {
		return f.prepareByRule(ctx, plan, img)
	}
	own, err := f.layout.Plan(plan.W, plan.H)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	tiles, err := f.layout.TilesContext(ctx, img)
	if err != nil {
		return nil, err
	}
	if len(tiles) != own.Tiles || len(own.Rows) != plan.Tokens() {
		return nil, fmt.Errorf(
			"vision: %d x %d pixels are laid out as %d tiles, and the %d x %d of the plan as %d",
			img.W, img.H, len(tiles), plan.W, plan.H, own.Tiles)
	}
	return &Input{Tokens: len(own.Rows), Parts: 1, Tiles: tiles, plan: own}, nil
}

// PlanWithin implements [Bounded].
func (f *front) PlanWithin(w, h, tokens int) (plan *Plan, ok bool, err error) {
	if _, ok = f.rule.(layout.Bounded); !ok {
		return nil, false, nil
	}
	plan, err = f.planByRule(w, h, tokens)
	return plan, true, err
}

// ruleWithin is the family's layout, of a setting that keeps a picture within a bound of tokens
// unless that is 0.
func (f *front) ruleWithin(w, h, tokens int) layout.Layout {
	if b, ok := f.rule.(layout.Bounded); ok && tokens > 0 {
		return b.Within(w, h, tokens)
	}
	return f.rule
}

// planByRule is Plan by the family's layout: each view is a part.
func (f *front) planByRule(w, h, within int) (*Plan, error) {
	own := f.ruleWithin(w, h, within)
	rule, err := own.Plan(w, h)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	p := &Plan{W: w, H: h, After: rule.After, Layout: own.String(), Within: within}
	p.TargetW, p.TargetH = rule.Target()
	for _, v := range rule.Views {
		if err := f.d.checkSize(v.W, v.H); err != nil {
			return nil, fmt.Errorf("vision: a view has %w", err)
		}
		if n := f.d.tokensOf(v.W, v.H); n != v.Tokens {
			return nil, fmt.Errorf(
				"vision: the tower makes %d tokens of %d x %d pixels, and the family's layout %d",
				n, v.W, v.H, v.Tokens)
		}
		part := Part{Before: v.Before, Tokens: v.Tokens, Advance: v.Tokens, Whole: f.d.Whole}
		if f.d.MRoPE {
			part.Places, part.Advance = f.d.places(v.W, v.H)
		}
		p.Parts = append(p.Parts, part)
	}
	return p, nil
}

// prepareByRule is Prepare by the family's layout.
func (f *front) prepareByRule(ctx context.Context, plan *Plan, img *imaging.RGB) (*Input, error) {
	rule, err := f.ruleWithin(plan.W, plan.H, plan.Within).Plan(plan.W, plan.H)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	views, err := rule.Pictures(ctx, img)
	if err != nil {
		return nil, err
	}
	return &Input{Tokens: plan.Tokens(), Parts: len(views), Tiles: views}, nil
}

// part returns the part of an Input that a job is for.
func (f *front) part(in *Input, part int) *Input {
	if in.Parts < 2 {
		return in
	}
	tile := in.Tiles[part]
	return &Input{Tokens: f.d.tokensOf(tile.W, tile.H), Parts: 1, Tiles: []*imaging.RGB{tile}}
}

// assemble makes image tokens of the tower's rows of all tiles. It may return rows
// itself.
func (f *front) assemble(in *Input, rows []float32) ([]float32, error) {
	if in.plan.Tiles <= 1 {
		return rows, nil // whose rows are the tokens in order
	}
	tokens := make([]float32, len(in.plan.Rows)*f.info.Width)
	if err := in.plan.Assemble(tokens, rows, f.newline, f.info.Width); err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	return tokens, nil
}

// check tells whether the tower can take a part of an Input.
func (f *front) check(in *Input, part int) error {
	if err := in.checkPart(part); err != nil {
		return err
	}
	if len(in.Tiles) == 0 {
		return errors.New("vision: the input has no tiles")
	}
	if in.plan.Tiles > 0 && in.plan.Tiles != len(in.Tiles) {
		return fmt.Errorf("vision: %d tiles, laid out as %d", len(in.Tiles), in.plan.Tiles)
	}
	if in.Parts > 1 && len(in.Tiles) != in.Parts {
		return fmt.Errorf("vision: %d tiles for %d parts", len(in.Tiles), in.Parts)
	}
	for i, tile := range in.Tiles {
		if err := tile.Check(); err != nil {
			return fmt.Errorf("vision: tile %d: %w", i, err)
		}
		if err := f.d.checkSize(tile.W, tile.H); err != nil {
			return fmt.Errorf("vision: tile %d has %w", i, err)
		}
	}
	return nil
}
