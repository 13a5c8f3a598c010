package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// mtmdEncoder lets libmtmd run the families that have no native tower: Qwen-VL, Gemma, SmolVLM, InternVL, Pixtral and others.
type mtmdEncoder struct {
	c     *mtmd.Context
	kind  string
	id    string
	whole int
}

func openMtmd(ctx context.Context, path string, lm *llama.Model, e *Engine) (encoder, error) {
	kind, id, err := projectorIdentity(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
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
	m := &mtmdEncoder{c: c, kind: kind, id: id}
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

// projectorIdentity checks a projector file and names it by its kind and a hash of the whole: another file in the same place makes
// other embeddings.
func projectorIdentity(ctx context.Context, path string) (kind, id string, err error) {
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
	if err := checkMerge(f, kind); err != nil {
		return "", "", fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.New()
	for _, part := range f.Parts() {
		if err := hashFile(ctx, sum, part); err != nil {
			return "", "", err
		}
	}
	return kind, fmt.Sprintf("mtmd %s %x", kind, sum.Sum(nil)), nil
}

// checkMerge compares how many patches a side a projector merges into one token with the tower's grid of patches, which CheckTower
// has approved: libmtmd aborts the process over what does not come out even.
func checkMerge(f *gguf.File, kind string) error {
	switch kind {
	case "gemma3", "idefics3", "internvl", "llama4":
		size, _ := f.Uint("clip.vision.image_size")
		patch, _ := f.Uint("clip.vision.patch_size")
		if n, ok := f.Uint("clip.vision.projector.scale_factor"); ok && (n == 0 || size/patch%n != 0) {
			return fmt.Errorf("clip.vision.projector.scale_factor %d does not divide the %d patches of a side", n, size/patch)
		}
	case "qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger":
		if n, ok := f.Uint("clip.vision.spatial_merge_size"); ok && n != 2 {
			return fmt.Errorf("clip.vision.spatial_merge_size is %d, and a %s merges 2", n, kind)
		}
	}
	return nil
}

// hashFile adds a file's bytes to a hash, until ctx is done.
func hashFile(ctx context.Context, sum io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.CopyN(sum, f, 1<<24); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
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

func (e *mtmdEncoder) encode(ctx context.Context, p *piece) ([]float32, error) {
	return e.c.EncodeChunk(ctx, p.picture.handle.(*mtmd.Chunk))
}
