// Package vision turns pictures into the embeddings that a language model reads in
// place of words.
//
// A vision-language model has a tower, a transformer over the patches of a picture,
// and a projector, which takes the tower's output to the language model's embedding
// width. Both come in one GGUF file, by custom called mmproj. [Encoder] is the
// interface of everything that runs them:
//
//	enc, err := vision.OpenNative("mmproj.gguf", vision.NativeOptions{})
//	plan, err := enc.Plan(4000, 3000)             // of its size alone: what the prompt has in the picture's place
//	in, err := enc.Prepare(ctx, plan, picture)    // what the tower sees of its pixels
//	rows, err := vision.Encode(ctx, enc, in)      // plan.Tokens() rows of enc.Info().Width numbers
//
// A tower is described, not programmed: a description, built from the file, lists its
// parts. family_*.go make those of CLIP, the tower of LLaVA, SigLIP, and the towers of
// Gemma 3, SmolVLM and Idefics3, Qwen2-VL, Qwen2.5-VL and Qwen3-VL, InternVL, Pixtral and
// Mistral 3. [Native] runs every description, over kernels/nn, and [Graph] on a device
// of ggml's. [Plain], in plain Go,
// float32, over kernels/ref, runs those of CLIP and SigLIP with LLaVA's projector and is
// what Native is compared with; plain.go holds the whole forward pass. Package libmtmd
// has an Encoder for the families that are not described.
package vision

import (
	"context"
	"fmt"
	"io"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/llava"
)

// An Encoder makes image tokens of pictures. Its methods may be called from several
// goroutines.
type Encoder interface {
	// Info describes the tower; it stays valid after Close.
	Info() Info
	// Plan says what a prompt has in the place of an upright picture of w by h pixels,
	// which its header tells before it is decoded.
	Plan(w, h int) (*Plan, error)
	// Prepare makes of a picture what the tower sees of it: pads, resamples, cuts tiles.
	// The picture is the plan's, shrunk no further than the plan's Target allows. It
	// does not keep img, but the Input may share its pixels.
	Prepare(ctx context.Context, plan *Plan, img *imaging.RGB) (*Input, error)
	// Begin checks a part of an Input and allocates what its encoding needs; nothing is
	// computed yet. The Input stays open until the Job is closed. Jobs of one Encoder may be
	// open at the same time; their calls of Advance take turns.
	Begin(in *Input, part int) (Job, error)
	// Close frees the tower. Closing again does nothing. Begin and the Advance of open
	// jobs fail afterwards; rows that are done can still be read.
	Close() error
}

// AsEncoder returns a tower or an error, and no Encoder that holds a nil tower.
func AsEncoder[T Encoder](tower T, err error) (Encoder, error) {
	if err != nil {
		return nil, err
	}
	return tower, nil
}

// A Plan is what a prompt has in the place of a picture, known from the picture's size.
type Plan struct {
	// W and H are the sides of the upright picture in its file.
	W, H int
	// Parts are encoded each by itself, and stand in the prompt in this order.
	Parts []Part
	// After is text behind the last part, as Part.Before is before one.
	After string
	// TargetW and TargetH are a size that holds all that the tower sees of the picture, 0 for
	// the picture's own: decoders may shrink it to twice that by a power of two
	// ([imaging.Options].Target).
	TargetW, TargetH int
	// Within is the bound of tokens that the plan was made for; 0 for none.
	Within int
	// Layout names all that decided the plan and the pixels of its parts, beside the picture
	// and what Info.Identity names: with both it tells embeddings of a picture apart.
	Layout string
}

// A Part is a stretch of image tokens: a picture, or a tile of one that has rows of its own.
type Part struct {
	// Before is text that the prompt has before the part. It is the template's kind of text:
	// control tokens in it are meant.
	Before string
	// Tokens is the number of image tokens, Advance the number of positions that they take.
	Tokens, Advance int
	// Places are the positions of each token, time, row and column counted from where the part
	// begins, and a fourth that most models leave 0. Nil counts up.
	Places [][4]int32
	// Whole says that the tokens attend to each other in both directions, so that they go through
	// the language model in one decode.
	Whole bool
}

// Bounded is an [Encoder] that can be asked for fewer tokens where the size of a picture has no
// effect on them ([layout.Bounded]).
type Bounded interface {
	// PlanWithin is Plan with the most tokens up to that many, or the fewest there are. ok is false
	// where the tokens follow from the size of the picture, which the caller can change.
	PlanWithin(w, h, tokens int) (plan *Plan, ok bool, err error)
}

// Tokens returns the number of image tokens of all parts.
func (p *Plan) Tokens() (n int) {
	for i := range p.Parts {
		n += p.Parts[i].Tokens
	}
	return n
}

// Target returns the size to which the encoder is going to resample a picture: it is
// [imaging.Options].Target, 0, 0 for full size.
func Target(e Encoder) func(w, h int) (targetW, targetH int) {
	return func(w, h int) (int, int) {
		plan, err := e.Plan(w, h)
		if err != nil {
			return 0, 0
		}
		return plan.TargetW, plan.TargetH
	}
}

// Preprocess plans and prepares a picture by the size that it has now.
func Preprocess(ctx context.Context, e Encoder, img *imaging.RGB) (*Input, error) {
	if err := img.Check(); err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	return PreprocessPicture(ctx, e, &imaging.Picture{RGB: img, OriginalW: img.W, OriginalH: img.H})
}

// PreprocessPicture plans and prepares a picture that may have been shrunk while it was decoded
// ([Target]), by the size in its file.
func PreprocessPicture(ctx context.Context, e Encoder, p *imaging.Picture) (*Input, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	plan, err := e.Plan(p.OriginalW, p.OriginalH)
	if err != nil {
		return nil, err
	}
	return e.Prepare(ctx, plan, p.RGB)
}

// A Job is the encoding of a part of an Input, advanced a few steps at a time, so that other
// work can be done in between. It must be used by one goroutine at a time.
type Job interface {
	// Advance runs up to that many steps, fewer when the last is done. A step is one
	// transformer block over some tiles, or a part of it; they take about equally long. When ctx is
	// done it stops early with ctx's error; a later call goes on where it stopped.
	Advance(ctx context.Context, steps int) error
	// Progress returns the number of steps done, and of all. It is complete when they
	// are equal.
	Progress() (done, total int)
	// Rows returns the part's Tokens rows of Info().Width numbers, row after row. They
	// are the caller's. It fails until the last step is done.
	Rows() ([]float32, error)
	// Close frees the job's buffers. Closing again does nothing.
	Close() error
}

// Stage is what a step does.
type Stage int

// The stages of an encoding. An Input of many tiles may pass through them several times.
const (
	Embedding  Stage = iota // patches and positions
	InBlocks                // transformer blocks
	Projecting              // image tokens
)

// Staged is a [Job] that knows its stages.
type Staged interface {
	// Stage returns the stage of the next step.
	Stage() Stage
}

// Encode runs the whole encoding of an Input: in.Tokens rows of e.Info().Width
// numbers, row after row. When ctx is done it stops between steps with ctx's error.
func Encode(ctx context.Context, e Encoder, in *Input) (rows []float32, err error) {
	for part := range max(in.Parts, 1) {
		more, err := EncodePart(ctx, e, in, part)
		if err != nil {
			return nil, err
		}
		if rows = append(rows, more...); part == 0 {
			rows = more
		}
	}
	return rows, nil
}

// EncodePart runs the encoding of one part of an Input.
func EncodePart(ctx context.Context, e Encoder, in *Input, part int) ([]float32, error) {
	job, err := e.Begin(in, part)
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
	// Family is the kind of tower: "clip", "siglip", "qwen", "internvit" or "pixtral".
	Family string
	// Projector is the kind of projector as the file calls it, such as "mlp" or "gemma3".
	Projector string
	// Layout is the treatment of pictures that are not square: "pad", "crop" or "anyres" (package
	// llava), or a family's rule (package layout); empty where the backend keeps it to itself.
	Layout string
	// Backend is the implementation that runs the tower: "plain", "native", "ggml" or "mtmd".
	Backend string
	// Precision is the arithmetic of the matrix products: "f32", "bf16", "int8" or "int16"; of ggml
	// the type of most weights.
	Precision string
	// ImageSize and PatchSize are the sides of a tile and of a patch, in pixels. Towers that take
	// pictures of any size have an ImageSize to speak of: that of a usual one.
	ImageSize, PatchSize int
	// TileTokens is the number of image tokens of one tile, or of a picture of ImageSize.
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
	// Whole is the most image tokens that must go through the language model in one decode; 0
	// where parts can be cut.
	Whole int
	// Caution is what speaks against trusting what the tower makes of pictures; empty for nothing.
	Caution string
}

// Input is a picture made ready for an [Encoder], by that Encoder's Prepare. An Input
// of tiles alone, of the tower's size, is encoded tile by tile, a row a patch.
type Input struct {
	// Tokens is the number of image tokens that the picture becomes.
	Tokens int
	// Parts is the number of parts; 0 counts as one.
	Parts int
	// Tiles are the pictures that the tower sees.
	Tiles []*imaging.RGB
	// Foreign is what a library behind the Encoder keeps of the picture; nil for nothing.
	Foreign io.Closer
	// ForeignBytes is about how much memory that takes.
	ForeignBytes int64
	// plan says which rows of the tiles are the tokens; zero for all.
	plan llava.Plan
}

// Bytes returns about how much memory the Input takes.
func (in *Input) Bytes() int64 {
	n := in.ForeignBytes
	for _, tile := range in.Tiles {
		n += int64(len(tile.Pix))
	}
	return n
}

// Close frees what a library keeps of the picture. No job of the Input may be open.
func (in *Input) Close() error {
	if in.Foreign == nil {
		return nil
	}
	return in.Foreign.Close()
}

// checkPart refuses parts that an Input does not have.
func (in *Input) checkPart(part int) error {
	if part < 0 || part >= max(in.Parts, 1) {
		return fmt.Errorf("vision: part %d of an input of %d", part, max(in.Parts, 1))
	}
	return nil
}
