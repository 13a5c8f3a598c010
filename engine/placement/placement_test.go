package placement

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
)

const (
	seedModel     = "../../models/builtin/eyelet-builtin-q8_0.gguf"
	seedProjector = "../../models/builtin/mmproj-eyelet-builtin-q8_0.gguf"
)

// placeOn decides where a model goes on devices that say what memory is free.
func placeOn(spec *modelspec.Spec, devices ...ggml.Device) (*placed, error) {
	s, err := size(spec, append([]ggml.Device{}, devices...))
	if err != nil || s == nil {
		return nil, err
	}
	return s.place(spec, s.devices), nil
}

func TestLayersAreDividedAsLibllamaDoes(t *testing.T) {
	l := layers{layers: []int64{10, 10, 10, 10, 10, 10, 40}, compute: 5}
	for _, test := range []struct {
		n      int
		shares []float64
		count  []int
		bytes  []int64
	}{
		{7, []float64{1}, []int{7}, []int64{105}},
		// of the built-in model's layers, seen in libllama's log
		{7, []float64{3, 2}, []int{5, 2}, []int64{55, 55}},
		{3, []float64{1, 1}, []int{2, 1}, []int64{25, 45}},
		{7, []float64{1, 0, 1}, []int{4, 0, 3}, []int64{45, 0, 65}},
		{0, []float64{1, 1}, []int{0, 0}, []int64{0, 0}},
	} {
		count, bytes := l.divide(test.n, test.shares)
		if !slices.Equal(count, test.count) || !slices.Equal(bytes, test.bytes) {
			t.Errorf("%d layers by %v: %v, %v; want %v, %v", test.n, test.shares, count, bytes,
				test.count, test.bytes)
		}
	}
	for free, want := range map[int64]int{105: 7, 104: 6, 45: 1, 44: 0, -1: 0} {
		if got := l.most([]int64{free}, []float64{1}); got != want {
			t.Errorf("%d layers in %d bytes; want %d", got, free, want)
		}
	}
}

func TestAModelGoesWhereThereIsRoom(t *testing.T) {
	device := func(name string, free uint64) ggml.Device {
		return ggml.Device{Name: name, Type: ggml.GPU, MemoryFree: free, MemoryTotal: 1 << 40}
	}
	spec := modelspec.Spec{Model: seedModel}
	whole, err := placeOn(&spec, device("A", 1<<40))
	if err != nil || whole.layers != 7 || whole.all != 7 || whole.shares[0].Layers != 7 ||
		whole.takes[0] != whole.shares[0].Bytes || whole.split != nil {
		t.Fatalf("%+v, %v", whole, err)
	}
	var p llama.ModelParams
	if whole.apply(&spec, &p); p.GPULayers != 0 || p.TensorSplit != nil {
		t.Errorf("%+v", p)
	}
	said := ""
	spec.Notice = func(text string) { said = text }
	most := 0
	// of a device without memory nothing is known
	for free := uint64(1); free < 1<<30; free += 1 << 20 {
		part, err := placeOn(&spec, device("A", free), device("B", free))
		if err != nil || part.layers < most {
			t.Fatalf("%d bytes: %+v, %v; fewer layers than %d with less", free, part, err, most)
		}
		most = part.layers
		for _, s := range part.shares {
			if uint64(s.Bytes) > free {
				t.Errorf("%+v in %d bytes", s, free)
			}
		}
		if part.layers == 7 {
			continue
		}
		p, said = llama.ModelParams{}, ""
		part.apply(&spec, &p)
		switch {
		case part.layers == 0 && (p.GPULayers != llama.NoGPULayers ||
			!strings.Contains(said, "computed on the CPU")):
			t.Errorf("%q, %+v", said, p)
		case part.layers > 0 && (p.GPULayers != part.layers || len(p.TensorSplit) != 2 ||
			!strings.Contains(said, "of 7 layers")):
			t.Errorf("%q, %+v", said, p)
		}
	}
	if most != 7 {
		t.Errorf("%d layers in 2 GiB", most)
	}
	spec.GPULayers = 3 // as many as are asked for, whatever there is
	if some, err := placeOn(&spec, device("A", 1)); err != nil || some.layers != 3 ||
		some.shares[0].Layers != 3 {
		t.Errorf("%+v, %v", some, err)
	}
	if none, err := placeOn(&spec); none != nil || err != nil {
		t.Errorf("%+v, %v", none, err)
	}
}

func TestSharesFitTheDevices(t *testing.T) {
	two := []ggml.Device{{Name: "A", MemoryFree: 1 << 40}, {Name: "B", MemoryFree: 1 << 40}}
	nan := float32(0)
	nan /= nan
	for _, test := range []struct {
		split   []float32
		devices []ggml.Device
		want    string
	}{
		{[]float32{1}, two, "1 shares are given for 2 devices: A, B"},
		{[]float32{0, 0}, two, "all shares"},
		{[]float32{-1, 2}, two, "a share of -1"},
		{[]float32{nan, 2}, two, "a share of NaN"},
		{[]float32{1, 2}, []ggml.Device{}, "no device takes any"},
	} {
		spec := modelspec.Spec{Model: seedModel, TensorSplit: test.split}
		if err := checkSplit(&spec, test.devices); !errors.Is(err, fault.ErrDevice) ||
			!errors.Is(err, fault.ErrRequest) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v", test.split, err)
		}
	}
	spec := modelspec.Spec{Model: seedModel, TensorSplit: []float32{0, 2}}
	p, err := placeOn(&spec, two...)
	if err != nil || len(p.shares) != 1 || p.shares[0].Device != "B" || p.shares[0].Layers != 7 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestErrorsOfDevicesNameNoCommand(t *testing.T) {
	for _, spec := range []modelspec.Spec{
		{Device: "Vulkan7"}, {VisionDevice: "Vulkan7"}, {RPC: "127.0.0.1:99999"},
		{RPC: "a:1", GPULayers: -1}, {TensorSplit: []float32{1, 1}, GPULayers: -1},
	} {
		err := Check(&spec)
		if !errors.Is(err, fault.ErrDevice) || !errors.Is(err, fault.ErrRequest) ||
			strings.Contains(err.Error(), "--") || strings.Contains(err.Error(), "eyelet ") {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	for _, name := range []string{"", "none", "CPU"} {
		if err := Check(&modelspec.Spec{Device: name, VisionDevice: name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
