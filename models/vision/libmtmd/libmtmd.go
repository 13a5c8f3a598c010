// Package libmtmd lets libmtmd of llama.cpp run the towers of vision models, behind the interface
// that the towers of this project have:
//
//	enc, err := libmtmd.Open(ctx, "mmproj.gguf", libmtmd.Options{})
//	plan, err := enc.Plan(4000, 3000)
//	in, err := enc.Prepare(ctx, plan, picture)
//	rows, err := vision.Encode(ctx, enc, in)
//
// It knows the families that package vision does not: those of Qwen-VL, Gemma 3, SmolVLM, InternVL,
// Pixtral and others. Pictures are laid out by package layout, and libmtmd gets views that its own
// rule leaves as they are. Families that package layout does not know are laid out by libmtmd. It
// also runs the towers that package vision knows, for comparisons, though CLIP towers not as they
// were trained: see [vision.LibmtmdFault].
package libmtmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/mmproj"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Encoder is a [vision.Encoder] over libmtmd. A step of its jobs is one stretch of image tokens,
// which is one tile in families that cut pictures and the whole picture in others; when the context
// is done, a step is given up within a few nodes of the graph and begins anew at the next call.
//
// Advance computes on the OpenMP team of the calling thread, and must be called from the compute
// thread of the process.
type Encoder struct {
	info    vision.Info
	c       *mtmd.Context
	model   *llama.Model // the language model
	standIn bool         // it is the Encoder's own
	rule    layout.Layout

	mu     sync.Mutex
	sizes  map[[2]int]*vision.Plan // libmtmd's own plans, by width and height of a picture
	closed bool
}

// Options are the choices in opening an [Encoder]. The zero value is ready for use.
type Options struct {
	// Threads is the number of compute threads; 0 means GOMAXPROCS.
	Threads int
	// Model is the language model that the tower belongs to. It can be closed once the Encoder is.
	// Nil lets a stand-in without layers take its place, of the width that the projector wants: the
	// embeddings are the same.
	Model *llama.Model
	// Devices are those that may compute, of which the first does; nil means the GPUs of Model, an
	// empty list the CPU.
	Devices []ggml.Device
	// NoAccelerator lets ggml's own CPU backend compute alone.
	NoAccelerator bool
	// Collector, if not nil, adds up the inputs of the tower's matrices; see
	// llama.NewTowerCollector. It must outlive the Encoder.
	Collector *llama.Collector
	// AsIs leaves the layout of pictures to libmtmd in families that package layout knows too, and
	// reads the file as it stands.
	AsIs bool
}

// place says where a model's encoder computes.
func (opt *Options) place(params *mtmd.Params) {
	gpus := opt.Devices
	if gpus == nil { // towers are computed on this machine
		gpus = slices.DeleteFunc(slices.Clone(opt.Model.GPUs()), func(d ggml.Device) bool {
			return d.Remote != nil
		})
	}
	if params.NoGPU = len(gpus) == 0; !params.NoGPU {
		params.Device = &gpus[0]
	}
}

var (
	// ErrVocabulary is the error of a language model without a token that a family writes beside
	// pictures.
	ErrVocabulary = errors.New("the language model lacks a token of this projector")
	// errClosed is what a closed encoder answers.
	errClosed = errors.New("libmtmd: the tower is closed")
)

// maxVariableTokens is the most tokens of a picture in families whose pictures have any size.
// libmtmd masks the attention of all patches, four a token, with a matrix of them squared: 1 GB at
// this size, 15 GB for the 16384 tokens that Qwen's processor allows.
const maxVariableTokens = 4096

// Open loads the tower in an mmproj file so that each picture is computed as the model was trained:
// where libmtmd would read the file wrongly, it gets a mended copy, which is in the folder for
// temporary files until it is loaded. Errors name the file and what is wrong with it; numbers in it
// that would make the library abort the process are refused.
func Open(ctx context.Context, path string, opt Options) (*Encoder, error) {
	e, err := load(ctx, path, opt)
	if err == nil {
		return e, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("libmtmd: %s: %w", path, err)
}

func load(ctx context.Context, path string, opt Options) (e *Encoder, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e = &Encoder{sizes: map[[2]int]*vision.Plan{}}
	if err := mmproj.CheckTower(f, opt.AsIs); err != nil {
		return nil, err
	}
	if e.info, err = describe(ctx, f); err != nil {
		return nil, err
	}
	params := mtmd.Params{Threads: opt.Threads, NoAccelerator: opt.NoAccelerator,
		Observer: opt.Collector}
	if !opt.AsIs {
		if err := e.chooseLayout(f, &params); err != nil {
			return nil, err
		}
		mended, remove, err := mmproj.Mend(ctx, f)
		if err != nil {
			return nil, err
		}
		defer remove()
		path = mended
	}
	if e.model = opt.Model; e.model != nil {
		opt.place(&params)
		e.c, err = mtmd.New(ctx, path, e.model, params)
	} else {
		e.standIn = true
		e.c, e.model, err = openBesideStandIn(ctx, path, mmproj.Width(f), params)
	}
	if err != nil {
		return nil, err
	}
	if err := e.probe(); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// chooseLayout finds the layout of the file's family, and says what to say of it where package
// layout has none.
func (e *Encoder) chooseLayout(f *gguf.File, params *mtmd.Params) (err error) {
	e.rule, err = layout.New(f, layout.Options{Tokens: maxVariableTokens})
	switch {
	case e.info.Family == "clip":
		e.info.Caution = "libmtmd computes this tower with wrong positions; " +
			"the native encoder computes it as it was trained"
	case errors.Is(err, layout.ErrUnknown):
		e.info.Caution = "pictures are " + layout.StandingOf(f).Text
	}
	if errors.Is(err, layout.ErrUnknown) {
		e.rule = nil // and no Layout that holds nil
		return nil
	}
	if err == nil {
		if e.rule.Variable() {
			params.ImageMinTokens, params.ImageMaxTokens = 1, e.rule.MaxTokens()
		}
	}
	return err
}

// probe plans a picture of the tower's own size, for the tokens of a tile, and a large one of a
// shape that families with tiles cut: for what must go through in one decode, and whether libmtmd
// takes the views of the family's layout as they are.
func (e *Encoder) probe() error {
	if !e.c.Capabilities().Vision {
		return errors.New("it has no vision tower")
	}
	e.info.Width = e.c.NEmbd()
	own, err := e.own(max(e.info.ImageSize, 2), max(e.info.ImageSize, 2))
	if err != nil {
		return err
	}
	e.info.TileTokens = own.Tokens()
	large, err := e.Plan(2048, 1024)
	if err != nil {
		return err
	}
	for _, p := range large.Parts {
		switch {
		case !p.Whole:
		case e.rule != nil:
			e.info.Whole = e.rule.MaxTokens()
		default:
			// pictures of other shapes can have some more
			e.info.Whole = max(e.info.Whole, p.Tokens+p.Tokens/4)
		}
	}
	return nil
}

// Info implements [vision.Encoder]. Family is the kind of projector where that is all that is known
// of the tower. Precision is the tensor type that most of the weights have, in small letters:
// products are computed as the library sees fit for it. TileTokens are those of a picture of
// ImageSize.
func (e *Encoder) Info() vision.Info { return e.info }

// Plan implements [vision.Encoder]. Sizes that the library or the family's processor refuses are
// errors.
func (e *Encoder) Plan(w, h int) (*vision.Plan, error) {
	if e.rule == nil {
		return e.own(w, h)
	}
	return e.planByRule(w, h, 0)
}

// PlanWithin implements [vision.Bounded].
func (e *Encoder) PlanWithin(w, h, tokens int) (plan *vision.Plan, ok bool, err error) {
	if _, ok = e.rule.(layout.Bounded); !ok {
		return nil, false, nil
	}
	plan, err = e.planByRule(w, h, tokens)
	return plan, true, err
}

// ruleWithin is the family's layout, of a setting that keeps a picture within a bound of tokens
// unless that is 0.
func (e *Encoder) ruleWithin(w, h, tokens int) layout.Layout {
	if b, ok := e.rule.(layout.Bounded); ok && tokens > 0 {
		return b.Within(w, h, tokens)
	}
	return e.rule
}

// planByRule plans a picture as the family's layout has it.
func (e *Encoder) planByRule(w, h, within int) (*vision.Plan, error) {
	setting := e.ruleWithin(w, h, within)
	rule, err := setting.Plan(w, h)
	if err != nil {
		return nil, err
	}
	p := &vision.Plan{W: w, H: h, After: rule.After, Layout: setting.String(), Within: within}
	p.TargetW, p.TargetH = rule.Target()
	for _, v := range rule.Views {
		own, err := e.own(v.W, v.H)
		if err != nil {
			return nil, err
		}
		// What libmtmd writes around the view is left out, and so are the tiles that it cuts of it
		// besides: the view itself comes last.
		part := own.Parts[len(own.Parts)-1]
		if part.Tokens != v.Tokens {
			return nil, fmt.Errorf(
				"libmtmd makes %d tokens of %d x %d pixels, and a %s projector's own processor %d",
				part.Tokens, v.W, v.H, e.info.Projector, v.Tokens)
		}
		part.Before = v.Before
		p.Parts = append(p.Parts, part)
	}
	return p, nil
}

// maxSizes bounds how many plans are remembered; one of thousands of places takes some 64 KiB.
const maxSizes = 256

// own is what libmtmd makes of a picture of w by h pixels, by its own rule.
func (e *Encoder) own(w, h int) (*vision.Plan, error) {
	e.mu.Lock()
	p, ok := e.sizes[[2]int{w, h}]
	e.mu.Unlock()
	if ok {
		return p, nil
	}
	if min(w, h) < 2 { // its bilinear resampling asserts two
		return nil, fmt.Errorf("%w: %d x %d pixels", layout.ErrShape, w, h)
	}
	bitmap, err := mtmd.Blank(w, h)
	if err != nil {
		return nil, err
	}
	chunks, err := e.tokenize(bitmap)
	if err != nil {
		return nil, err
	}
	defer chunks.Close()
	if p, err = e.planOf(chunks); err != nil {
		return nil, err
	}
	p.W, p.H = w, h
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.sizes) == maxSizes {
		clear(e.sizes)
	}
	e.sizes[[2]int{w, h}] = p
	return p, nil
}

// planOf turns chunks into a plan.
func (e *Encoder) planOf(chunks *mtmd.Chunks) (*vision.Plan, error) {
	p := &vision.Plan{}
	text := ""
	for _, c := range chunks.List() {
		if c.Kind == mtmd.Text {
			if e.rule != nil || e.standIn {
				// the family's layout says what stands there, and a stand-in has no such tokens
				continue
			}
			more, err := e.text(c.Tokens)
			if err != nil {
				return nil, err
			}
			text += more
			continue
		}
		part := vision.Part{Before: text, Tokens: c.NTokens, Advance: c.NPos, Whole: c.NonCausal}
		if e.c.Capabilities().MRoPE {
			var err error
			if part.Places, err = placesOf(c); err != nil {
				return nil, err
			}
		}
		p.Parts, text = append(p.Parts, part), ""
	}
	p.After = text
	return p, nil
}

// placesOf are the positions of a chunk's tokens from its first on, nil if they count up.
func placesOf(c *mtmd.Chunk) ([][4]int32, error) {
	places, counts := make([][4]int32, c.NTokens), true
	at, err := c.Positions(0)
	if err != nil {
		return nil, err
	}
	next, err := c.Positions(1)
	if err != nil {
		return nil, err
	}
	for i, p := range at {
		for k := range p {
			places[i][k] = int32(p[k])
			counts = counts && (places[i][k] == int32(i) || k == 3)
		}
		if !counts && (next[i] != [4]llama.Pos{p[0] + 1, p[1] + 1, p[2] + 1, p[3]} ||
			at[0][0] != 0) {
			return nil, fmt.Errorf(
				"libmtmd places token %d at %v, and at %v one position further on", i, p, next[i])
		}
	}
	if counts {
		return nil, nil
	}
	return places, nil
}

// text is the text of tokens, control tokens included.
func (e *Encoder) text(tokens []llama.Token) (string, error) {
	var b strings.Builder
	for _, t := range tokens {
		if t == llama.NoToken {
			return "", fmt.Errorf("%w: one that a %s projector writes beside pictures, after %q",
				ErrVocabulary, e.info.Projector, b.String())
		}
		b.Write(e.model.Vocab().Piece(t, true))
	}
	return b.String(), nil
}

// tokenize lets the library cut a picture into chunks, one of image tokens at least.
func (e *Encoder) tokenize(bitmap mtmd.Bitmap) (*mtmd.Chunks, error) {
	chunks, err := e.c.Tokenize(e.c.Marker(), []mtmd.Bitmap{bitmap}, false, true)
	switch {
	case errors.Is(err, mtmd.ErrClosed):
		return nil, errClosed
	case err == nil && len(pictureChunks(chunks)) == 0:
		chunks.Close()
		return nil, errors.New("libmtmd made no image tokens of it")
	}
	return chunks, err
}

// pictureChunks are the chunks that have embeddings.
func pictureChunks(chunks *mtmd.Chunks) (list []*mtmd.Chunk) {
	for _, c := range chunks.List() {
		if c.Kind != mtmd.Text {
			list = append(list, c)
		}
	}
	return list
}

// Lost returns why pictures are encoded no more, nil while they are: the device is lost.
func (e *Encoder) Lost() error { return e.c.Lost() }

// Close implements [vision.Encoder].
func (e *Encoder) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	err := e.c.Close()
	if e.standIn {
		err = errors.Join(err, e.model.Close())
	}
	return err
}

// describe reads what a projector file's metadata tells of a tower that was checked.
func describe(ctx context.Context, f *gguf.File) (info vision.Info, err error) {
	// mmproj.CheckTower has bounded them
	number := func(key string) int { n, _ := f.Uint("clip.vision." + key); return int(n) }
	info = vision.Info{
		Projector: f.ProjectorKind(), Backend: "mtmd", ImageSize: number("image_size"),
		PatchSize: number("patch_size"),
		Blocks:    number("block_count"), Hidden: number("embedding_length"),
	}
	info.Family = mmproj.Family(f, info.Projector)
	if types := f.Types(); len(types) > 0 {
		info.Precision = strings.ToLower(types[0].Type.String())
	}
	info.Identity, err = mmproj.Identity(ctx, f, info.Projector)
	return info, err
}
