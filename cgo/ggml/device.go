package ggml

// #include "bridge.h"
import "C"

import (
	"slices"
	"unsafe"
)

// A DeviceType says what a device is.
type DeviceType int

// The device types of ggml-backend.h.
const (
	CPU  DeviceType = C.GGML_BACKEND_DEVICE_TYPE_CPU  // the processor, in system memory
	GPU  DeviceType = C.GGML_BACKEND_DEVICE_TYPE_GPU  // a GPU with memory of its own
	IGPU DeviceType = C.GGML_BACKEND_DEVICE_TYPE_IGPU // a GPU in system memory
	// takes some operations off the CPU (BLAS, AMX)
	ACCEL DeviceType = C.GGML_BACKEND_DEVICE_TYPE_ACCEL
	// several devices joined for tensor parallelism
	META DeviceType = C.GGML_BACKEND_DEVICE_TYPE_META
)

// String returns the name of the type, as "CPU".
func (t DeviceType) String() string {
	switch t {
	case CPU:
		return "CPU"
	case GPU:
		return "GPU"
	case IGPU:
		return "IGPU"
	case ACCEL:
		return "ACCEL"
	case META:
		return "META"
	}
	return "unknown"
}

// A Device is something that computes, as it was when [Devices] looked. Copies may be kept for the
// life of the process.
type Device struct {
	Name        string // unique in the process, as "CPU" or "CUDA0"
	Description string // of the hardware, as "AMD EPYC 9R14"
	Type        DeviceType
	ID          string // of a PCI device, as "0000:c1:00.0"; else ""
	Backend     string // name of the backend it belongs to, as "CPU" or "Vulkan"
	Library     string // path of the backend's library, "" if it is compiled into libggml
	MemoryFree  uint64 // bytes; some backends report the total
	MemoryTotal uint64 // bytes
	Caps        DeviceCaps
	Remote      Remote // of a device on another machine; else nil

	dev C.ggml_backend_dev_t
}

// Remote is the server of a device on another machine.
type Remote interface {
	// Address is where it listens, as "192.168.1.20:50052".
	Address() string
	// Err returns why the server is lost, nil while it is not. What was computed on it before the
	// call is whole if there is no error.
	Err() error
	// Advise has the server compute as this process does, if it is an Eyelet that can.
	Advise(c Choices)
}

// DeviceCaps tells what a device supports (ggml_backend_dev_caps).
type DeviceCaps struct {
	Async             bool // asynchronous operations
	HostBuffer        bool // pinned host memory
	BufferFromHostPtr bool // buffers over memory that the host allocated
	Events            bool // synchronization by events
}

// Pointer returns the ggml_backend_dev_t of the device, for the device lists of libllama and
// libmtmd; nil for the zero Device. Devices live as long as the process.
func (d Device) Pointer() unsafe.Pointer { return unsafe.Pointer(d.dev) }

// Devices returns the devices of all loaded backends in the order of registration. [Load] must have
// succeeded; before it, there are none.
func Devices() []Device {
	n := int(C.ggml_backend_dev_count())
	devices := make([]Device, 0, n)
	for i := range n {
		devices = append(devices, DeviceAt(unsafe.Pointer(C.ggml_backend_dev_get(C.size_t(i)))))
	}
	return devices
}

// DeviceAt returns what is known of a device (ggml_backend_dev_t), whether it is registered or not.
func DeviceAt(device unsafe.Pointer) Device {
	dev := C.ggml_backend_dev_t(device)
	var p C.struct_ggml_backend_dev_props
	C.ggml_backend_dev_get_props(dev, &p)
	reg := C.ggml_backend_dev_backend_reg(dev)
	return Device{
		Name:        C.GoString(p.name),
		Description: C.GoString(p.description),
		Type:        DeviceType(p._type),
		ID:          C.GoString(p.device_id),
		Backend:     C.GoString(C.ggml_backend_reg_name(reg)),
		Library:     backendLibrary(reg),
		MemoryFree:  uint64(p.memory_free),
		MemoryTotal: uint64(p.memory_total),
		Caps: DeviceCaps{
			Async:             bool(p.caps.async),
			HostBuffer:        bool(p.caps.host_buffer),
			BufferFromHostPtr: bool(p.caps.buffer_from_host_ptr),
			Events:            bool(p.caps.events),
		},
		dev: dev,
	}
}

// RemoteDevices returns the devices of a registration (ggml_backend_reg_t) that is not among
// libggml's own, that of a server elsewhere. Nothing is asked of the server: what memory is there,
// the caller fills in.
func RemoteDevices(reg unsafe.Pointer, server Remote) []Device {
	r := C.ggml_backend_reg_t(reg)
	devices := make([]Device, int(C.ggml_backend_reg_dev_count(r)))
	for i := range devices {
		dev := C.ggml_backend_reg_dev_get(r, C.size_t(i))
		devices[i] = Device{Name: C.GoString(C.ggml_backend_dev_name(dev)),
			Description: server.Address(), Type: GPU, Backend: "RPC", Remote: server, dev: dev}
	}
	return devices
}

// GPUs returns the devices of this machine that take whole layers of a model: those of type GPU and
// IGPU that are not lost.
func GPUs() []Device {
	return slices.DeleteFunc(Devices(), func(d Device) bool {
		return d.Type != GPU && d.Type != IGPU || d.Lost() != nil
	})
}

// Attends tells whether the device has flash attention for so many heads, over a cache of keys and
// values of these widths a head and of these types.
func (d Device) Attends(heads, headsKV, keyWidth, valueWidth int, k, v Type) bool {
	if d.dev == nil || heads < 1 || headsKV < 1 || heads%headsKV != 0 || keyWidth < 1 ||
		valueWidth < 1 ||
		keyWidth%k.BlockSize() != 0 || valueWidth%v.BlockSize() != 0 {
		return false
	}
	return bool(C.eyelet_device_attends(d.dev, C.int64_t(heads), C.int64_t(headsKV),
		C.int64_t(keyWidth), C.int64_t(valueWidth), C.enum_ggml_type(k), C.enum_ggml_type(v)))
}

// Backends returns the names of the backends that are loaded, as "CPU", "Vulkan" or "RPC", whether
// they have devices or not.
func Backends() []string {
	names := make([]string, 0, 8)
	for i := range C.ggml_backend_reg_count() {
		names = append(names, C.GoString(C.ggml_backend_reg_name(C.ggml_backend_reg_get(i))))
	}
	return names
}

// CPULibrary returns the path of the CPU backend library that [Load] chose, "" before Load or if
// the CPU backend is compiled into libggml.
func CPULibrary() string {
	dev := C.ggml_backend_dev_by_type(C.GGML_BACKEND_DEVICE_TYPE_CPU)
	if dev == nil {
		return ""
	}
	return backendLibrary(C.ggml_backend_dev_backend_reg(dev))
}

// A Feature is something that a backend was built to use, as {"AVX512", "1"}.
type Feature struct {
	Name, Value string
}

// CPUFeatures returns the instruction sets and options that the chosen CPU library uses; nil before
// [Load].
func CPUFeatures() []Feature {
	dev := C.ggml_backend_dev_by_type(C.GGML_BACKEND_DEVICE_TYPE_CPU)
	if dev == nil {
		return nil
	}
	var features []Feature
	f := C.eyelet_backend_features(C.ggml_backend_dev_backend_reg(dev))
	for ; f != nil && f.name != nil; f = (*C.struct_ggml_backend_feature)(
		unsafe.Add(unsafe.Pointer(f), unsafe.Sizeof(*f))) {
		features = append(features, Feature{C.GoString(f.name), C.GoString(f.value)})
	}
	return features
}

// backendLibrary returns the path of the library that a backend's registration lies in.
func backendLibrary(reg C.ggml_backend_reg_t) string {
	var buf [4096]C.char
	if reg == nil || !C.eyelet_object_path(unsafe.Pointer(reg), &buf[0], C.size_t(len(buf))) {
		return ""
	}
	return C.GoString(&buf[0])
}
