package placement

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// Placement is where a language model lies.
type Placement struct {
	Layers  int     `json:"layers"`  // of the model, its output included
	Devices []Share `json:"devices"` // beside the CPU, that take some of them
}

// Of returns where a model would lie if it were loaded now; nil where its file does not say. An
// error is of what the spec names, or of the file.
func Of(ctx context.Context, spec *modelspec.Spec) (*Placement, error) {
	p, err := now(ctx, spec)
	if err != nil {
		return nil, err
	}
	if p != nil {
		return &Placement{p.all, append([]Share{}, p.shares...)}, nil
	}
	l, err := layout(spec)
	if err != nil || l == nil {
		return nil, err
	}
	return &Placement{len(l.layers), []Share{}}, nil
}

// Short returns the names of this machine's devices that lack the memory for all layers of a model;
// nil if the spec says how many layers go there, or has layers on other machines.
func Short(spec *modelspec.Spec) (names []string) {
	if spec.RPC != "" || spec.GPULayers != 0 {
		return nil
	}
	p, err := now(context.Background(), spec)
	if err != nil || p == nil || p.layers == p.all {
		return nil
	}
	for _, d := range p.devices {
		names = append(names, d.Name)
	}
	return names
}

// now decides where a model would go if it were loaded now; nil as size returns it.
func now(ctx context.Context, spec *modelspec.Spec) (*placed, error) {
	devices, err := Devices(ctx, spec)
	if err != nil {
		return nil, err
	}
	s, err := size(spec, devices)
	if err != nil || s == nil {
		return nil, err
	}
	return s.place(spec, promised.now(s.devices)), nil
}

// placed is where the layers of a language model go.
type placed struct {
	devices []ggml.Device // that may take some
	shares  []Share
	layers  int       // on devices, of all
	all     int       // layers, the output included
	split   []float32 // of layers, in proportion; nil for one device
	takes   []int64   // bytes of each device, those of a tower that may lie there among them
}

// sized is how large a model is, by its files, and the devices that it is for.
type sized struct {
	*layers
	devices []ggml.Device // one at least
	onTower int           // which of them may run the vision tower; -1 for none
	tower   int64         // bytes that the tower takes there
}

// size reads how large a model is; nil where no device takes layers, or where the file does not say
// enough. Nil devices are all GPUs of this machine.
func size(spec *modelspec.Spec, devices []ggml.Device) (*sized, error) {
	if devices == nil {
		devices = llama.DefaultGPUs()
	}
	if len(devices) == 0 || spec.GPULayers < 0 {
		return nil, nil
	}
	if err := checkSplit(spec, devices); err != nil {
		return nil, err
	}
	l, err := layout(spec)
	if err != nil || l == nil {
		return nil, err
	}
	s := &sized{layers: l, devices: devices, onTower: onTower(spec, devices)}
	if s.onTower >= 0 {
		s.tower = towerBytes(spec.Projector)
	}
	return s, nil
}

// place decides how many layers go to which device, with the memory that is free by what its
// devices say.
func (s *sized) place(spec *modelspec.Spec, devices []ggml.Device) *placed {
	free := make([]int64, len(devices))
	shares := make([]float64, len(devices))
	known := false // how much memory there is
	for i, d := range devices {
		free[i] = int64(d.MemoryFree - d.MemoryFree/spare)
		known = known || d.MemoryFree > 0 || d.MemoryTotal > 0
		shares[i] = float64(d.MemoryFree)
		if spec.TensorSplit != nil {
			shares[i] = float64(spec.TensorSplit[i])
		}
	}
	if !slices.ContainsFunc(shares, func(s float64) bool { return s > 0 }) {
		for i := range shares {
			shares[i] = 1
		}
	}
	if s.onTower >= 0 {
		free[s.onTower] -= s.tower
	}
	p := &placed{devices: devices, all: s.count(), layers: s.count()}
	if spec.GPULayers > 0 {
		p.layers = min(spec.GPULayers, p.all)
	} else if known {
		p.layers = s.most(free, shares)
	}
	if len(devices) > 1 {
		p.split = make([]float32, len(devices))
		for i, s := range shares {
			p.split[i] = float32(s)
		}
	}
	layers, bytes := s.divide(p.layers, shares)
	p.takes = slices.Clone(bytes)
	if s.onTower >= 0 {
		p.takes[s.onTower] += s.tower
	}
	for i, d := range devices {
		if layers[i] == 0 {
			continue
		}
		share := Share{Device: d.Name, Layers: layers[i], Bytes: bytes[i],
			Shared: d.Type == ggml.IGPU}
		if d.Remote != nil {
			share.Server = d.Remote.Address()
		}
		p.shares = append(p.shares, share)
	}
	return p
}

// towerBytes is about what a vision tower takes on a device: its weights, and a quarter as much to
// compute in.
func towerBytes(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size() + info.Size()/4
}

// spare is the part of a device's free memory that is left: buffers are rounded up, and drivers
// take some.
const spare = 16

// layers is what a language model consists of, by its file.
type layers struct {
	layers  []int64 // bytes of the weights and the KV cache of each, and last those of the output
	compute int64   // bytes that each device computes in, about
}

// count is how many layers there are; none of a model whose file does not say.
func (l *layers) count() int {
	if l == nil {
		return 0
	}
	return len(l.layers)
}

// mostLayers bounds the layers of a model.
const mostLayers = 1 << 12

// layout reads what a model consists of; nil if its file does not say.
func layout(spec *modelspec.Spec) (*layers, error) {
	params, err := spec.ContextParams()
	if err != nil {
		return nil, err
	}
	f, err := gguf.Open(spec.Model)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	defer f.Close()
	n, ok := f.Uint(f.Architecture() + ".block_count")
	if !ok || n == 0 || n > mostLayers {
		return nil, nil
	}
	l := &layers{layers: make([]int64, n+1), compute: int64(computeBytes(f, microBatch))}
	cache := int64(min(cacheBytes(f, params.NCtx, params.TypeK, params.TypeV), 1<<60)) / int64(n)
	for i := range n {
		l.layers[i] = cache
	}
	output := false
	for _, t := range f.Tensors() {
		rest, isBlock := strings.CutPrefix(t.Name, "blk.")
		number, _, _ := strings.Cut(rest, ".")
		switch i, err := strconv.Atoi(number); {
		case isBlock && err == nil && i >= 0 && uint64(i) < n:
			l.layers[i] += t.Size()
		case strings.HasPrefix(t.Name, "output"):
			l.layers[n] += t.Size()
			output = output || t.Name == "output.weight"
		}
	}
	// the output's weights are those of the input
	if t, ok := f.Tensor("token_embd.weight"); ok && !output {
		l.layers[n] += t.Size()
	}
	return l, nil
}

// divide says how many of the last n layers each device gets, as libllama divides them, and how
// many bytes that takes there.
func (l *layers) divide(n int, shares []float64) (count []int, bytes []int64) {
	count, bytes = make([]int, len(shares)), make([]int64, len(shares))
	total := 0.0
	for _, s := range shares {
		total += s
	}
	first := len(l.layers) - n
	for i := first; i < len(l.layers); i++ {
		at, sum, device := float64(i-first)/float64(n), 0.0, len(shares)-1
		for d, s := range shares {
			if sum += s / total; at < sum {
				device = d
				break
			}
		}
		if count[device]++; count[device] == 1 {
			bytes[device] += l.compute
		}
		bytes[device] += l.layers[i]
	}
	return count, bytes
}

// most is the largest number of layers for which each device has room.
func (l *layers) most(free []int64, shares []float64) int {
	for n := len(l.layers); n > 0; n-- {
		_, bytes := l.divide(n, shares)
		fits := true
		for i := range bytes {
			fits = fits && bytes[i] <= free[i]
		}
		if fits {
			return n
		}
	}
	return 0
}
