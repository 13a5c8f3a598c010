package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// mtmdEncoder lets libmtmd run the families that have no native tower: Qwen-VL, Gemma, SmolVLM, InternVL, Pixtral and others. Pictures are
// laid out by package layout, and libmtmd gets views that its own rule leaves as they are. Families that package layout does not know
// are laid out by libmtmd.
type mtmdEncoder struct {
	c     *mtmd.Context
	vocab *llama.Vocab
	kind  string
	id    string
	whole int
	rule  layout.Layout // nil for libmtmd's own
	// caution is Info.Caution.
	caution string
}

// maxVariableTokens is the most tokens of a picture in families whose pictures have any size. libmtmd masks the attention of all patches,
// four a token, with a matrix of them squared: 1 GB at this size, 15 GB for the 16384 tokens that Qwen's processor allows.
const maxVariableTokens = 4096

func openMtmd(ctx context.Context, path string, lm *llama.Model, e *Engine) (encoder, error) {
	info, err := libmtmd.Inspect(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	rule, caution, err := openLayout(path)
	if err != nil {
		return nil, err
	}
	params := mtmd.Params{Threads: e.threads, Hook: e.thread.hook, NoGPU: len(lm.GPUs()) == 0}
	if !params.NoGPU {
		params.Device = &lm.GPUs()[0]
	}
	if rule != nil && rule.Variable() {
		params.ImageMinTokens, params.ImageMaxTokens = 1, rule.MaxTokens()
	}
	c, err := libmtmd.Load(ctx, path, lm, params)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	if !c.Capabilities().Vision {
		c.Close()
		return nil, fmt.Errorf("%w: %s has no vision tower", ErrModelFile, path)
	}
	m := &mtmdEncoder{c: c, vocab: lm.Vocab(), kind: info.Projector, id: info.Identity, rule: rule}
	if rule != nil {
		m.id += " " + rule.String()
	}
	if info.Family == "clip" {
		caution = "libmtmd computes this tower with wrong positions; the native encoder computes it as it was trained"
	}
	m.caution = caution
	if err := m.probe(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrModelFile, path, err)
	}
	return m, nil
}

// openLayout finds the layout of a projector's family, nil where package layout has none, and then what to say of it.
func openLayout(path string) (rule layout.Layout, caution string, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	defer f.Close()
	rule, err = layout.New(f, layout.Options{Tokens: maxVariableTokens})
	switch {
	case errors.Is(err, layout.ErrUnknown):
		return nil, "pictures are " + layout.StandingOf(f).Text, nil
	case err != nil:
		return nil, "", fmt.Errorf("%w: %s: %w", ErrModelFile, path, err)
	}
	return rule, "", nil
}

// probe lays out a large picture. It finds out how much must go through in one decode, whether libmtmd takes the views of the family's
// layout as they are, and whether the language model has the tokens that libmtmd writes around a picture.
func (e *mtmdEncoder) probe(ctx context.Context) error {
	pieces, err := e.prepare(ctx, imaging.NewRGB(2048, 1024)) // of a shape that families with tiles cut
	if err != nil {
		return err
	}
	defer closePieces(pieces)
	for _, x := range pieces {
		if err := e.checkMarkers(x.text); err != nil {
			return err
		}
		switch {
		case x.picture == nil || !x.picture.whole:
		case e.rule != nil:
			e.whole = e.rule.MaxTokens()
		default:
			e.whole = max(e.whole, x.picture.n+x.picture.n/4) // pictures of other shapes can have some more
		}
	}
	return nil
}

// marker is a control token in what a layout writes.
var marker = regexp.MustCompile(`<[^<>\s]+>|\[[A-Z_]+\]`)

// checkMarkers refuses a language model that has no token for a marker: it would read the marker's letters.
func (e *mtmdEncoder) checkMarkers(text string) error {
	for _, name := range marker.FindAllString(text, -1) {
		if tokens, err := e.vocab.Tokenize(name, false, true); err != nil || len(tokens) != 1 {
			return fmt.Errorf("%w: the language model has no token %s, which stands beside the pictures of a %s projector; use the model that it belongs to", ErrMismatch, name, e.kind)
		}
	}
	return nil
}

func (e *mtmdEncoder) name() string       { return "mtmd" }
func (e *mtmdEncoder) projector() string  { return e.kind }
func (e *mtmdEncoder) identity() string   { return e.id }
func (e *mtmdEncoder) wholePictures() int { return e.whole }
func (e *mtmdEncoder) Close() error       { return e.c.Close() }

// target asks for full size where libmtmd cuts tiles by the picture's own size.
func (e *mtmdEncoder) target() func(w, h int) (int, int) {
	if e.rule == nil {
		return nil
	}
	return func(w, h int) (int, int) {
		plan, err := e.rule.Plan(w, h)
		if err != nil {
			return 0, 0
		}
		return plan.Target()
	}
}

func (e *mtmdEncoder) prepare(ctx context.Context, img *imaging.RGB) ([]piece, error) {
	if e.rule == nil {
		return e.prepareByLibmtmd(img)
	}
	plan, err := e.rule.Plan(img.W, img.H)
	if err != nil {
		return nil, err
	}
	views, err := plan.Pictures(ctx, img)
	if err != nil {
		return nil, err
	}
	var pieces []piece
	for i, view := range views {
		v := plan.Views[i]
		in, err := e.take(view, v.Tokens)
		if err != nil {
			closePieces(pieces)
			return nil, err
		}
		if v.Before != "" {
			pieces = append(pieces, piece{text: v.Before})
		}
		pieces = append(pieces, piece{picture: in})
	}
	if plan.After != "" {
		pieces = append(pieces, piece{text: plan.After})
	}
	return pieces, nil
}

// take hands a view to libmtmd, which must make so many tokens of it. What libmtmd writes around it is left out, and so are the tiles that
// it cuts of it besides: the view itself comes last.
func (e *mtmdEncoder) take(view *imaging.RGB, tokens int) (*pictureInput, error) {
	chunks, err := e.tokenize(view)
	if err != nil {
		return nil, err
	}
	list := chunks.List()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Kind != mtmd.ImageChunk {
			continue
		}
		if n := list[i].NTokens; n != tokens {
			chunks.Close()
			return nil, fmt.Errorf("libmtmd makes %d tokens of %d x %d pixels, and a %s projector's own processor %d", n, view.W, view.H, e.kind, tokens)
		}
		in := newPictureInput(list[i])
		in.close = func() { chunks.Close() }
		return in, nil
	}
	chunks.Close()
	return nil, errNoImageTokens
}

var errNoImageTokens = errors.New("libmtmd made no image tokens of it")

func (e *mtmdEncoder) tokenize(img *imaging.RGB) (*mtmd.Chunks, error) {
	bitmap, err := mtmd.Image("", img.W, img.H, img.Pix)
	if err != nil {
		return nil, err
	}
	return e.c.Tokenize(e.c.Marker(), []mtmd.Bitmap{bitmap}, false, true)
}

func newPictureInput(c *mtmd.Chunk) *pictureInput {
	return &pictureInput{n: c.NTokens, advance: llama.Pos(c.NPos), whole: c.NonCausal, positions: c.Positions, handle: c}
}

// prepareByLibmtmd lets libmtmd cut a picture into tiles and say what the family wants around them.
func (e *mtmdEncoder) prepareByLibmtmd(img *imaging.RGB) ([]piece, error) {
	if min(img.W, img.H) < 2 { // its bilinear resampling asserts two
		return nil, fmt.Errorf("%w: %d x %d pixels", layout.ErrShape, img.W, img.H)
	}
	chunks, err := e.tokenize(img)
	if err != nil {
		return nil, err
	}
	var pieces []piece
	var last *pictureInput
	for _, chunk := range chunks.List() {
		if chunk.Kind == mtmd.Text {
			text, err := e.text(chunk.Tokens)
			if err != nil {
				chunks.Close()
				return nil, err
			}
			pieces = append(pieces, piece{text: text})
			continue
		}
		last = newPictureInput(chunk)
		pieces = append(pieces, piece{picture: last})
	}
	if last == nil {
		chunks.Close()
		return nil, errNoImageTokens
	}
	last.close = func() { chunks.Close() } // the chunks of one picture are one allocation
	return pieces, nil
}

// text is the text of tokens, control tokens included.
func (e *mtmdEncoder) text(tokens []llama.Token) (string, error) {
	var b strings.Builder
	for i, t := range tokens {
		if t == llama.NoToken {
			return "", fmt.Errorf("%w: the language model lacks a token that a %s projector writes beside pictures, the one after %q", ErrMismatch, e.kind, b.String())
		}
		b.Write(e.vocab.Piece(tokens[i], true))
	}
	return b.String(), nil
}

func (e *mtmdEncoder) begin(p *piece) (vision.Job, error) {
	return &mtmdJob{c: e.c, chunk: p.picture.handle.(*mtmd.Chunk)}, nil
}

// mtmdJob is the encoding of a chunk. Its only step takes seconds, in which the hook of the encoder lets others compute.
type mtmdJob struct {
	c     *mtmd.Context
	chunk *mtmd.Chunk
	rows  []float32
}

// Long implements [media.Long].
func (j *mtmdJob) Long() bool { return true }

// Advance implements [vision.Job].
func (j *mtmdJob) Advance(ctx context.Context, steps int) (err error) {
	if steps > 0 && j.rows == nil {
		j.rows, err = j.c.EncodeChunk(ctx, j.chunk)
	}
	return err
}

// Progress implements [vision.Job].
func (j *mtmdJob) Progress() (done, total int) {
	if j.rows != nil {
		done = 1
	}
	return done, 1
}

// Rows implements [vision.Job].
func (j *mtmdJob) Rows() ([]float32, error) {
	if j.rows == nil {
		return nil, errors.New("engine: the picture is not encoded yet")
	}
	return j.rows, nil
}

// Close implements [vision.Job].
func (j *mtmdJob) Close() error { return nil }
