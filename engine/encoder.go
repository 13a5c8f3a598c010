package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// The encoders that [ModelSpec].Encoder can name.
const (
	EncoderAuto   = "auto"   // native for families that package vision describes, else libmtmd
	EncoderNative = "native" // the towers of package vision, on the CPU or a GPU
	EncoderMtmd   = "mtmd"   // libmtmd
	EncoderPlain  = "plain"  // the readable float32 towers of package vision, slow; LLaVA's alone
)

// openEncoder chooses who runs the tower of a projector file, and opens it.
func openEncoder(ctx context.Context, spec ModelSpec, lm *llama.Model,
	e *Engine) (vision.Encoder, error) {
	path := spec.Projector
	name, err := chooseEncoder(spec)
	if err != nil {
		return nil, err
	}
	tower, err := openTower(ctx, name, spec, lm, e)
	switch {
	case err == nil:
	case errors.Is(err, ErrDevice):
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, libmtmd.ErrVocabulary):
		return nil, fmt.Errorf("%w: %w; use the model that it belongs to", ErrMismatch, err)
	default:
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	if w := tower.Info().Width; w != lm.NEmbdInp() {
		tower.Close()
		return nil, fmt.Errorf("%w: %s makes embeddings %d wide, %s takes %d; "+
			"use the mmproj file that came with the model", ErrMismatch, path, w, lm.Path(),
			lm.NEmbdInp())
	}
	if err := checkMarkers(tower, lm.Vocab()); err != nil {
		tower.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrModelFile, path, err)
	}
	return tower, nil
}

// openTower opens a tower by the name of who runs it.
func openTower(ctx context.Context, name string, spec ModelSpec, lm *llama.Model,
	e *Engine) (vision.Encoder, error) {
	switch name {
	case EncoderMtmd:
		devices, err := spec.towerDevices()
		if err != nil {
			return nil, err
		}
		return either(libmtmd.Open(ctx, spec.Projector, libmtmd.Options{Threads: e.threads,
			Model: lm, Devices: devices}))
	case EncoderPlain:
		return either(vision.OpenPlain(spec.Projector, vision.Options{}))
	}
	return openNative(ctx, spec, e)
}

// towerDevices are those on which libmtmd may compute: one, or none for the CPU.
func (spec *ModelSpec) towerDevices() ([]ggml.Device, error) {
	devices := []ggml.Device{}
	d, _, err := spec.towerDevice()
	if d != nil && err == nil {
		devices = append(devices, *d)
	}
	return devices, err
}

// either is a tower or an error, and no Encoder that holds a nil tower.
func either[T vision.Encoder](tower T, err error) (vision.Encoder, error) {
	if err != nil {
		return nil, err
	}
	return tower, nil
}

// marker is a control token in what a layout writes.
var marker = regexp.MustCompile(`<[^<>\s]+>|\[[A-Z_]+\]`)

// checkMarkers refuses a language model that has no token for a marker that stands beside pictures:
// it would read the marker's letters.
func checkMarkers(tower vision.Encoder, vocab *llama.Vocab) error {
	plan, err := tower.Plan(2048, 1024) // of a shape that families with tiles cut
	if err != nil {
		return err
	}
	text := plan.After
	for _, part := range plan.Parts {
		text += part.Before
	}
	for _, name := range marker.FindAllString(text, -1) {
		if tokens, err := vocab.Tokenize(name, false, true); err != nil || len(tokens) != 1 {
			return fmt.Errorf("%w: the language model has no token %s, which stands beside the "+
				"pictures of a %s projector; use the model that it belongs to", ErrMismatch, name,
				tower.Info().Projector)
		}
	}
	return nil
}

// checkVision finds mistakes in the choices for the vision tower.
func (spec *ModelSpec) checkVision() error {
	switch spec.Encoder {
	case "", EncoderAuto, EncoderNative, EncoderMtmd, EncoderPlain:
	default:
		return fmt.Errorf("%w: unknown vision encoder %q; known are auto, native, mtmd and plain",
			ErrRequest, spec.Encoder)
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
	_, err = vision.Describe(f)
	switch {
	case errors.Is(err, vision.ErrUnknownTower):
		return EncoderMtmd, nil
	case err != nil:
		return "", fmt.Errorf("%w: %s: %w", ErrModelFile, spec.Projector, err)
	}
	return EncoderNative, nil
}

func baseName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}
