package engine

import (
	"errors"
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// adapters are those of an open model, and how strongly each counts.
type adapters struct {
	list   []*llama.Adapter
	scales []float32
}

// openAdapters loads adapters for lm. Errors wrap ErrModelFile or ErrMismatch and name the file.
func openAdapters(lm *llama.Model, files []Adapter) (adapters, error) {
	var a adapters
	for _, f := range files {
		scale := f.Scale
		if scale == 0 {
			scale = 1
		}
		adapter, err := openAdapter(lm, f.Path, scale)
		if err != nil {
			return adapters{}, errors.Join(err, a.close())
		}
		a.list, a.scales = append(a.list, adapter), append(a.scales, scale)
	}
	return a, nil
}

func openAdapter(lm *llama.Model, path string, scale float32) (*llama.Adapter, error) {
	if math.IsNaN(float64(scale)) || math.IsInf(float64(scale), 0) {
		return nil, fmt.Errorf("%w: the adapter %s counts %v times", ErrRequest, path, scale)
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: the adapter: %w", ErrModelFile, err)
	}
	defer f.Close()
	if kind, _ := f.Str("general.type"); kind != "adapter" {
		return nil, fmt.Errorf("%w: %s is not a LoRA adapter: its general.type is %q", ErrModelFile,
			path, kind)
	}
	if arch, _ := lm.Meta("general.architecture"); f.Architecture() != arch {
		return nil, fmt.Errorf(
			"%w: %s is an adapter for models of the architecture %q, and %s is a %q", ErrMismatch,
			path, f.Architecture(), lm.Path(), arch)
	}
	adapter, err := llama.LoadAdapter(lm, path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	return adapter, nil
}

// close frees the adapters. The contexts that apply them were closed before.
func (a *adapters) close() error {
	var errs []error
	for _, x := range a.list {
		errs = append(errs, x.Close())
	}
	a.list = nil
	return errors.Join(errs...)
}
