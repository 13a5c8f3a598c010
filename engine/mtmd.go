package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// mtmdEncoder lets libmtmd run the families that have no native tower: Qwen-VL, Gemma, SmolVLM, InternVL, Pixtral and others.
type mtmdEncoder struct {
	c    *mtmd.Context
	kind string
	id   string
}

func openMtmd(ctx context.Context, path string, lm *llama.Model, e *Engine) (encoder, error) {
	kind, id, err := projectorIdentity(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	c, err := mtmd.New(ctx, path, lm, mtmd.Params{Threads: e.threads})
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
	return &mtmdEncoder{c: c, kind: kind, id: id}, nil
}

// projectorIdentity checks a projector file and names it by its kind, and by what tells it from others without reading all of it.
func projectorIdentity(path string) (kind, id string, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if err := vision.CheckTower(f); err != nil {
		return "", "", fmt.Errorf("%s: %w", path, err)
	}
	for _, key := range []string{"clip.vision.projector_type", "clip.projector_type"} {
		if kind, _ = f.Str(key); kind != "" {
			break
		}
	}
	return kind, fmt.Sprintf("mtmd %s %s %d", kind, f.Path(), f.Size()), nil
}

func (e *mtmdEncoder) name() string        { return "mtmd" }
func (e *mtmdEncoder) projector() string   { return e.kind }
func (e *mtmdEncoder) identity() string    { return e.id }
func (e *mtmdEncoder) bringsMarkers() bool { return true }
func (e *mtmdEncoder) Close() error        { return e.c.Close() }

func (e *mtmdEncoder) wholePictures() int {
	if e.c.Capabilities().NonCausal {
		return 512
	}
	return 0
}

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

func (e *mtmdEncoder) encode(ctx context.Context, p *piece) ([]float32, error) {
	return e.c.EncodeChunk(ctx, p.picture.handle.(*mtmd.Chunk))
}
