// Package libmtmd lets libmtmd of llama.cpp run the towers of vision models, behind the interface that the towers of this project have:
//
//	enc, err := libmtmd.Open(ctx, "mmproj.gguf", libmtmd.Options{})
//	in, err := enc.Preprocess(ctx, picture)
//	rows, err := vision.Encode(ctx, enc, in)
//
// It knows the families that package vision does not: those of Qwen-VL, Gemma 3, SmolVLM, InternVL, Pixtral and others. And it runs those
// that package vision knows, for comparisons, though CLIP towers not as they were trained: see [vision.LibmtmdFault].
//
// What a family writes around a picture's embeddings, such as markers of tiles, is text of its language model and no part of the rows.
package libmtmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Encoder is a [vision.Encoder] over libmtmd. Pictures go in whole: the library pads, resamples and cuts them itself. A step of its jobs
// is one stretch of image tokens, which is one tile in families that cut pictures and the whole picture in others; when the context is
// done, a step is given up within a few nodes of the graph and begins anew at the next call.
//
// Advance computes on the OpenMP team of the calling thread, and must be called from the compute thread of the process.
type Encoder struct {
	info  vision.Info
	c     *mtmd.Context
	model *llama.Model // the stand-in, nil beside a model of the caller's

	mu     sync.Mutex
	tokens map[[2]int]int // by width and height of a picture
	closed bool
}

// Options are the choices in opening an [Encoder]. The zero value is ready for use.
type Options struct {
	// Threads is the number of compute threads; 0 means GOMAXPROCS.
	Threads int
	// Model is the language model that the tower belongs to. It can be closed once the Encoder is. Nil lets a stand-in without layers
	// take its place, of the width that the projector wants: the embeddings are the same.
	Model *llama.Model
	// NoAccelerator lets ggml's own CPU backend compute alone: libmtmd as it is.
	NoAccelerator bool
}

// errClosed is what a closed encoder answers.
var errClosed = errors.New("libmtmd: the tower is closed")

// Open loads the tower in an mmproj file. Errors name the file and what is wrong with it; numbers in it that would make the
// library abort the process are refused.
func Open(ctx context.Context, path string, opt Options) (*Encoder, error) {
	d, err := describe(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("libmtmd: %s: %w", path, err)
	}
	e := &Encoder{info: d.info, tokens: map[[2]int]int{}}
	params := mtmd.Params{Threads: opt.Threads, NoAccelerator: opt.NoAccelerator}
	if opt.Model != nil {
		e.c, err = mtmd.New(ctx, path, opt.Model, params)
	} else {
		e.c, e.model, err = openBesideStandIn(ctx, path, d.width, params)
	}
	if err != nil {
		return nil, fmt.Errorf("libmtmd: %w", err)
	}
	if !e.c.Capabilities().Vision {
		e.Close()
		return nil, fmt.Errorf("libmtmd: %s has no vision tower", path)
	}
	e.info.Width = e.c.NEmbd()
	// A picture of the tower's own size tells how many tokens a tile has, and whether the library can lay pictures out at all.
	if e.info.TileTokens, err = e.count(d.info.ImageSize, d.info.ImageSize); err != nil {
		e.Close()
		return nil, fmt.Errorf("libmtmd: %s: %w", path, err)
	}
	return e, nil
}

// Info implements [vision.Encoder]. Family is the kind of projector where that is all that is known of the tower. Precision is the tensor
// type that most of the weights have, in small letters: products are computed as the library sees fit for it. TileTokens
// are those of a picture of ImageSize.
func (e *Encoder) Info() vision.Info { return e.info }

// Preprocess implements [vision.Encoder]: the Input is the picture itself.
func (e *Encoder) Preprocess(ctx context.Context, img *imaging.RGB) (*vision.Input, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := img.Check(); err != nil {
		return nil, fmt.Errorf("libmtmd: %w", err)
	}
	n, err := e.count(img.W, img.H)
	if err != nil {
		return nil, err
	}
	return &vision.Input{Tokens: n, Tiles: []*imaging.RGB{img}}, nil
}

// Tokens implements [vision.Encoder], by laying out a blank picture of that size. It is 0 for sizes that the library refuses, and
// of a closed Encoder.
func (e *Encoder) Tokens(w, h int) int {
	n, _ := e.count(w, h)
	return n
}

// Target implements [vision.Encoder]: the library shrinks pictures itself, each family in its own way, and gets all their pixels.
func (e *Encoder) Target(int, int) (targetW, targetH int) { return 0, 0 }

// maxSizes bounds how many picture sizes are remembered.
const maxSizes = 4096

// count returns the number of image tokens of a picture of w by h pixels.
func (e *Encoder) count(w, h int) (n int, err error) {
	size := [2]int{w, h}
	e.mu.Lock()
	n, ok := e.tokens[size]
	e.mu.Unlock()
	if ok {
		return n, nil
	}
	// The sides are checked before memory is spent on pixels.
	if w < 1 || h < 1 || w > maxBlank/h {
		return 0, fmt.Errorf("libmtmd: a picture of %d x %d pixels", w, h)
	}
	chunks, err := e.layOut(imaging.NewRGB(w, h))
	if err != nil {
		return 0, err
	}
	defer chunks.Close()
	for _, c := range pictureChunks(chunks) {
		n += c.NTokens
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.tokens) == maxSizes {
		clear(e.tokens)
	}
	e.tokens[size] = n
	return n, nil
}

// maxBlank bounds a blank picture in pixels: what the library itself takes.
const maxBlank = 1 << 28

// layOut lets the library cut a picture into chunks, some of them of image tokens.
func (e *Encoder) layOut(img *imaging.RGB) (*mtmd.Chunks, error) {
	bitmap, err := mtmd.Image("", img.W, img.H, img.Pix)
	if err != nil {
		return nil, fmt.Errorf("libmtmd: %w", err)
	}
	chunks, err := e.c.Tokenize(e.c.Marker(), []mtmd.Bitmap{bitmap}, false, true)
	switch {
	case errors.Is(err, mtmd.ErrClosed):
		return nil, errClosed
	case err != nil:
		return nil, fmt.Errorf("libmtmd: %w", err)
	case len(pictureChunks(chunks)) == 0:
		chunks.Close()
		return nil, fmt.Errorf("libmtmd: the library makes no image tokens of a picture of %d x %d pixels", img.W, img.H)
	}
	return chunks, nil
}

// pictureChunks are the chunks that have embeddings.
func pictureChunks(chunks *mtmd.Chunks) (list []*mtmd.Chunk) {
	for _, c := range chunks.List() {
		if c.Kind == mtmd.ImageChunk {
			list = append(list, c)
		}
	}
	return list
}

// Close implements [vision.Encoder].
func (e *Encoder) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	err := e.c.Close()
	if e.model != nil {
		err = errors.Join(err, e.model.Close())
	}
	return err
}

// Inspect checks a projector file and describes its tower without loading it: all of Info but Width and TileTokens. Faults over which the
// library aborts the process, or reads where nothing is, are errors that name them. Identity is a hash of the whole file: another file in
// the same place makes other embeddings.
func Inspect(ctx context.Context, path string) (vision.Info, error) {
	d, err := describe(ctx, path)
	if ctx.Err() != nil {
		return vision.Info{}, ctx.Err()
	}
	if err != nil {
		return vision.Info{}, fmt.Errorf("libmtmd: %s: %w", path, err)
	}
	return d.info, nil
}

// describe checks a projector file and reads what its metadata tells. width is what the projector's rows seem to have, 0 if
// nothing tells.
func describe(ctx context.Context, path string) (d struct {
	info  vision.Info
	width int
}, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return d, err
	}
	defer f.Close()
	if arch := f.Architecture(); arch != "clip" {
		return d, fmt.Errorf("a model of the architecture %q, not a vision projector; give the mmproj file", arch)
	}
	if err := vision.CheckTower(f); err != nil {
		return d, err
	}
	number := func(key string) int { n, _ := f.Uint("clip.vision." + key); return int(n) } // CheckTower has bounded them
	d.info = vision.Info{
		Projector: projectorKind(f), Backend: "mtmd", ImageSize: number("image_size"), PatchSize: number("patch_size"),
		Blocks: number("block_count"), Hidden: number("embedding_length"),
	}
	if err := checkNumbers(f, d.info.Projector); err != nil {
		return d, err
	}
	if err := checkTensors(f, d.info.Projector); err != nil {
		return d, err
	}
	d.info.Family = family(f, d.info.Projector)
	if types := f.Types(); len(types) > 0 {
		d.info.Precision = strings.ToLower(types[0].Type.String())
	}
	d.width = embeddingWidth(f)
	d.info.Identity, err = identity(ctx, f, d.info.Projector)
	return d, err
}
