package engine

import (
	"context"
	"errors"
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

// Placed reports whether the spec says anything of where the model is to lie.
func (spec *ModelSpec) Placed() bool {
	return spec.Device != "" || spec.RPC != "" || spec.GPULayers != 0 ||
		spec.TensorSplit != nil || spec.VisionDevice != ""
}

// TakePlacement lets the model lie where its manifest wants it, unless the spec says anything of
// that: so many layers as for [ModelSpec.TakeLayers], devices by name, and shares of them; nil
// where the manifest says nothing.
func (spec *ModelSpec) TakePlacement(layers *int, device, visionDevice *string,
	split []float32) {
	if spec.Placed() {
		return
	}
	if layers != nil {
		spec.TakeLayers(*layers)
	}
	if device != nil {
		spec.Device = *device
	}
	if visionDevice != nil {
		spec.VisionDevice = *visionDevice
	}
	spec.TensorSplit = split
	spec.byManifest = spec.Placed()
}

// TakeLayers sets GPULayers to a count as Ollama has it: negative for all that there is room for, 0
// for none.
func (spec *ModelSpec) TakeLayers(n int) {
	switch spec.GPULayers = n; {
	case n < 0:
		spec.GPULayers = 0
	case n == 0:
		spec.GPULayers = -1
	}
}

// Divisible reports whether there are devices that can take layers of the model.
func (spec *ModelSpec) Divisible() bool {
	if spec.RPC != "" {
		return true
	}
	devices, err := spec.LayerDevices(context.Background())
	return err != nil || len(devices) > 0 || devices == nil && len(llama.DefaultGPUs()) > 0
}

// placed is where the layers of a language model go.
type placed struct {
	shares []DeviceShare
	layers int       // on devices, of all
	all    int       // layers, the output included
	split  []float32 // of layers, in proportion; nil for one device
	takes  []int64   // bytes of each device, those of a tower that may lie there among them
}

// place decides how many layers go to which device, with the memory that is free by what devices
// says. It returns nil where none do, or where the file does not say enough.
func (spec *ModelSpec) place(devices []ggml.Device) (*placed, error) {
	s, err := spec.size(devices)
	if err != nil || s == nil {
		return nil, err
	}
	return s.place(spec, s.devices), nil
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
func (spec *ModelSpec) size(devices []ggml.Device) (*sized, error) {
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
	s := &sized{layers: l, devices: devices, onTower: spec.onTower(devices)}
	if s.onTower >= 0 {
		s.tower = towerBytes(spec.Projector)
	}
	return s, nil
}

// place is ModelSpec.place on its devices, which say what memory is free.
func (s *sized) place(spec *ModelSpec, devices []ggml.Device) *placed {
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
	p := &placed{all: len(s.layers.layers), layers: len(s.layers.layers)}
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
		share := DeviceShare{Device: d.Name, Layers: layers[i], Bytes: bytes[i],
			Shared: d.Type == ggml.IGPU}
		if d.Remote != nil {
			share.Server = d.Remote.Address()
		}
		p.shares = append(p.shares, share)
	}
	return p
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
	if to.GPULayers = p.layers; p.layers == 0 {
		to.GPULayers = llama.NoGPULayers
	}
	spec.sayRoom(p.shares, p.all)
}

// sayRoom tells the user how many of all layers there was room for on devices.
func (spec *ModelSpec) sayRoom(shares []DeviceShare, all int) {
	layers := layersOf(shares)
	if layers == 0 {
		spec.notice("%s is computed on the CPU: the devices have no room for one of its layers",
			baseName(spec.Model))
		return
	}
	spec.notice("%d of %d layers of %s lie on %s, where there is no room for more; "+
		"the CPU computes the others", layers, all, baseName(spec.Model), deviceNamesOf(shares))
}

// layersOf is how many layers lie on devices.
func layersOf(shares []DeviceShare) (n int) {
	for _, s := range shares {
		n += s.Layers
	}
	return n
}

// takeFewer places fewer layers on devices than a model was to have there that found no room, and
// reports whether that may help: the estimate was too small, or others were quicker. Of a number of
// layers that was asked for, nothing is taken away.
func (spec *ModelSpec) takeFewer(failed *Model, err error) bool {
	layers := layersOf(failed.info.Devices)
	if failed.spec.GPULayers != 0 && !spec.fewer || layers == 0 ||
		!errors.Is(err, llama.ErrDeviceFull) {
		return false
	}
	spec.fewer = true
	if spec.GPULayers = layers - max(1, layers/4); spec.GPULayers == 0 {
		spec.GPULayers = -1
	}
	return true
}

// sayFewer tells the user where the model lies after takeFewer.
func (spec *ModelSpec) sayFewer(m *Model) {
	all := 0
	if l, err := spec.layout(); err == nil && l != nil {
		all = len(l.layers)
	}
	spec.sayRoom(m.info.Devices, all)
}

// deviceNamesOf lists the devices that take layers.
func deviceNamesOf(shares []DeviceShare) string {
	return listOf(shares, func(s DeviceShare) string { return s.Device })
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
	if err != nil {
		return nil
	}
	s, err := spec.size(devices)
	if err != nil || s == nil {
		return nil
	}
	if p := s.place(&spec, deviceClaims.now(s.devices)); p.layers == p.all {
		return nil
	}
	for _, d := range s.devices {
		names = append(names, d.Name)
	}
	return names
}

// onDevices returns what of a model would lie on devices.
func (spec *ModelSpec) onDevices() ([]DeviceShare, error) {
	if err := ggml.Load(); err != nil {
		return nil, err
	}
	devices, err := spec.gpus(context.Background())
	if err != nil {
		return nil, err
	}
	p, err := spec.place(devices)
	if err != nil || p == nil {
		return nil, err
	}
	return p.shares, nil
}

// addShare counts something more that lies on a device.
func (m *Model) addShare(more DeviceShare) {
	i := slices.IndexFunc(m.info.Devices, func(s DeviceShare) bool {
		return s.Server == more.Server && s.Device == more.Device
	})
	if i < 0 {
		m.info.Devices = append(m.info.Devices, more)
		return
	}
	s := &m.info.Devices[i]
	s.Layers, s.Bytes, s.Tower = s.Layers+more.Layers, s.Bytes+more.Bytes, s.Tower+more.Tower
}
