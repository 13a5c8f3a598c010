package ggml

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/isa"
)

// ErrNoBackend is wrapped by the error of [Load] when no backend library for the CPU could be
// loaded.
var ErrNoBackend = errors.New("ggml: no CPU backend")

var (
	loadOnce sync.Once
	loadErr  error
	leftOut  []string
	rpcPaths []string // of libggml-rpc in the folder of backends
	rpcOnce  sync.Once
)

// Load loads the backend libraries: the CPU library that fits this machine best, and every GPU and
// accelerator library that is installed and finds its hardware. It must be called before anything
// else of libggml, libllama and libmtmd. Only the first call does the work; later ones return its
// result.
//
// The libraries are looked for in the first of these folders that is there:
//
//   - the one named by EYELET_BACKENDS, or by GGML_BACKEND_PATH if that is a folder;
//   - ggml/backendsN beside the folder of the loaded libggml (see [LibDir]), where Debian's
//     packages and Eyelet's bundle have them: N is that of libggml.so.N, or else the highest;
//   - those that libggml was built to search.
//
// EYELET_ISA (package isa) holds the choice of the CPU library to a level of instruction sets; it
// is an error if the level does not exist here, or if the only library, or one that was named, goes
// beyond it.
//
// If GGML_BACKEND_PATH names a file, that library is loaded before those of the folder, as libggml
// itself would load it; if it brings a CPU device, the folder's CPU libraries are left alone. Last
// comes Eyelet's own accelerator ([AcceleratorState]), from the folder or from where EYELET_ACCEL
// says. libggml-blas is loaded only over a tuned BLAS (OpenBLAS, MKL, BLIS, Accelerate): over the
// reference BLAS it is far slower than no BLAS at all.
func Load() error {
	loadOnce.Do(func() { loadErr = load() })
	return loadErr
}

func load() error {
	C.eyelet_tune_malloc()
	C.ggml_log_set(C.ggml_log_callback(C.eyelet_ggml_log), nil)
	level, err := isa.Chosen()
	if err != nil {
		return err
	}
	folder, err := backendFolder(os.Getenv, LibDir())
	if err != nil {
		return err
	}
	backends := folder
	switch {
	case hasCPU(): // compiled into libggml
	case folder == "":
		C.ggml_backend_load_all()
		folder = "the folders that libggml was built to search"
	default:
		if file := os.Getenv("GGML_BACKEND_PATH"); file != "" && !isFolder(file) {
			loadLibrary(asPath(file))
		}
		if err := loadFolder(folder, level); err != nil {
			return err
		}
	}
	if !hasCPU() {
		return fmt.Errorf("%w in %s: run scripts/setup, or let EYELET_BACKENDS name the folder that holds libggml-cpu-*.so", ErrNoBackend, folder)
	}
	if err := checkFeatures(level, CPULibrary(), CPUFeatures()); err != nil {
		return err
	}
	loadAccelerator(backends)
	return nil
}

// backendFolder returns the folder to load from, "" if libggml is to search for itself.
func backendFolder(getenv func(string) string, libDir string) (string, error) {
	if dir := getenv("EYELET_BACKENDS"); dir != "" {
		if !isFolder(dir) {
			return "", fmt.Errorf("%w: EYELET_BACKENDS names %s, which is not a folder",
				ErrNoBackend, dir)
		}
		return dir, nil
	}
	if dir := getenv("GGML_BACKEND_PATH"); dir != "" && isFolder(dir) {
		return dir, nil
	}
	if libDir == "" {
		return "", nil
	}
	// the pattern is well-formed
	found, _ := filepath.Glob(filepath.Join(globEscape(libDir), "ggml", "backends*"))
	best, bestNumber := "", -1
	for _, dir := range found {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "backends"))
		if err != nil || !isFolder(dir) {
			continue
		}
		if n == soVersion() {
			return dir, nil
		}
		if n > bestNumber {
			best, bestNumber = dir, n
		}
	}
	return best, nil
}

// loadFolder loads one library of each kind in a folder: libggml-KIND.so or the best of
// libggml-KIND-VARIANT.so, of those for the CPU that a level includes.
func loadFolder(folder string, level isa.Level) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrNoBackend, err)
	}
	kinds := map[string][]string{}
	for _, e := range entries {
		name, isLib := strings.CutPrefix(e.Name(), "libggml-")
		name, isSo := strings.CutSuffix(name, ".so")
		if !isLib || !isSo {
			continue
		}
		kind, _, _ := strings.Cut(name, "-")
		kinds[kind] = append(kinds[kind], filepath.Join(folder, e.Name()))
	}
	kinds["cpu"] = within(level, kinds["cpu"])
	rpcPaths = kinds["rpc"]
	delete(kinds, "rpc") // see LoadRPC
	delete(kinds, "base")
	delete(kinds, "eyelet") // see loadAccelerator
	names := slices.Sorted(maps.Keys(kinds))
	// libllama takes devices in the order of registration, the CPU last.
	if cpu := slices.Index(names, "cpu"); cpu >= 0 {
		names = append(slices.Delete(names, cpu, cpu+1), "cpu")
	}
	for _, kind := range names {
		if kind == "cpu" && hasCPU() {
			continue
		}
		path := bestLibrary(kinds[kind])
		if path == "" {
			continue
		}
		if kind == "blas" && !isTunedBLAS(path) {
			emit(slog.LevelWarn,
				path+" is not loaded: its BLAS is the reference one, which is slower than none")
			continue
		}
		if !loadLibrary(path) {
			leftOut = append(leftOut, path)
		}
	}
	return nil
}

// ErrNoRPC is wrapped by the error of [LoadRPC] where libggml's backend for remote servers is not
// installed.
var ErrNoRPC = errors.New("ggml: no RPC backend: libggml-rpc.so is not among libggml's backends")

// LoadRPC loads the backend for remote servers and returns its ggml_backend_reg_t. It is loaded
// when it is first needed: libllama takes the backend alone for a sign that layers are computed
// elsewhere.
func LoadRPC() (unsafe.Pointer, error) {
	if err := Load(); err != nil {
		return nil, err
	}
	rpcOnce.Do(func() {
		if path := bestLibrary(rpcPaths); path != "" {
			loadLibrary(path)
		}
	})
	name := C.CString("RPC")
	defer C.free(unsafe.Pointer(name))
	reg := C.ggml_backend_reg_by_name(name)
	if reg == nil {
		return nil, ErrNoRPC
	}
	return unsafe.Pointer(reg), nil
}

// HasRPC tells whether the backend for remote servers is installed.
func HasRPC() bool { return len(rpcPaths) > 0 || slices.Contains(Backends(), "RPC") }

// LeftOut returns the paths of the backend libraries that [Load] found and that refused to be used,
// as that of Vulkan does without a driver.
func LeftOut() []string { return slices.Clone(leftOut) }

// bestLibrary returns the library that fits this machine best, "" if none does.
func bestLibrary(paths []string) string {
	best, bestScore := "", 0
	for _, path := range paths {
		cpath := C.CString(path)
		var reason [512]C.char
		score := int(C.eyelet_backend_score(cpath, &reason[0], C.size_t(len(reason))))
		C.free(unsafe.Pointer(cpath))
		if score < 0 {
			emit(slog.LevelWarn, fmt.Sprintf("%s cannot be loaded: %s", path,
				C.GoString(&reason[0])))
		}
		if score > bestScore {
			best, bestScore = path, score
		}
	}
	return best
}

func isTunedBLAS(path string) bool {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	return bool(C.eyelet_blas_is_tuned(cpath))
}

// loadLibrary registers a backend library; libggml logs why if it cannot.
func loadLibrary(path string) bool {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	return C.ggml_backend_load(cpath) != nil
}

// asPath makes the name of a file in the working directory a path: the loader looks for a name
// without a slash among the system's libraries, and there alone. Names of files that are not here
// stay names.
func asPath(name string) string {
	if !strings.ContainsRune(name, filepath.Separator) && isFile(name) {
		return "." + string(filepath.Separator) + name
	}
	return name
}

func hasCPU() bool { return C.ggml_backend_dev_by_type(C.GGML_BACKEND_DEVICE_TYPE_CPU) != nil }

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// globEscape makes filepath.Glob take a path literally.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

var libraryPath = sync.OnceValue(func() string {
	var buf [4096]C.char
	if !C.eyelet_ggml_library(&buf[0], C.size_t(len(buf))) {
		return ""
	}
	path, err := filepath.Abs(C.GoString(&buf[0]))
	if err != nil {
		return ""
	}
	return path
})

// LibDir returns the folder of the libggml that this program runs with, "" if it is linked
// statically.
func LibDir() string {
	if p := libraryPath(); p != "" {
		return filepath.Dir(p)
	}
	return ""
}

// soVersion returns the N of libggml.so.N, -1 if the file name has none.
func soVersion() int {
	_, suffix, found := strings.Cut(filepath.Base(libraryPath()), ".so.")
	if !found {
		return -1
	}
	major, _, _ := strings.Cut(suffix, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return -1
	}
	return n
}

// Version returns the version of libggml, as "0.27.0".
func Version() string { return C.GoString(C.ggml_version()) }

// Commit returns the source revision that libggml was built from, as its builder recorded it.
func Commit() string { return C.GoString(C.ggml_commit()) }
