// Package vulkan asks the system's Vulkan loader which devices there are and who drives them.
// ggml's Vulkan backend tells only of those that it takes, and nothing of why it takes no other.
package vulkan

// #include "vulkan.h"
import "C"

import (
	"errors"
	"fmt"
)

// Errors of [Devices].
var (
	// ErrNoLoader says that libvulkan.so.1 is not installed.
	ErrNoLoader = errors.New("the Vulkan loader, libvulkan.so.1, is not installed")
	// ErrNoDriver says that the loader is there and no driver for a device.
	ErrNoDriver = errors.New("no Vulkan driver is installed that finds its hardware")
)

// Kind says what a device is, as its driver sees it.
type Kind uint32

// The kinds of VkPhysicalDeviceType.
const (
	Other Kind = iota
	Integrated
	Discrete
	Virtual
	Software // a program on the CPU
)

// Device is a physical device of Vulkan.
type Device struct {
	Index          int // in the loader's list, which ggml counts in GGML_VK_VISIBLE_DEVICES
	Name           string
	Kind           Kind
	Vendor, Device uint32 // PCI numbers, or others' of the Khronos registry
	API            string // version of Vulkan, as "1.4.335"
	Driver         uint32 // its version, which each vendor packs in its own way
}

// Devices returns the devices in the order of the loader.
func Devices() ([]Device, error) {
	var found [C.eyelet_vulkan_most]C.struct_eyelet_vulkan_device
	switch n := C.eyelet_vulkan_devices(&found[0]); {
	case n == C.eyelet_vulkan_no_loader:
		return nil, ErrNoLoader
	case n == C.eyelet_vulkan_no_driver:
		return nil, ErrNoDriver
	case n < 0:
		return nil, errors.New("the Vulkan loader failed")
	default:
		devices := make([]Device, 0, n)
		for i, d := range found[:n] {
			v := uint32(d.api_version)
			devices = append(devices, Device{
				Index: i, Name: C.GoString(&d.name[0]), Kind: Kind(d._type),
				Vendor: uint32(d.vendor), Device: uint32(d.device),
				// VK_MAKE_API_VERSION
				API:    fmt.Sprintf("%d.%d.%d", v>>22&0x7f, v>>12&0x3ff, v&0xfff),
				Driver: uint32(d.driver_version),
			})
		}
		return devices, nil
	}
}
