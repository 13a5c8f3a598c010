package placement

import (
	"context"
	"errors"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
)

// Share is what of a model lies on a device beside the CPU, as far as can be told from its file.
type Share struct {
	Device string `json:"device"`           // as "Vulkan0"
	Server string `json:"server,omitempty"` // of a device on another machine
	Layers int    `json:"layers"`           // of the language model; its output counts as one
	Tower  int64  `json:"tower,omitempty"`  // bytes of a vision tower's weights, among Bytes
	// weights, KV cache, and an estimate of what is computed in
	Bytes int64 `json:"bytes"`
	// in the system's memory, as a GPU without memory of its own has it
	Shared bool `json:"shared,omitempty"`
}

// Add returns shares with something more that lies on a device.
func Add(shares []Share, more Share) []Share {
	i := slices.IndexFunc(shares, func(s Share) bool {
		return s.Server == more.Server && s.Device == more.Device
	})
	if i < 0 {
		return append(shares, more)
	}
	s := &shares[i]
	s.Layers, s.Bytes, s.Tower = s.Layers+more.Layers, s.Bytes+more.Bytes, s.Tower+more.Tower
	return shares
}

// Layers returns how many layers of a language model lie on devices.
func Layers(shares []Share) (n int) {
	for _, s := range shares {
		n += s.Layers
	}
	return n
}

// Loading is a language model that is about to be loaded. What it will take of the memory of
// devices is promised to it.
type Loading struct {
	Params llama.ModelParams // where its layers go, and how its file is read
	Shares []Share
	end    func(loaded bool)
}

// Begin decides where the layers of a model go, by the memory that is free on devices and not
// promised to others, and tells the user where that is for fewer layers than there are. Errors are
// those of [Devices], or of the file.
func Begin(ctx context.Context, spec *modelspec.Spec) (*Loading, error) {
	params := llama.ModelParams{GPULayers: spec.GPULayers, MainGPU: spec.MainGPU,
		TensorSplit: spec.TensorSplit, Progress: spec.Progress, Shared: spec.Shared}
	if params.GPULayers < 0 {
		params.GPULayers = llama.NoGPULayers
	}
	switch {
	case spec.Lock && spec.NoMap:
		params.LoadMode = llama.LoadMlock
	case spec.Lock:
		params.LoadMode = llama.LoadMmapMlock
	case spec.NoMap:
		params.LoadMode = llama.LoadRead
	}
	var err error
	if params.Devices, err = Devices(ctx, spec); err != nil {
		return nil, err
	}
	p, end, err := promised.place(spec, params.Devices)
	if err != nil {
		return nil, err
	}
	l := &Loading{Params: params, end: end}
	if p != nil {
		p.apply(spec, &l.Params)
		l.Shares = p.shares
	}
	return l, nil
}

// End takes the promise of memory back: with loaded, since the model has it now. It is called once.
func (l *Loading) End(loaded bool) { l.end(loaded) }

// apply lets a model be loaded as was decided, and says so where that is less than was asked for.
func (p *placed) apply(spec *modelspec.Spec, to *llama.ModelParams) {
	if to.TensorSplit == nil {
		to.TensorSplit = p.split
	}
	if p.layers == p.all {
		to.GPULayers = 0 // whatever larger number was given
	}
	if p.layers == p.all || spec.GPULayers > 0 {
		return
	}
	if to.GPULayers = p.layers; p.layers == 0 {
		to.GPULayers = llama.NoGPULayers
	}
	notify(spec, p.shares, p.all)
}

// notify tells the user how many of all layers there was room for on devices.
func notify(spec *modelspec.Spec, shares []Share, all int) {
	layers := Layers(shares)
	if layers == 0 {
		spec.Notify("%s is computed on the CPU: the devices have no room for one of its layers",
			spec.FileName())
		return
	}
	spec.Notify("%d of %d layers of %s lie on %s, where there is no room for more; "+
		"the CPU computes the others", layers, all, spec.FileName(),
		listOf(shares, func(s Share) string { return s.Device }))
}

// TakeFewer places fewer layers on devices than a model was to have there that found no room, and
// reports whether that may help: the estimate was too small, or others were quicker.
func TakeFewer(spec *modelspec.Spec, failed []Share, err error) bool {
	layers := Layers(failed)
	if layers == 0 || !errors.Is(err, llama.ErrDeviceFull) {
		return false
	}
	if spec.GPULayers = layers - max(1, layers/4); spec.GPULayers == 0 {
		spec.GPULayers = -1
	}
	return true
}

// NotifyFewer tells the user where a model lies after [TakeFewer].
func NotifyFewer(spec *modelspec.Spec, shares []Share) {
	l, _ := layout(spec)
	notify(spec, shares, l.count())
}
