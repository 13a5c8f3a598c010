// Package placement decides where a model goes: its layers and its vision tower, to devices or the
// CPU, by the memory that is free there; and estimates what memory it takes.
package placement

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
	"github.com/eyelet-engine/eyelet/engine/modelspec"
)

// deviceError is an ErrDevice of the engine's.
type deviceError struct {
	err   error
	named bool // the fault is in the name
}

func (e *deviceError) Error() string { return "engine: " + e.err.Error() }
func (e *deviceError) Unwrap() error { return e.err }
func (e *deviceError) Is(target error) bool {
	return target == fault.ErrDevice || e.named && target == fault.ErrRequest ||
		!e.named && target == llama.ErrDeviceLost
}

func badDevice(format string, args ...any) error {
	return &deviceError{fmt.Errorf(format, args...), true}
}

// NoTower returns the error of a vision tower that was to lie on a device, and cannot: one that
// wraps why, the engine's ErrDevice and its ErrDeviceLost.
func NoTower(device string, why error) error {
	return &deviceError{fmt.Errorf("the vision tower cannot lie on %s: %w", device, why), false}
}

// Devices returns the devices that take layers of a model: nil stands for all GPUs of this machine,
// an empty list for none. It loads the backends, and connects to the servers of RPC. An error wraps
// the engine's ErrDevice and lists what there is, or says which server cannot be reached.
func Devices(ctx context.Context, spec *modelspec.Spec) ([]ggml.Device, error) {
	if err := ggml.Load(); err != nil {
		return nil, err
	}
	device := strings.ToLower(strings.TrimSpace(spec.Device))
	none := spec.GPULayers < 0 || device == modelspec.NoDevice || device == "cpu"
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
			valid := "there is none but the CPU: give none or cpu"
			if len(all) > 0 {
				valid = "give " + deviceList(all) + ", or none for the CPU"
			}
			return nil, badDevice("there is no device %q here that takes layers of a model; %s",
				name, valid)
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

// checkTime is how long Check takes at most.
const checkTime = time.Minute

// Check finds mistakes in Device, RPC, TensorSplit and VisionDevice. Its errors are those of
// [Devices].
func Check(spec *modelspec.Spec) error {
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	devices, err := Devices(ctx, spec)
	if err != nil {
		return err
	}
	if spec.TensorSplit != nil {
		if err := checkSplit(spec, devices); err != nil {
			return err
		}
	}
	_, _, err = TowerDevice(spec)
	return err
}

// checkSplit finds mistakes in TensorSplit; nil devices are all GPUs of this machine.
func checkSplit(spec *modelspec.Spec, devices []ggml.Device) error {
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

// Divisible reports whether there are devices that can take layers of a model.
func Divisible(spec *modelspec.Spec) bool {
	if spec.RPC != "" {
		return true
	}
	devices, err := Devices(context.Background(), spec)
	return err != nil || len(devices) > 0 || devices == nil && len(llama.DefaultGPUs()) > 0
}

// TowerDevice returns the GPU of this machine that may run the vision tower; nil for the CPU. named
// tells whether the spec names it. It loads the backends.
func TowerDevice(spec *modelspec.Spec) (device *ggml.Device, named bool, err error) {
	if err := ggml.Load(); err != nil {
		return nil, false, err
	}
	switch name := strings.ToLower(strings.TrimSpace(spec.VisionDevice)); name {
	case modelspec.NoDevice, "cpu":
		return nil, true, nil
	case "", modelspec.AutoDevice:
	default:
		local := ggml.GPUs()
		chosen, err := choose(spec.VisionDevice, local)
		switch {
		case err != nil:
			return nil, true, err
		case len(chosen) > 1:
			return nil, true, badDevice("a vision tower is computed on one device; give one of %s",
				deviceList(local))
		case spec.Encoder == modelspec.EncoderPlain:
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
	gpus, err := Devices(context.Background(), &here)
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

// MtmdDevices returns the devices on which libmtmd may compute: one, or none for the CPU.
func MtmdDevices(spec *modelspec.Spec) ([]ggml.Device, error) {
	devices := []ggml.Device{}
	d, _, err := TowerDevice(spec)
	if d != nil && err == nil {
		devices = append(devices, *d)
	}
	return devices, err
}

// onTower is which of the devices runs the vision tower, -1 for none of them.
func onTower(spec *modelspec.Spec, devices []ggml.Device) int {
	if spec.Projector == "" {
		return -1
	}
	if name, err := spec.EncoderName(); err != nil || name == modelspec.EncoderPlain {
		return -1
	}
	device, _, err := TowerDevice(spec)
	if err != nil || device == nil {
		return -1
	}
	return slices.IndexFunc(devices, func(d ggml.Device) bool {
		return d.Pointer() == device.Pointer()
	})
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
