package tower

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/visiontest"
)

func TestADeviceMustBeClearlyFasterForATower(t *testing.T) {
	for name, c := range map[string]struct {
		ratios []float64
		want   bool
	}{
		"faster":                             {[]float64{0.5, 0.5, 0.6, 0.4, 0.5}, true},
		"faster but for one disturbed round": {[]float64{0.5, 0.5, 7, 0.4, 0.5}, true},
		"slower":                             {[]float64{2, 2, 2, 2, 2}, false},
		"hardly faster":                      {[]float64{0.97, 0.96, 0.97, 0.97, 0.96}, false},
		"now faster, now slower":             {[]float64{0.5, 1.2, 0.5, 1.1, 0.5}, false},
		"too few rounds":                     {[]float64{0.1, 0.1}, false},
		"nothing measured at all":            {nil, false},
	} {
		choice := choice{cosine: 1}
		for _, r := range c.ratios {
			choice.rounds = append(choice.rounds, [2]float64{r * 0.01, 0.01})
		}
		if choice.faster() != c.want {
			t.Errorf("%s: %v", name, choice.faster())
		}
		if choice.cosine = 0.9; choice.faster() {
			t.Errorf("%s, with wrong rows: it counts as faster", name)
		}
	}
}

// ggml's CPU backend stands for a device here: what is measured is real, whoever is faster.
func TestWhereATowerIsFasterIsMeasuredOnceAndKept(t *testing.T) {
	t.Setenv("EYELET_CACHE", t.TempDir())
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	shape := visiontest.Spec{Family: "clip", ImageSize: 28, PatchSize: 14, Hidden: 64, FF: 128,
		Heads: 2, Blocks: 8, Width: 32}
	path := filepath.Join(t.TempDir(), "mmproj.gguf")
	if err := shape.WriteFile(path, 0); err != nil {
		t.Fatal(err)
	}
	native, err := vision.OpenNative(path, vision.NativeOptions{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer native.Close()
	graph, err := vision.OpenGraph(path, vision.GraphOptions{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer graph.Close()
	cpu := ggml.Devices()[slices.IndexFunc(ggml.Devices(), func(d ggml.Device) bool {
		return d.Type == ggml.CPU
	})]
	again := func(threads int) *choice {
		return &choice{spec: &modelspec.Spec{Projector: path}, device: &cpu, threads: threads}
	}
	first := again(2)
	if first.recall() {
		t.Fatal("known before it was measured")
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := again(2).measure(stopped, native, graph); err == nil {
		t.Error("measured although it was stopped")
	}
	if err := first.measure(t.Context(), native, graph); err != nil {
		t.Fatal(err)
	}
	if len(first.rounds) != rounds || graph.Stats().Graphs == 0 {
		t.Fatalf("%d rounds, %+v", len(first.rounds), graph.Stats())
	}
	second := again(2)
	if !second.recall() || second.cosine != first.cosine ||
		!slices.Equal(second.rounds, first.rounds) {
		t.Errorf("%v; measured %v", second, first)
	}
	if !first.right() {
		t.Errorf("rows of two right towers have a cosine of %v", first.cosine)
	}
	if again(3).recall() {
		t.Error("known for another number of threads")
	}
	files, _ := filepath.Glob(filepath.Join(os.Getenv("EYELET_CACHE"), "tower-*.json"))
	if len(files) != 1 {
		t.Fatalf("%v", files)
	}
	for _, damage := range []string{"", "{", `{"rounds": [[1, 1]]}`} {
		if err := os.WriteFile(files[0], []byte(damage), 0o644); err != nil {
			t.Fatal(err)
		}
		if again(2).recall() {
			t.Errorf("known from %q", damage)
		}
	}
}

// A tower with more heads stands for a device that multiplies wrongly.
func TestADeviceThatComputesATowerWronglyIsNotTaken(t *testing.T) {
	t.Setenv("EYELET_CACHE", t.TempDir())
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	shape := visiontest.Spec{Family: "clip", ImageSize: 28, PatchSize: 14, Hidden: 64, FF: 128,
		Heads: 2, Blocks: 8, Width: 32}
	path, other := filepath.Join(t.TempDir(), "mmproj.gguf"), filepath.Join(t.TempDir(), "o.gguf")
	wrong := shape
	wrong.Heads = 4
	if err := errors.Join(shape.WriteFile(path, 0), wrong.WriteFile(other, 0)); err != nil {
		t.Fatal(err)
	}
	cpu := ggml.Devices()[0]
	thread := compute.Acquire()
	defer compute.Release()
	for _, named := range []bool{false, true} {
		native, err := vision.OpenNative(path, vision.NativeOptions{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		graph, err := vision.OpenGraph(other, vision.GraphOptions{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		c := &choice{spec: &modelspec.Spec{Projector: path, Notice: func(s string) { said = s }},
			device: &cpu, named: named, threads: 2}
		tower, err := c.choose(t.Context(), thread, native, graph)
		if named {
			if !errors.Is(err, fault.ErrDevice) || tower != nil {
				t.Errorf("named: %v, %v", tower, err)
			}
			continue
		}
		if err != nil || tower != vision.Encoder(native) ||
			!strings.Contains(said, "computes it wrongly") {
			t.Errorf("%v, %v, said %q", tower, err, said)
		}
		tower.Close()
	}
}
