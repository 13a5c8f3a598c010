package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// mtmdEncoder lets libmtmd run the families that have no native tower: Qwen-VL, Gemma, SmolVLM, InternVL, Pixtral and others.
type mtmdEncoder struct {
	c     *mtmd.Context
	kind  string
	id    string
	whole int
}

func openMtmd(ctx context.Context, path string, lm *llama.Model, e *Engine) (encoder, error) {
	info, err := libmtmd.Inspect(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	c, err := mtmd.New(ctx, path, lm, mtmd.Params{Threads: e.threads, Hook: e.thread.hook})
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
	m := &mtmdEncoder{c: c, kind: info.Projector, id: info.Identity}
	if err := m.probe(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrModelFile, path, err)
	}
	return m, nil
}

// probe lays out a large picture. It finds out how much must go through in one decode, and whether the language model has the tokens
// that the family writes around a picture.
func (e *mtmdEncoder) probe(ctx context.Context) error {
	pieces, err := e.prepare(ctx, imaging.NewRGB(2048, 1024)) // of a shape that families with tiles cut
	if err != nil {
		return err
	}
	var p prompt
	p.add(pieces...)
	defer p.close()
	for _, x := range pieces {
		if x.picture != nil && x.picture.whole {
			e.whole = max(e.whole, x.picture.n+x.picture.n/4) // pictures of other shapes can have some more
		}
	}
	return nil
}

func (e *mtmdEncoder) name() string        { return "mtmd" }
func (e *mtmdEncoder) projector() string   { return e.kind }
func (e *mtmdEncoder) identity() string    { return e.id }
func (e *mtmdEncoder) bringsMarkers() bool { return true }
func (e *mtmdEncoder) wholePictures() int  { return e.whole }
func (e *mtmdEncoder) Close() error        { return e.c.Close() }

// target asks for full size: libmtmd cuts tiles by the picture's own size.
func (e *mtmdEncoder) target() func(w, h int) (int, int) { return nil }

// prepare lets libmtmd cut a picture into tiles and add the tokens that the family wants around them.
func (e *mtmdEncoder) prepare(_ context.Context, img *imaging.RGB) ([]piece, error) {
	bitmap, err := mtmd.Image("", img.W, img.H, img.Pix)
	if err != nil {
		return nil, err
	}
	chunks, err := e.c.Tokenize(e.c.Marker(), []mtmd.Bitmap{bitmap}, false, true)
	if err != nil {
		return nil, err
	}
	var pieces []piece
	var last *pictureInput
	for _, chunk := range chunks.List() {
		if chunk.Kind == mtmd.Text {
			if slices.Contains(chunk.Tokens, llama.NoToken) {
				chunks.Close()
				return nil, fmt.Errorf("%w: the language model has no token for what a %s projector writes around pictures", ErrMismatch, e.kind)
			}
			pieces = append(pieces, piece{tokens: chunk.Tokens})
			continue
		}
		last = &pictureInput{n: chunk.NTokens, advance: llama.Pos(chunk.NPos), whole: chunk.NonCausal, positions: chunk.Positions, handle: chunk}
		pieces = append(pieces, piece{picture: last})
	}
	if last == nil {
		chunks.Close()
		return nil, errors.New("libmtmd made no image tokens of it")
	}
	last.close = func() { chunks.Close() } // the chunks of one picture are one allocation
	return pieces, nil
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
