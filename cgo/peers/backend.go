package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// BackendsWith makes a folder for EYELET_BACKENDS of ggml's libraries for the CPU, the accelerator
// if there is one, and those of the given kinds ("rpc", "vulkan"), where scripts/setup brought them
// into a sysroot. Without one of them, the test ends as [Require] says.
func BackendsWith(tb testing.TB, kinds ...string) string {
	tb.Helper()
	if err := ggml.Load(); err != nil {
		tb.Fatal(err)
	}
	folder := tb.TempDir()
	link := func(pattern string) bool {
		// setup refuses folders with odd names
		found, _ := filepath.Glob(filepath.Join(ggml.LibDir(), "ggml", "*", pattern))
		for _, file := range found {
			if err := os.Symlink(file, filepath.Join(folder, filepath.Base(file))); err != nil {
				tb.Fatal(err)
			}
		}
		return len(found) > 0
	}
	if sysrootLoader(ggml.LibDir()) == "" || !link("libggml-cpu-*.so") {
		tb.Skip("the backends of a system are left as they are")
	}
	if accel := ggml.AcceleratorState(); accel.Loaded {
		if err := os.Symlink(accel.Library,
			filepath.Join(folder, filepath.Base(accel.Library))); err != nil {
			tb.Fatal(err)
		}
	}
	for _, kind := range kinds {
		if !link("libggml-" + kind + ".so") {
			mode := os.Getenv("EYELET_PEERS")
			err := fmt.Errorf("peers: libggml-%s.so is not in the sysroot: %w", kind, ErrMissing)
			if kind == "vulkan" {
				mode, err = "", fmt.Errorf("peers: libggml-vulkan.so is not in the sysroot: scripts/setup --vulkan brings it: %w", ErrMissing)
			}
			require(tb, err, mode)
		}
	}
	return folder
}

// Lavapipe returns what makes a process use Mesa's software driver for Vulkan, of scripts/setup
// --vulkan; without it, the test is skipped.
func Lavapipe(tb testing.TB) (environment []string) {
	tb.Helper()
	file := filepath.Join(ggml.LibDir(), "..", "..", "share", "vulkan", "icd.d", "lvp_icd.json")
	if _, err := os.Stat(file); err != nil {
		tb.Skip("Mesa's software driver is not in the sysroot: scripts/setup --vulkan brings it")
	}
	return []string{"VK_DRIVER_FILES=" + file, "GGML_VK_VISIBLE_DEVICES=0"}
}
