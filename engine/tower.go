package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// openNative opens a described tower where it is to be computed: on the CPU, on the GPU that the
// spec names, or where it was measured to be faster.
func openNative(ctx context.Context, spec ModelSpec, e *Engine) (vision.Encoder, error) {
	if err := ggml.Load(); err != nil {
		return nil, err
	}
	device, named, err := spec.towerDevice()
	if err != nil {
		return nil, err
	}
	onCPU := func() (*vision.Native, error) {
		return vision.OpenNative(spec.Projector, vision.NativeOptions{Precision: spec.precision(),
			Threads: e.threads})
	}
	if device == nil {
		return either(onCPU())
	}
	choice := towerChoice{spec: &spec, device: device, threads: e.threads}
	known := choice.recall()
	if known && !named && !choice.faster() {
		if !choice.right() {
			spec.notice("the vision tower of %s is computed on the CPU: %v", baseName(spec.Model),
				choice.fault())
		}
		return either(onCPU())
	}
	if known && !choice.right() {
		return nil, &deviceError{fmt.Errorf("the vision tower cannot lie on %s: %w", device.Name,
			choice.fault()), false}
	}
	graph, err := vision.OpenGraph(spec.Projector, vision.GraphOptions{Precision: spec.precision(),
		Device: device, Threads: e.threads})
	if errors.Is(err, vision.ErrDevice) && named {
		return nil, &deviceError{fmt.Errorf("the vision tower cannot lie on %s: %w", device.Name,
			err), false}
	}
	if errors.Is(err, vision.ErrDevice) {
		spec.notice("the vision tower of %s is computed on the CPU: %v", baseName(spec.Model), err)
		return either(onCPU())
	}
	if err != nil || known {
		return either(graph, err)
	}
	native, err := onCPU()
	if err != nil {
		graph.Close()
		return nil, err
	}
	return choice.choose(ctx, e, native, graph, named)
}

// choose compares a tower on the CPU with the same on the device, closes one and returns the other:
// the device's where it is right, and either faster or named.
func (c *towerChoice) choose(ctx context.Context, e *Engine, native *vision.Native,
	graph *vision.Graph, named bool) (vision.Encoder, error) {
	slog.Info("comparing once where the vision tower is computed", "device", c.device.Name)
	err := e.thread.Do(ctx, func() error { return c.measure(ctx, native, graph) })
	if err == nil && !c.right() {
		err = c.fault()
	}
	if err == nil && (named || c.faster()) {
		native.Close()
		return graph, nil
	}
	graph.Close()
	if err == nil {
		return native, nil
	}
	if named || ctx.Err() != nil {
		native.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &deviceError{fmt.Errorf("the vision tower cannot lie on %s: %w",
			c.device.Name, err), false}
	}
	c.spec.notice("the vision tower of %s is computed on the CPU: %v", baseName(c.spec.Model), err)
	return native, nil
}

// notice tells the user what is otherwise than was asked for.
func (spec *ModelSpec) notice(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if spec.Notice != nil {
		spec.Notice(text)
	} else {
		slog.Warn(text)
	}
}

// countTower adds what a vision tower takes on a device to what lies there.
func (m *Model) countTower() {
	tower, ok := m.vision.(*vision.Graph)
	if !ok {
		return
	}
	bytes, _ := tower.WeightBytes()
	shared := slices.ContainsFunc(ggml.GPUs(), func(d ggml.Device) bool {
		return d.Name == tower.Device() && d.Type == ggml.IGPU
	})
	m.addShare(DeviceShare{Device: tower.Device(), Shared: shared, Bytes: bytes, Tower: bytes})
}

// ratioOf is the median of the device's times as shares of the CPU's, and the largest but one.
func ratioOf(rounds [][2]float64) (typical, most float64) {
	all := make([]float64, 0, len(rounds))
	for _, r := range rounds {
		all = append(all, r[0]/r[1])
	}
	slices.SortFunc(all, func(a, b float64) int { return cmp.Compare(a, b) })
	return all[len(all)/2], all[len(all)-2]
}
