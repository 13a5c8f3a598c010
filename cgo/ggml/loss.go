package ggml

// #include "loss.h"
import "C"

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// losses are why devices of this machine can compute nothing any more, by their ggml_backend_dev_t.
var losses sync.Map

// Lost returns why nothing can be computed on the device any more, nil while something can.
func (d Device) Lost() error {
	if d.Remote != nil {
		return d.Remote.Err()
	}
	err, _ := losses.Load(d.dev)
	lost, _ := err.(error)
	return lost
}

// NoteLoss notes that devices of this machine have failed for good, where an exception says so in
// the words of Vulkan's C++ binding: with which of them it happened is not told. Drivers do not
// give a lost device back to the process that had it, and ggml's backends do not ask for another.
func NoteLoss(devices []Device, exception string) {
	for _, d := range devices {
		if d.Remote != nil || !strings.Contains(exception, "ErrorDeviceLost") {
			continue
		}
		if _, before := losses.LoadOrStore(d.dev, errors.New(exception)); !before {
			slog.Warn("a device is lost, and what is computed with there stays in memory",
				"device", d.Name, "error", exception)
		}
	}
}

// LostHere tells whether a device of this machine is lost. What libllama and libmtmd compute with
// there is not freed any more: they wait for the device in destructors, out of which an exception
// ends the process. A device may have been lost while nobody used it, so each whose driver reports
// that by exceptions is asked.
func LostHere(devices []Device) bool {
	for _, d := range devices {
		if d.Remote == nil && d.dev != nil && d.Backend == "Vulkan" && d.Lost() == nil {
			var e [512]C.char
			if !C.eyelet_device_answers(d.dev, &e[0], C.size_t(len(e))) {
				NoteLoss([]Device{d}, C.GoString(&e[0]))
			}
		}
	}
	return slices.ContainsFunc(devices, func(d Device) bool {
		return d.Remote == nil && d.Lost() != nil
	})
}
