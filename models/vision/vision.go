// Package vision turns pictures into the embeddings that a language model reads in
// place of words.
//
// A vision-language model has a tower, a transformer over the patches of a picture,
// and a projector, which takes the tower's output to the language model's embedding
// width. Both come in one GGUF file, by custom called mmproj. [Encoder] is the
// interface of everything that runs them:
//
//	enc, err := vision.OpenCLIP("mmproj.gguf", vision.Options{})
//	in, err := enc.Preprocess(ctx, picture) // tiles, and the number of image tokens
//	rows, err := enc.Encode(ctx, in)        // that many rows of enc.Info().Width numbers
//
// [CLIP] runs the towers of LLaVA and its kin as they were trained, in plain Go,
// float32, over kernels/ref. clip.go holds the whole forward pass.
package vision

import (
	"context"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// An Encoder makes image tokens of pictures. Its methods may be called from several
// goroutines; calls of Encode take turns.
type Encoder interface {
	// Info describes the tower; it stays valid after Close.
	Info() Info
	// Preprocess lays a picture out for the tower: pads, resamples, cuts tiles. It
	// does not keep img, and the Input may share its pixels.
	Preprocess(ctx context.Context, img *imaging.RGB) (*Input, error)
	// Encode returns in.Tokens rows of Info().Width numbers, row after row. It stops
	// between layers when ctx is done, with ctx's error.
	Encode(ctx context.Context, in *Input) ([]float32, error)
	// Close frees the tower. Closing again does nothing; Encode fails afterwards.
	Close() error
}

// Info describes a tower and its projector.
type Info struct {
	// Family is the kind of tower: "clip".
	Family string
	// Projector is the kind of projector: "mlp" or "linear".
	Projector string
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
	// Tokens is the number of image tokens that Encode will return.
	Tokens int
	// Tiles are the pictures that the tower sees, in the order of their tokens.
	Tiles []*imaging.RGB
}
