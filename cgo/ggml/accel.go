package ggml

// #include <stdlib.h>
// #include "accel.h"
import "C"

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// acceleratorLibrary is the file name of the accelerator of kernels/accel: as that of ggml's own
// backends, beside which it lies.
const acceleratorLibrary = "libggml-eyelet.so"

// Accelerator is the library of kernels/accel as [Load] found it: a backend that takes large matrix
// products, and attention, off ggml's CPU backend.
type Accelerator struct {
	Library string // path, "" if there is none
	Wanted  bool   // not switched off
	Loaded  bool
	Reason  string // why it is not loaded
}

// accelerator is what is known of the library, which stays loaded as long as the process.
type accelerator struct {
	mu           sync.Mutex
	off          bool // left out
	disabled     bool // loaded, and takes nothing
	state        Accelerator
	f            C.eyelet_accel                 // its functions
	functions    atomic.Pointer[C.eyelet_accel] // a copy of f, once it is loaded
	device       C.ggml_backend_dev_t
	threads      int                  // 0 for all cores
	cache        uint64               // bytes of weights that may be kept
	calibrations map[int]*calibration // by number of threads
	recheck      *recheck             // nil unless one is under way
	due          atomic.Int64         // when one is to begin, in Unix nanoseconds; 0 for never
}

var accel accelerator

// SwitchOffAccelerator makes [Load] leave the accelerator out, as EYELET_ACCEL=off does. It must be
// called before Load.
func SwitchOffAccelerator() {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	accel.off = true
}

// AcceleratorState tells what became of the accelerator, once [Load] has returned.
func AcceleratorState() Accelerator {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	return accel.state
}

// AcceleratorDevice returns the accelerator among [Devices], nil if it is not loaded.
func AcceleratorDevice() *Device {
	accel.mu.Lock()
	dev := accel.device
	accel.mu.Unlock()
	if dev == nil {
		return nil
	}
	for _, d := range Devices() {
		if d.dev == dev {
			return &d
		}
	}
	return nil
}

// loadAccelerator registers the accelerator. It comes last: it asks the CPU backend which version
// of the interface this libggml speaks. Whatever is wrong with it, the program works without.
func loadAccelerator(folder string) {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	named := os.Getenv("EYELET_ACCEL")
	switch {
	case accel.off, strings.EqualFold(named, "off"):
		accel.state = Accelerator{Reason: "switched off"}
		return
	case strings.EqualFold(named, "on"):
		named = ""
	}
	path, reason := findAccelerator(named, acceleratorFolders(folder))
	if reason == "" {
		reason = openAccelerator(path)
	}
	accel.state = Accelerator{Library: path, Wanted: true, Loaded: reason == "", Reason: reason}
	if reason != "" {
		emit(slog.LevelInfo, "the accelerator is not used: "+reason)
	}
}

// acceleratorFolders returns where the library may lie: with ggml's backends, in a bundle without
// such a folder, or where make builds it.
func acceleratorFolders(backends string) []string {
	var folders []string
	if backends != "" {
		folders = append(folders, backends)
	}
	if dir := LibDir(); dir != "" {
		folders = append(folders, filepath.Join(dir, "ggml"))
	}
	if program, err := os.Executable(); err == nil {
		folders = append(folders, filepath.Join(filepath.Dir(program), "..", "accel"))
	}
	return folders
}

// findAccelerator returns the path of the library, or why there is none. named is what EYELET_ACCEL
// says.
func findAccelerator(named string, folders []string) (path, reason string) {
	if named != "" {
		if !isFile(named) {
			return "", fmt.Sprintf(
				"EYELET_ACCEL names %s, which is not a file; give the path of %s, on or off", named,
				acceleratorLibrary)
		}
		return asPath(named), ""
	}
	for _, folder := range folders {
		if path := filepath.Join(folder, acceleratorLibrary); isFile(path) {
			return path, ""
		}
	}
	return "", "there is no " + acceleratorLibrary + " in " + strings.Join(folders, " or ")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// openAccelerator loads the library and returns "", or why not.
func openAccelerator(path string) string {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	logged := CollectErrors()
	reg := C.ggml_backend_load(cpath)
	err := logged.Wrap(errors.New("libggml " + Version() + " does not load it"))
	if reg == nil {
		return err.Error()
	}
	if !C.eyelet_accel_find(reg, &accel.f) {
		C.ggml_backend_unload(reg)
		return path + " is not of this version of Eyelet"
	}
	functions := accel.f // C gets to see no other field
	accel.functions.Store(&functions)
	accel.device = C.ggml_backend_reg_dev_get(reg, 0)
	accel.calibrations = map[int]*calibration{}
	C.eyelet_accel_call_set_threads(&accel.f, C.int(accel.threads))
	C.eyelet_accel_call_set_enabled(&accel.f, C.bool(!accel.disabled))
	C.eyelet_accel_call_set_cache(&accel.f, C.uint64_t(accel.cache))
	return ""
}

// SetAcceleratorThreads sets the number of threads that the accelerator computes with where nobody
// else tells it: libllama does for its contexts, libmtmd does not. Values below 1 stand for all
// cores. It may be called before [Load].
func SetAcceleratorThreads(n int) {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	accel.threads = max(n, 0)
	if accel.state.Loaded {
		C.eyelet_accel_call_set_threads(&accel.f, C.int(accel.threads))
	}
}

// EnableAccelerator lets graphs that are laid out from now on use the accelerator, or not: contexts
// of libllama and projectors of libmtmd lay theirs out when they are made and when shapes change.
// Benchmarks compare both in one process. It may be called before [Load].
func EnableAccelerator(on bool) {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	accel.disabled = !on
	if accel.state.Loaded {
		C.eyelet_accel_call_set_enabled(&accel.f, C.bool(on))
	}
}

// SetAcceleratorCache sets how many bytes of weights, of all models together, the accelerator may
// keep in the form that its products read best, as long as contexts or projectors are open; 0,
// which holds from the start, lets it convert them for each prompt. It is about weights that are
// floats: quantized ones are mostly read as they are. It may be called before [Load].
func SetAcceleratorCache(bytes uint64) {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	accel.cache = bytes
	if accel.state.Loaded {
		C.eyelet_accel_call_set_cache(&accel.f, C.uint64_t(bytes))
	}
}

// ForgetAcceleratorWeights frees the weights that the accelerator keeps. Whoever is about to free
// weights calls it, while nobody computes with them: other weights may come to lie where they lay.
// Those of other models are converted anew when they are next used.
func ForgetAcceleratorWeights() {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	if accel.state.Loaded && accel.cache > 0 {
		C.eyelet_accel_call_forget(&accel.f)
	}
}

// ForceAccelerator makes the accelerator take every product of at least rows rows that it can
// compute, whatever was measured; 0 ends that. name is one of the ways that it has of computing a
// product, as kernels/accel calls them: "integers", "floats", "onednn-f32" or "onednn-bf16"; ""
// leaves the choice to it. It is for tests, and returns false, with nothing changed, if the
// accelerator is not loaded or there is no such way.
func ForceAccelerator(rows int, name string) bool {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	path := pathGGML
	for name != "" && accel.state.Loaded && path < pathRepacked && accel.pathName(path) != name {
		path++
	}
	if !accel.state.Loaded || path == pathRepacked {
		return false
	}
	C.eyelet_accel_call_set_force(&accel.f, C.int(rows), C.int(path))
	return true
}

// pathName is how kernels/accel calls a path. accel.mu is held.
func (a *accelerator) pathName(path int) string {
	return C.GoString(C.eyelet_accel_call_path_name(&a.f, C.int(path)))
}

// AcceleratorCounters is what the accelerator has done in this process.
type AcceleratorCounters struct {
	Calls      uint64 // operations computed
	Rows       uint64 // of activations in them
	Operations uint64 // multiplications and additions in their products
	// products left to ggml's CPU backend, counted each time that a graph is laid out
	Declined uint64
	Time     time.Duration // spent computing
	// bytes kept from one operation to the next, without oneDNN's own; none once all contexts are
	// closed
	Kept uint64
}

// ReadAcceleratorCounters returns the counters; reset sets them to zero, but for Kept.
func ReadAcceleratorCounters(reset bool) AcceleratorCounters {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	if !accel.state.Loaded {
		return AcceleratorCounters{}
	}
	var c C.struct_eyelet_accel_counters
	C.eyelet_accel_call_counters(&accel.f, &c, C.bool(reset))
	return AcceleratorCounters{Calls: uint64(c.calls), Rows: uint64(c.rows),
		Operations: uint64(c.operations), Declined: uint64(c.declined),
		Time: time.Duration(float64(c.seconds) * float64(time.Second)), Kept: uint64(c.kept)}
}
