package engine

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// DeviceShare is what of a model lies on a device beside the CPU, as far as can be told from its
// file.
type DeviceShare struct {
	Device string `json:"device"`           // as "Vulkan0"
	Server string `json:"server,omitempty"` // of a device on another machine
	Layers int    `json:"layers"`           // of the language model; its output counts as one
	Tower  int64  `json:"tower,omitempty"`  // bytes of a vision tower's weights, among Bytes
	// weights, KV cache, and an estimate of what is computed in
	Bytes int64 `json:"bytes"`
	// in the system's memory, as a GPU without memory of its own has it
	Shared bool `json:"shared,omitempty"`
}

// placed is where the layers of a language model go.
type placed struct {
	shares []DeviceShare
	layers int       // on devices, of all
	all    int       // layers, the output included
	split  []float32 // of layers, in proportion; nil for one device
	own    int64     // bytes in memory that is not the system's
}

// place decides how many layers go to which device. It returns nil where none do, or where the file
// does not say enough.
func (spec *ModelSpec) place(devices []ggml.Device) (*placed, error) {
	if devices == nil {
		devices = llama.DefaultGPUs()
	}
	if len(devices) == 0 || spec.GPULayers < 0 {
		return nil, nil
	}
	if err := spec.checkSplit(devices); err != nil {
		return nil, err
	}
	l, err := spec.layout()
	if err != nil || l == nil {
		return nil, err
	}
	free := make([]int64, len(devices))
	shares := make([]float64, len(devices))
	for i, d := range devices {
		free[i] = int64(d.MemoryFree - d.MemoryFree/spare)
		shares[i] = float64(d.MemoryFree)
		if spec.TensorSplit != nil {
			shares[i] = float64(spec.TensorSplit[i])
		}
	}
	if !slices.ContainsFunc(shares, func(s float64) bool { return s > 0 }) {
		for i := range shares { // nobody says how much memory there is
			shares[i] = 1
		}
	}
	if spec.TensorSplit == nil && !slices.ContainsFunc(free, func(n int64) bool { return n > 0 }) {
		free = nil
	}
	if d := spec.onTower(devices); d >= 0 && free != nil {
		free[d] -= towerBytes(spec.Projector)
	}
	p := &placed{all: len(l.layers), layers: len(l.layers)}
	if spec.GPULayers > 0 {
		p.layers = min(spec.GPULayers, p.all)
	} else if free != nil {
		p.layers = l.most(free, shares)
	}
	if len(devices) > 1 {
		p.split = make([]float32, len(devices))
		for i, s := range shares {
			p.split[i] = float32(s)
		}
	}
	layers, bytes := l.divide(p.layers, shares)
	for i, d := range devices {
		if layers[i] == 0 {
			continue
		}
		share := DeviceShare{Device: d.Name, Layers: layers[i], Bytes: bytes[i],
			Shared: d.Type == ggml.IGPU}
		if d.Remote != nil {
			share.Server = d.Remote.Address()
		}
		if !share.Shared {
			p.own += bytes[i]
		}
		p.shares = append(p.shares, share)
	}
	return p, nil
}

// checkSplit finds mistakes in TensorSplit; nil devices are all GPUs of this machine.
func (spec *ModelSpec) checkSplit(devices []ggml.Device) error {
	if devices == nil {
		devices = llama.DefaultGPUs()
	}
	total := float32(0)
	for _, share := range spec.TensorSplit {
		if !(share >= 0 && share <= 1e6) { // or NaN
			return badDevice("a share of %v; give numbers from 0 up, one for each device", share)
		}
		total += share
	}
	switch {
	case spec.TensorSplit == nil:
	case len(devices) == 0:
		return badDevice("layers are to be divided, and no device takes any")
	case len(spec.TensorSplit) != len(devices):
		return badDevice("%d shares are given for %d devices: %s", len(spec.TensorSplit),
			len(devices), deviceList(devices))
	case total == 0:
		return badDevice("all shares of layers are 0")
	}
	return nil
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

// mostLayers bounds the layers of a model.
const mostLayers = 1 << 12

// layout reads what a model consists of; nil if its file does not say.
func (spec *ModelSpec) layout() (*layers, error) {
	params, err := spec.contextParams()
	if err != nil {
		return nil, err
	}
	f, err := gguf.Open(spec.Model)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
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

// apply lets a model be loaded as was decided, and says so where that is less than was asked for.
func (p *placed) apply(spec *ModelSpec, to *llama.ModelParams) {
	if p == nil {
		return
	}
	if to.TensorSplit == nil {
		to.TensorSplit = p.split
	}
	if p.layers == p.all {
		to.GPULayers = 0 // whatever larger number was given
	}
	if p.layers == p.all || spec.GPULayers > 0 {
		return
	}
	text := fmt.Sprintf("%d of %d layers of %s lie on %s, where there is no room for more; the CPU computes the others", p.layers, p.all, baseName(spec.Model), p)
	if to.GPULayers = p.layers; p.layers == 0 {
		to.GPULayers = llama.NoGPULayers
		text = fmt.Sprintf("%s is computed on the CPU: the devices have no room for one of its layers", baseName(spec.Model))
	}
	spec.notice("%s", text)
}

// String lists the devices that take layers.
func (p *placed) String() string {
	return listOf(p.shares, func(s DeviceShare) string { return s.Device })
}

// deviceList names devices.
func deviceList(devices []ggml.Device) string {
	return listOf(devices, func(d ggml.Device) string { return d.Name })
}

// listOf writes the names of things with commas between them.
func listOf[T any](things []T, name func(T) string) string {
	names := make([]string, len(things))
	for i, x := range things {
		names[i] = name(x)
	}
	return strings.Join(names, ", ")
}

// Placement returns what of a model would lie on devices beside the CPU if it were loaded now, and
// how many layers it has, its output included: 0 where its file does not say. An error is of what
// the spec names, or of the file.
func (spec ModelSpec) Placement(ctx context.Context) (shares []DeviceShare, layers int, err error) {
	if err := ggml.Load(); err != nil {
		return nil, 0, err
	}
	l, err := spec.layout()
	if err != nil || l == nil {
		return nil, 0, err
	}
	devices, err := spec.gpus(ctx)
	if err != nil {
		return nil, 0, err
	}
	p, err := spec.place(devices)
	if err != nil || p == nil {
		return nil, len(l.layers), err
	}
	return p.shares, p.all, nil
}

// Short returns the names of this machine's devices that lack the memory for all layers of a model;
// nil where it says how many go there, or has layers on other machines.
func (spec ModelSpec) Short() (names []string) {
	if spec.RPC != "" || spec.GPULayers != 0 || ggml.Load() != nil {
		return nil
	}
	devices, err := spec.gpus(context.Background())
	if devices == nil {
		devices = llama.DefaultGPUs()
	}
	if p, placeErr := spec.place(devices); err != nil || placeErr != nil || p == nil ||
		p.layers == p.all {
		return nil
	}
	for _, d := range devices {
		names = append(names, d.Name)
	}
	return names
}

// onDevices is how many bytes of a model lie in memory that is not this system's.
func (spec *ModelSpec) onDevices() (int64, error) {
	if err := ggml.Load(); err != nil {
		return 0, err
	}
	devices, err := spec.gpus(context.Background())
	if err != nil {
		return 0, err
	}
	p, err := spec.place(devices)
	if err != nil || p == nil {
		return 0, err
	}
	return p.own, nil
}
