package modelspec

import (
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// The encoders that [Spec].Encoder can name.
const (
	EncoderAuto   = "auto"   // native for families that package vision describes, else libmtmd
	EncoderNative = "native" // the towers of package vision, on the CPU or a GPU
	EncoderMtmd   = "mtmd"   // libmtmd
	EncoderPlain  = "plain"  // the readable float32 towers of package vision, slow; LLaVA's alone
)

// EncoderName returns the encoder that runs the vision tower: the one that the spec names, or else
// the one that [EncoderOf] chooses for its projector.
func (spec *Spec) EncoderName() (string, error) {
	if spec.Encoder != "" && spec.Encoder != EncoderAuto {
		return spec.Encoder, nil
	}
	f, err := gguf.Open(spec.Projector)
	if err != nil {
		return "", fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	defer f.Close()
	return EncoderOf(f)
}

// EncoderOf returns the encoder that runs the tower of a projector file by default: [EncoderNative]
// or [EncoderMtmd]. Its error wraps the engine's ErrModelFile.
func EncoderOf(projector *gguf.File) (string, error) {
	_, err := vision.Describe(projector)
	switch {
	case errors.Is(err, vision.ErrUnknownTower):
		return EncoderMtmd, nil
	case err != nil:
		return "", fmt.Errorf("%w: %s: %w", fault.ErrModelFile, projector.Path(), err)
	}
	return EncoderNative, nil
}
