// Package vision turns pictures into the embeddings that a language model reads in
// place of words.
//
// A vision-language model has a tower, a transformer over the patches of a picture,
// and a projector, which takes the tower's output to the language model's embedding
// width. Both come in one GGUF file, by custom called mmproj. [Encoder] is the
// interface of everything that runs them:
//
//	enc, err := vision.OpenPlain("mmproj.gguf", vision.Options{})
//	in, err := enc.Preprocess(ctx, picture)    // tiles, and the number of image tokens
//	rows, err := vision.Encode(ctx, enc, in)   // that many rows of enc.Info().Width numbers
//
// Two families of towers are known: CLIP, the tower of LLaVA, and SigLIP, of newer
// models built like LLaVA. [Plain] runs them as they were trained, in plain Go,
// float32, over kernels/ref; plain.go holds the whole forward pass. It is what faster
// implementations are compared with.
package vision

import (
	"context"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// An Encoder makes image tokens of pictures. Its methods may be called from several
// goroutines.
type Encoder interface {
	// Info describes the tower; it stays valid after Close.
	Info() Info
	// Preprocess lays a picture out for the tower: pads, resamples, cuts tiles. It
	// does not keep img, and the Input may share its pixels.
	Preprocess(ctx context.Context, img *imaging.RGB) (*Input, error)
	// Tokens returns the number of image tokens of a picture of w by h pixels, which
	// its header tells before it is decoded: Input.Tokens of its Preprocess.
	Tokens(w, h int) int
	// Begin checks the Input and allocates what its encoding needs; nothing is
	// computed yet. Jobs of one Encoder may be open at the same time; their calls of
	// Advance take turns.
	Begin(in *Input) (Job, error)
	// Close frees the tower. Closing again does nothing. Begin and the Advance of open
	// jobs fail afterwards; rows that are done can still be read.
	Close() error
}

// A Job is the encoding of one Input, advanced a few steps at a time, so that other
// work can be done in between. It must be used by one goroutine at a time.
type Job interface {
	// Advance runs up to that many steps, fewer when the last is done. A step is about
	// one transformer block over all tiles; they take about equally long. When ctx is
	// done it stops early with ctx's error; a later call goes on where it stopped.
	Advance(ctx context.Context, steps int) error
	// Progress returns the number of steps done, and of all. It is complete when they
	// are equal.
	Progress() (done, total int)
	// Rows returns the Input's Tokens rows of Info().Width numbers, row after row. They
	// are the caller's. It fails until the last step is done.
	Rows() ([]float32, error)
	// Close frees the job's buffers. Closing again does nothing.
	Close() error
}

// Encode runs the whole encoding of an Input: in.Tokens rows of e.Info().Width
// numbers, row after row. When ctx is done it stops between steps with ctx's error.
func Encode(ctx context.Context, e Encoder, in *Input) ([]float32, error) {
	job, err := e.Begin(in)
	if err != nil {
		return nil, err
	}
	defer job.Close()
	_, total := job.Progress()
	if err := job.Advance(ctx, total); err != nil {
		return nil, err
	}
	return job.Rows()
}

// Info describes a tower and its projector.
type Info struct {
	// Family is the kind of tower: "clip" or "siglip".
	Family string
	// Projector is the kind of projector: "mlp", "linear" or "janus_pro".
	Projector string
	// Backend is the implementation that runs the tower: "plain".
	Backend string
	// Precision is the arithmetic of the matrix products: "f32".
	Precision string
	// ImageSize and PatchSize are the sides of a tile and of a patch, in pixels.
	ImageSize, PatchSize int
	// TileTokens is the number of image tokens of one tile.
	TileTokens int
	// Blocks is the number of transformer blocks that are run.
	Blocks int
	// Hidden is the tower's own width, Width that of an image token: the language
	// model's n_embd.
	Hidden, Width int
	// Identity is a hash, in hex, of all that decides the embeddings of a given
	// picture: weights, hyperparameters, layout, arithmetic. Embeddings of equal
	// identity may stand in for each other in a cache.
	Identity string
}

// Input is a picture made ready for an [Encoder], by that Encoder's Preprocess.
type Input struct {
	// Tokens is the number of image tokens that the picture becomes.
	Tokens int
	// Tiles are the pictures that the tower sees, in the order of their tokens.
	Tiles []*imaging.RGB
}
