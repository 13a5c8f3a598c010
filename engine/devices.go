package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// NoDevice, as ModelSpec.Device, keeps all of a model on the CPU. "cpu" means the same.
const NoDevice = "none"

// gpus returns the GPUs that a model may use: nil stands for all that there are, an empty list for none. Backends must have been loaded.
func (spec *ModelSpec) gpus() ([]ggml.Device, error) {
	all := ggml.GPUs()
	if spec.GPULayers < 0 {
		return []ggml.Device{}, nil
	}
	switch strings.ToLower(strings.TrimSpace(spec.Device)) {
	case "":
		return nil, nil
	case NoDevice, "cpu":
		return []ggml.Device{}, nil
	}
	var chosen []ggml.Device
	for name := range strings.SplitSeq(spec.Device, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(all, func(d ggml.Device) bool { return strings.EqualFold(d.Name, name) })
		if i < 0 {
			return nil, fmt.Errorf("%w: there is no device %q here that takes layers of a model; %s", ErrRequest, name, deviceNames(all))
		}
		if slices.ContainsFunc(chosen, func(d ggml.Device) bool { return d.Name == all[i].Name }) {
			return nil, fmt.Errorf("%w: device %s is named twice", ErrRequest, all[i].Name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// CheckDevice finds mistakes in Device; an error wraps ErrRequest and lists what there is. It loads the backends.
func (spec *ModelSpec) CheckDevice() error {
	if err := ggml.Load(); err != nil {
		return err
	}
	_, err := spec.gpus()
	return err
}

// deviceNames says what ModelSpec.Device can be.
func deviceNames(gpus []ggml.Device) string {
	if len(gpus) == 0 {
		return "there is none but the CPU: give none or cpu (\"eyelet devices\" says why)"
	}
	names := make([]string, len(gpus))
	for i, d := range gpus {
		names[i] = d.Name
	}
	return "give " + strings.Join(names, ", ") + ", or none for the CPU"
}

// hasGPU tells whether a GPU computes with some of the model.
func (spec *ModelSpec) hasGPU() bool {
	if ggml.Load() != nil {
		return false
	}
	gpus, err := spec.gpus()
	return err == nil && (len(gpus) > 0 || gpus == nil && len(ggml.GPUs()) > 0)
}
