package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// encoder turns pictures into what stands for them in a prompt. There are two: the towers of models/vision, and libmtmd for the
// families that have none.
type encoder interface {
	// name is "native", "plain" or "mtmd", projector the kind of projector as the file calls it.
	name() string
	projector() string
	// identity tells towers apart whose embeddings of the same picture differ.
	identity() string
	// wholePictures is the most tokens of a picture that must go through in one decode, 0 if pictures can be cut.
	wholePictures() int
	// target is imaging.Options.Target for its pictures, nil for full size.
	target() func(w, h int) (int, int)
	// prepare lays a picture out and says what the prompt holds in its place: pictures, and text before, between and behind them as the
	// family's processor writes it. It runs outside the compute thread.
	prepare(ctx context.Context, img *imaging.RGB) ([]piece, error)
	// begin begins to compute the embeddings of a piece, NEmbdInp wide, row after row. The job runs on the compute thread.
	begin(p *piece) (vision.Job, error)
	Close() error
}

// piece is a stretch of a prompt: tokens, or the place of an encoded picture. From an encoder it is text in the place of tokens.
type piece struct {
	text    string // in which control tokens are meant
	tokens  []llama.Token
	picture *pictureInput // nil for tokens and text
	key     kv.Key        // of a picture's embeddings
}

// pictureInput is a picture ready for its encoder.
type pictureInput struct {
	n         int                                           // image tokens
	positions func(start llama.Pos) ([][4]llama.Pos, error) // M-RoPE positions (t, y, x, z) from start on; nil counts up
	advance   llama.Pos                                     // positions the picture takes
	whole     bool                                          // attends to itself in both directions
	handle    any                                           // the encoder's own
	close     func()                                        // frees the handle; nil if there is nothing to free
}

// The encoders that [ModelSpec].Encoder can name.
const (
	EncoderAuto   = "auto"   // native for towers with a class token, and for other known ones without a GPU; else libmtmd
	EncoderNative = "native" // the towers of package vision
	EncoderMtmd   = "mtmd"   // libmtmd
	EncoderPlain  = "plain"  // the readable float32 towers of package vision, slow
)

// openEncoder chooses who runs the tower of a projector file, and opens it.
func openEncoder(ctx context.Context, spec ModelSpec, lm *llama.Model, e *Engine) (encoder, error) {
	path := spec.Projector
	name, err := chooseEncoder(spec)
	if err != nil {
		return nil, err
	}
	var tower vision.Encoder
	switch name {
	case EncoderMtmd:
		return openMtmd(ctx, path, lm, e)
	case EncoderPlain:
		tower, err = vision.OpenPlain(path, vision.Options{})
	default:
		tower, err = vision.OpenNative(path, vision.NativeOptions{Precision: spec.precision(), Threads: e.threads})
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	if w := tower.Info().Width; w != lm.NEmbdInp() {
		tower.Close()
		return nil, fmt.Errorf("%w: %s makes embeddings %d wide, %s takes %d; use the mmproj file that came with the model", ErrMismatch, path, w, lm.Path(), lm.NEmbdInp())
	}
	return &towerEncoder{tower}, nil
}

// checkVision finds mistakes in the choices for the vision tower.
func (spec *ModelSpec) checkVision() error {
	switch spec.Encoder {
	case "", EncoderAuto, EncoderNative, EncoderMtmd, EncoderPlain:
	default:
		return fmt.Errorf("%w: unknown vision encoder %q; known are auto, native, mtmd and plain", ErrRequest, spec.Encoder)
	}
	if _, err := nn.ParsePrecision(cmp.Or(spec.VisionPrecision, "auto")); err != nil {
		return fmt.Errorf("%w: %s", ErrRequest, strings.TrimPrefix(err.Error(), "nn: "))
	}
	return nil
}

// precision is that of native towers; checkVision has approved it.
func (spec *ModelSpec) precision() nn.Precision {
	p, _ := nn.ParsePrecision(cmp.Or(spec.VisionPrecision, "auto"))
	return p
}

// chooseEncoder resolves EncoderAuto.
func chooseEncoder(spec ModelSpec) (string, error) {
	if spec.Encoder != "" && spec.Encoder != EncoderAuto {
		return spec.Encoder, nil
	}
	f, err := gguf.Open(spec.Projector)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	defer f.Close()
	info, err := vision.Describe(f)
	switch {
	case errors.Is(err, vision.ErrUnknownTower):
		return EncoderMtmd, nil
	case err != nil:
		return "", fmt.Errorf("%w: %s: %w", ErrModelFile, spec.Projector, err)
	case info.Projector == "janus_pro":
		return EncoderMtmd, nil // it knows the tokens that Janus wants around a picture
	case info.Family == "siglip" && spec.hasGPU():
		return EncoderMtmd, nil // positions are right there, and it runs on the GPU; a block short where the file names no feature layer
	}
	return EncoderNative, nil
}

// towerEncoder runs a tower of models/vision.
type towerEncoder struct{ tower vision.Encoder }

func (n *towerEncoder) name() string       { return n.tower.Info().Backend }
func (n *towerEncoder) projector() string  { return n.tower.Info().Projector }
func (n *towerEncoder) identity() string   { return n.tower.Info().Identity }
func (n *towerEncoder) wholePictures() int { return 0 }
func (n *towerEncoder) Close() error       { return n.tower.Close() }

func (n *towerEncoder) target() func(w, h int) (int, int) { return n.tower.Target }

func (n *towerEncoder) prepare(ctx context.Context, img *imaging.RGB) ([]piece, error) {
	in, err := n.tower.Preprocess(ctx, img)
	if err != nil {
		return nil, err
	}
	return []piece{{picture: &pictureInput{n: in.Tokens, advance: llama.Pos(in.Tokens), handle: in}}}, nil
}

func (n *towerEncoder) begin(p *piece) (vision.Job, error) {
	return n.tower.Begin(p.picture.handle.(*vision.Input))
}

// look decodes and prepares a picture, and notes the time of both.
func (m *Model) look(ctx context.Context, image *Image, t *Timings) ([]piece, error) {
	start := time.Now()
	img, err := imaging.DecodePicture(ctx, image.Data, imaging.Options{Target: m.vision.target(), Exact: m.exactImages})
	t.DecodeImage += time.Since(start)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %s", ErrImage, image.Name, strings.TrimPrefix(err.Error(), "imaging: "))
	}
	start = time.Now()
	pieces, err := m.vision.prepare(ctx, img.RGB)
	t.Preprocess += time.Since(start)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrImage, image.Name, err)
	}
	return pieces, nil
}

func baseName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}
