package engine

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

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
	spec := ModelSpec{Model: seedModel}
	whole, err := spec.place([]ggml.Device{device("A", 1<<40)})
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
		part, err := spec.place([]ggml.Device{device("A", free), device("B", free)})
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
	if some, err := spec.place([]ggml.Device{device("A", 1)}); err != nil || some.layers != 3 ||
		some.shares[0].Layers != 3 {
		t.Errorf("%+v, %v", some, err)
	}
	if none, err := spec.place([]ggml.Device{}); none != nil || err != nil {
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
		spec := ModelSpec{Model: seedModel, TensorSplit: test.split}
		if err := spec.checkSplit(test.devices); !errors.Is(err, ErrDevice) ||
			!errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v", test.split, err)
		}
	}
	spec := ModelSpec{Model: seedModel, TensorSplit: []float32{0, 2}}
	p, err := spec.place(two)
	if err != nil || len(p.shares) != 1 || p.shares[0].Device != "B" || p.shares[0].Layers != 7 {
		t.Errorf("%+v, %v", p, err)
	}
}

// Programs that embed the engine have other flags, and clients of a server none: package main adds
// those of the command line.
func TestErrorsNameNoFlagsOfACommandLine(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	flags := regexp.MustCompile(
		`(^|[ (])--[a-z]|\beyelet (run|serve|devices|show|import|doctor|convert)\b`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING &&
				flags.MatchString(text.Value) {
				t.Errorf("%s: %s", file, text.Value)
			}
			return true
		})
	}
}

func TestErrorsOfDevicesNameNoCommand(t *testing.T) {
	for _, spec := range []ModelSpec{
		{Device: "Vulkan7"}, {VisionDevice: "Vulkan7"}, {RPC: "127.0.0.1:99999"},
		{RPC: "a:1", GPULayers: -1}, {TensorSplit: []float32{1, 1}, GPULayers: -1},
	} {
		err := spec.CheckDevice()
		if !errors.Is(err, ErrDevice) || !errors.Is(err, ErrRequest) ||
			strings.Contains(err.Error(), "--") || strings.Contains(err.Error(), "eyelet ") {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	for _, name := range []string{"", "none", "CPU"} {
		if err := (&ModelSpec{Device: name, VisionDevice: name}).CheckDevice(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
