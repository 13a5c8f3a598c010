// Package tower opens the vision tower of a model: it chooses who runs it, and measures once for a
// machine where it is computed, on the CPU or a device.
package tower

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/mmproj"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// Host is for whom a tower is opened, and what computes it.
type Host struct {
	Model   *llama.Model
	Threads int
	Thread  *compute.Thread
}

// Open opens what a projector file has: a vision tower, an encoder of sounds, or both; nil stands
// for what it has not. It chooses who runs the tower, and where. Errors are the engine's:
// ErrModelFile for a file that is at fault, ErrMismatch for one that belongs to another model,
// ErrDevice where the device that the spec names cannot run it.
func Open(ctx context.Context, spec *modelspec.Spec,
	host Host) (tower vision.Encoder, ears *libmtmd.Ears, err error) {
	f, err := gguf.Open(spec.Projector)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	sees, hears := mmproj.HasVision(f), mmproj.HasSound(f)
	f.Close()
	if sees {
		if tower, err = openVision(ctx, spec, host); err != nil {
			return nil, nil, err
		}
	}
	if hears {
		if ears, err = openEars(ctx, spec, host); err != nil && tower != nil {
			tower.Close()
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return tower, ears, nil
}

// openEars opens an encoder of sounds.
func openEars(ctx context.Context, spec *modelspec.Spec, host Host) (*libmtmd.Ears, error) {
	devices, err := placement.MtmdDevices(spec)
	if err != nil {
		return nil, err
	}
	ears, err := libmtmd.OpenEars(ctx, spec.Projector, libmtmd.Options{Threads: host.Threads,
		Model: host.Model, Devices: devices})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	return ears, nil
}

// openVision opens a vision tower, and compares it with the language model.
func openVision(ctx context.Context, spec *modelspec.Spec, host Host) (vision.Encoder, error) {
	tower, err := open(ctx, spec, host)
	switch {
	case err == nil:
	case errors.Is(err, fault.ErrDevice):
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, libmtmd.ErrVocabulary):
		return nil, fmt.Errorf("%w: %w; use the model that it belongs to", fault.ErrMismatch, err)
	case errors.Is(err, fault.ErrModelFile):
		return nil, err
	default:
		return nil, fmt.Errorf("%w: %w", fault.ErrModelFile, err)
	}
	lm := host.Model
	if w := tower.Info().Width; w != lm.NEmbdInp() {
		tower.Close()
		return nil, fmt.Errorf("%w: %s makes embeddings %d wide, %s takes %d; "+
			"use the mmproj file that came with the model", fault.ErrMismatch, spec.Projector, w,
			lm.Path(), lm.NEmbdInp())
	}
	if err := checkMarkers(tower, lm.Vocab()); err != nil {
		tower.Close()
		return nil, fmt.Errorf("%w: %s: %w", fault.ErrModelFile, spec.Projector, err)
	}
	return tower, nil
}

// open opens a tower with who runs it, and compares it with nothing.
func open(ctx context.Context, spec *modelspec.Spec, host Host) (vision.Encoder, error) {
	name, err := spec.EncoderName()
	if err != nil {
		return nil, err
	}
	switch name {
	case modelspec.EncoderMtmd:
		devices, err := placement.MtmdDevices(spec)
		if err != nil {
			return nil, err
		}
		return vision.AsEncoder(libmtmd.Open(ctx, spec.Projector, libmtmd.Options{
			Threads: host.Threads, Model: host.Model, Devices: devices}))
	case modelspec.EncoderPlain:
		return vision.AsEncoder(vision.OpenPlain(spec.Projector, vision.Options{}))
	}
	return openNative(ctx, spec, host)
}

// openNative opens a described tower where it is to be computed: on the CPU, on the GPU that the
// spec names, or where it was measured to be faster.
func openNative(ctx context.Context, spec *modelspec.Spec, host Host) (vision.Encoder, error) {
	device, named, err := placement.TowerDevice(spec)
	if err != nil {
		return nil, err
	}
	cpu := func() (*vision.Native, error) {
		return vision.OpenNative(spec.Projector, vision.NativeOptions{Precision: spec.Precision(),
			Threads: host.Threads})
	}
	if device == nil {
		return vision.AsEncoder(cpu())
	}
	c := &choice{spec: spec, device: device, named: named, threads: host.Threads}
	known := c.recall()
	switch {
	case known && !c.right():
		if err := c.unfit(c.fault()); err != nil {
			return nil, err
		}
		return vision.AsEncoder(cpu())
	case known && !named && !c.faster():
		return vision.AsEncoder(cpu())
	}
	graph, err := vision.OpenGraph(spec.Projector, vision.GraphOptions{
		Precision: spec.Precision(), Device: device, Threads: host.Threads})
	switch {
	case errors.Is(err, vision.ErrDevice):
		if err := c.unfit(err); err != nil {
			return nil, err
		}
		return vision.AsEncoder(cpu())
	case err != nil || known:
		return vision.AsEncoder(graph, err)
	}
	native, err := cpu()
	if err != nil {
		graph.Close()
		return nil, err
	}
	return c.choose(ctx, host.Thread, native, graph)
}

// Share returns what a tower takes on a device; false for one that the CPU or libmtmd computes.
func Share(tower vision.Encoder) (placement.Share, bool) {
	graph, ok := tower.(*vision.Graph)
	if !ok {
		return placement.Share{}, false
	}
	bytes, _ := graph.WeightBytes()
	shared := slices.ContainsFunc(ggml.GPUs(), func(d ggml.Device) bool {
		return d.Name == graph.Device() && d.Type == ggml.IGPU
	})
	return placement.Share{Device: graph.Device(), Shared: shared, Bytes: bytes, Tower: bytes}, true
}

// marker is a control token in what a layout writes.
var marker = regexp.MustCompile(`<[^<>\s]+>|\[[A-Z_]+\]`)

// checkMarkers refuses a language model that has no token for a marker that stands beside pictures:
// it would read the marker's letters.
func checkMarkers(tower vision.Encoder, vocab *llama.Vocab) error {
	plan, err := tower.Plan(2048, 1024) // of a shape that families with tiles cut
	if err != nil {
		return err
	}
	text := plan.After
	for _, part := range plan.Parts {
		text += part.Before
	}
	for _, name := range marker.FindAllString(text, -1) {
		if tokens, err := vocab.Tokenize(name, false, true); err != nil || len(tokens) != 1 {
			return fmt.Errorf("%w: the language model has no token %s, which stands beside the "+
				"pictures of a %s projector; use the model that it belongs to", fault.ErrMismatch,
				name, tower.Info().Projector)
		}
	}
	return nil
}
