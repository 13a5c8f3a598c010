package engine

import (
	"context"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

func openMtmd(ctx context.Context, path string, lm *llama.Model, e *Engine) (encoder, error) {
	return nil, fmt.Errorf("%w: %s", ErrModelFile, path)
}
