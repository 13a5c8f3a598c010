package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// encoder turns pictures into what stands for them in a prompt. There are two: the native towers of models/vision, and
// libmtmd for the families that have none.
type encoder interface {
	// name is "native" or "mtmd", projector the kind of projector as the file calls it.
	name() string
	projector() string
	// identity tells towers apart whose embeddings of the same picture differ.
	identity() string
	// bringsMarkers reports whether prepare adds the tokens that stand around a picture, so that the chat template must not.
	bringsMarkers() bool
	// wholePictures is the most tokens of a picture that must go through in one decode, 0 if pictures can be cut.
	wholePictures() int
	// prepare lays a picture out and says what the prompt holds in its place. It runs outside the compute thread.
	prepare(ctx context.Context, img *imaging.RGB) ([]piece, error)
	// encode computes the embeddings of a piece, NEmbdInp wide, row after row. It runs on the compute thread.
	encode(ctx context.Context, p *piece) ([]float32, error)
	Close() error
}

// piece is a stretch of a prompt: tokens, or the place of an encoded picture.
type piece struct {
	tokens  []llama.Token
	picture *pictureInput // nil for tokens
	file    fileID        // which picture file, and the encoder's identity
	part    int           // which of the file's encoded parts
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

// openEncoder chooses who runs the tower of a projector file.
func openEncoder(ctx context.Context, path string, lm *llama.Model, e *Engine) (encoder, error) {
	native, err := vision.OpenPlain(path, vision.Options{Dequantize: dequantize})
	switch {
	case err == nil && native.Info().Projector == "janus_pro":
		// The tower would do, but libmtmd knows the tokens that Janus wants around a picture.
		native.Close()
	case err == nil:
		if w := native.Info().Width; w != lm.NEmbdInp() {
			return nil, fmt.Errorf("%w: %s makes embeddings %d wide, %s takes %d; use the mmproj file that came with the model", ErrMismatch, path, w, lm.Path(), lm.NEmbdInp())
		}
		return &nativeEncoder{native}, nil
	case !errors.Is(err, vision.ErrUnknownTower):
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	return openMtmd(ctx, path, lm, e)
}

// dequantize gives towers the tensor types that only libggml knows.
func dequantize(t gguf.Type, data []byte, dst []float32) error {
	if err := ggml.Load(); err != nil {
		return err
	}
	return ggml.Dequantize(ggml.Type(t), data, dst)
}

// nativeEncoder runs a tower of models/vision.
type nativeEncoder struct{ tower vision.Encoder }

func (n *nativeEncoder) name() string        { return "native" }
func (n *nativeEncoder) projector() string   { return n.tower.Info().Projector }
func (n *nativeEncoder) identity() string    { return n.tower.Info().Identity }
func (n *nativeEncoder) bringsMarkers() bool { return false }
func (n *nativeEncoder) wholePictures() int  { return 0 }
func (n *nativeEncoder) Close() error        { return n.tower.Close() }

func (n *nativeEncoder) prepare(ctx context.Context, img *imaging.RGB) ([]piece, error) {
	in, err := n.tower.Preprocess(ctx, img)
	if err != nil {
		return nil, err
	}
	return []piece{{picture: &pictureInput{n: in.Tokens, advance: llama.Pos(in.Tokens), handle: in}}}, nil
}

func (n *nativeEncoder) encode(ctx context.Context, p *piece) ([]float32, error) {
	return vision.Encode(ctx, n.tower, p.picture.handle.(*vision.Input))
}

// look decodes and prepares a picture, and notes the time of both.
func (m *Model) look(ctx context.Context, image *Image, t *Timings) ([]piece, error) {
	start := time.Now()
	img, err := imaging.Decode(image.Data, imaging.Options{})
	t.DecodeImage += time.Since(start)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %s", ErrImage, image.Name, strings.TrimPrefix(err.Error(), "imaging: "))
	}
	start = time.Now()
	pieces, err := m.vision.prepare(ctx, img)
	t.Preprocess += time.Since(start)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrImage, image.Name, err)
	}
	return pieces, nil
}

func baseName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}
