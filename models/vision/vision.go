// Package vision turns pictures into the embeddings that a language model reads in
// place of words.
//
// A vision-language model has a tower, a transformer over the patches of a picture,
// and a projector, which takes the tower's output to the language model's embedding
// width. Both come in one GGUF file, by custom called mmproj. [Encoder] is the
// interface of everything that runs them:
//
//	enc, err := vision.OpenNative("mmproj.gguf", vision.NativeOptions{})
//	in, err := enc.Preprocess(ctx, picture)    // tiles, and the number of image tokens
//	rows, err := vision.Encode(ctx, enc, in)   // that many rows of enc.Info().Width numbers
//
// Two families of towers are known: CLIP, the tower of LLaVA, and SigLIP, of newer
// models built like LLaVA. Two implementations run them as they were trained. [Native]
// is the fast one, over kernels/nn. [Plain], in plain Go, float32, over kernels/ref, is
// what it is compared with; plain.go holds the whole forward pass. Package libmtmd
// has an Encoder for the families that neither knows.
package vision

import (
	"context"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/llava"
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
	// Target returns a size that holds all that the tower sees of a picture of w by h
	// pixels, 0 for the picture's own: decoders may shrink a picture to twice that by a
	// power of two ([imaging.Options].Target).
	Target(w, h int) (targetW, targetH int)
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
	// Layout is the treatment of pictures that are not square: "pad", "crop" or "anyres"
	// (package llava); empty where the backend keeps it to itself.
	Layout string
	// Backend is the implementation that runs the tower: "plain", "native" or "mtmd".
	Backend string
	// Precision is the arithmetic of the matrix products: "f32", "bf16" or "int8".
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

// Input is a picture made ready for an [Encoder], by that Encoder's Preprocess. An Input
// of tiles alone, of the tower's size, is encoded tile by tile, a row a patch.
type Input struct {
	// Tokens is the number of image tokens that the picture becomes.
	Tokens int
	// Tiles are the pictures that the tower sees.
	Tiles []*imaging.RGB
	// plan says which rows of the tiles are the tokens; zero for all.
	plan llava.Plan
}
