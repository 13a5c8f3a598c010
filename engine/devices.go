package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/rpc"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
)

// NoDevice, as ModelSpec.Device, keeps all of a model on the CPU. "cpu" means the same.
const NoDevice = "none"

// ErrDevice marks a device or a server that a ModelSpec names and that is not there. Where the name
// itself is wrong, the error is ErrRequest, too; a server that cannot be reached is ErrDeviceLost
// as well.
var ErrDevice = fault.ErrDevice

// ErrDeviceLost marks a device that failed while it computed, or one on another machine that cannot
// be reached. A model with layers there answers nothing any more; a pool loads it anew when it is
// next asked for, on what devices are left.
var ErrDeviceLost = llama.ErrDeviceLost

// deviceError is an ErrDevice.
type deviceError struct {
	err   error
	named bool // the fault is in the name
}

func (e *deviceError) Error() string { return "engine: " + e.err.Error() }
func (e *deviceError) Unwrap() error { return e.err }
func (e *deviceError) Is(target error) bool {
	return target == ErrDevice || e.named && target == ErrRequest ||
		!e.named && target == ErrDeviceLost
}

func badDevice(format string, args ...any) error {
	return &deviceError{fmt.Errorf(format, args...), true}
}

// gpus returns the devices that take layers of a model: nil stands for all GPUs of this machine, an
// empty list for none. Backends must have been loaded.
func (spec *ModelSpec) gpus(ctx context.Context) ([]ggml.Device, error) {
	device := strings.ToLower(strings.TrimSpace(spec.Device))
	none := spec.GPULayers < 0 || device == NoDevice || device == "cpu"
	var remote []ggml.Device
	if spec.RPC != "" {
		addresses, err := rpc.Addresses(spec.RPC)
		switch {
		case err != nil:
			return nil, &deviceError{err, true}
		case none:
			return nil, badDevice("layers are to lie at %s and on no device; give one or the other",
				strings.Join(addresses, ", "))
		}
		if remote, err = rpc.Connect(ctx, addresses); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &deviceError{err, false}
		}
	}
	local := ggml.GPUs()
	switch {
	case none:
		return []ggml.Device{}, nil
	case device != "":
		return choose(spec.Device, slices.Concat(remote, local))
	case remote != nil:
		return slices.Concat(remote, local), nil
	}
	return nil, nil
}

// choose finds devices by a list of names.
func choose(names string, all []ggml.Device) (chosen []ggml.Device, err error) {
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(all, func(d ggml.Device) bool {
			return strings.EqualFold(d.Name, name)
		})
		if err := lostDevice(name); err != nil && i < 0 {
			return nil, &deviceError{err, false}
		}
		if i < 0 {
			return nil, badDevice("there is no device %q here that takes layers of a model; %s",
				name, deviceNames(all))
		}
		if slices.ContainsFunc(chosen, func(d ggml.Device) bool { return d.Name == all[i].Name }) {
			return nil, badDevice("device %s is named twice", all[i].Name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// lostDevice says that a device of this machine has failed, if it has.
func lostDevice(name string) error {
	for _, d := range ggml.Devices() {
		if err := d.Lost(); err != nil && strings.EqualFold(d.Name, name) {
			return fmt.Errorf("%s has failed, and this program cannot use it again before it is "+
				"started anew: %w", d.Name, err)
		}
	}
	return nil
}

// checkTime is how long CheckDevice takes at most.
const checkTime = time.Minute

// CheckDevice finds mistakes in Device, RPC, TensorSplit and VisionDevice; an error wraps ErrDevice
// and lists what there is, or says which server cannot be reached. It loads the backends.
func (spec *ModelSpec) CheckDevice() error {
	if err := ggml.Load(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	devices, err := spec.gpus(ctx)
	if err != nil {
		return err
	}
	if spec.TensorSplit != nil {
		if err := spec.checkSplit(devices); err != nil {
			return err
		}
	}
	_, _, err = spec.towerDevice()
	return err
}

// LayerDevices are the devices that take layers of the model, for who loads it without an engine:
// nil stands for all GPUs of this machine, an empty list for none. Errors are those of CheckDevice.
func (spec *ModelSpec) LayerDevices(ctx context.Context) ([]ggml.Device, error) {
	if err := ggml.Load(); err != nil {
		return nil, err
	}
	return spec.gpus(ctx)
}

// deviceNames says what ModelSpec.Device can be.
func deviceNames(gpus []ggml.Device) string {
	if len(gpus) == 0 {
		return "there is none but the CPU: give none or cpu"
	}
	names := make([]string, len(gpus))
	for i, d := range gpus {
		names[i] = d.Name
	}
	return "give " + strings.Join(names, ", ") + ", or none for the CPU"
}

// AutoDevice, as ModelSpec.VisionDevice, means what is faster, as empty does.
const AutoDevice = "auto"

// towerDevice is the GPU of this machine that may run the vision tower; nil for the CPU. named
// tells whether the spec names it. Backends must have been loaded.
func (spec *ModelSpec) towerDevice() (device *ggml.Device, named bool, err error) {
	switch name := strings.ToLower(strings.TrimSpace(spec.VisionDevice)); name {
	case NoDevice, "cpu":
		return nil, true, nil
	case "", AutoDevice:
	default:
		local := ggml.GPUs()
		chosen, err := choose(spec.VisionDevice, local)
		switch {
		case err != nil:
			return nil, true, err
		case len(chosen) > 1:
			return nil, true, badDevice("a vision tower is computed on one device; give one of %s",
				deviceList(local))
		case spec.Encoder == EncoderPlain:
			return nil, true, badDevice("plain towers are computed on the CPU, not on %s",
				chosen[0].Name)
		}
		return &chosen[0], true, nil
	}
	here := *spec
	here.RPC = "" // nothing is asked of other machines for this
	if spec.RPC != "" && spec.Device != "" {
		names := slices.DeleteFunc(strings.Split(spec.Device, ","), func(name string) bool {
			return strings.HasPrefix(strings.ToUpper(strings.TrimSpace(name)), "RPC")
		})
		if here.Device = strings.Join(names, ","); here.Device == "" {
			return nil, false, nil
		}
	}
	gpus, err := here.gpus(context.Background())
	if err != nil {
		return nil, false, err
	}
	if gpus == nil {
		gpus = llama.DefaultGPUs()
	}
	if len(gpus) == 0 {
		return nil, false, nil
	}
	return &gpus[0], false, nil
}

// onTower is which of the devices runs the vision tower, -1 for none of them.
func (spec *ModelSpec) onTower(devices []ggml.Device) int {
	if spec.Projector == "" {
		return -1
	}
	if name, err := chooseEncoder(*spec); err != nil || name == EncoderPlain {
		return -1
	}
	device, _, err := spec.towerDevice()
	if err != nil || device == nil {
		return -1
	}
	return slices.IndexFunc(devices, func(d ggml.Device) bool {
		return d.Pointer() == device.Pointer()
	})
}
