package peers

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
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

// OnLavapipe runs tests of the program that calls it, those whose names match, in a process of
// their own on Mesa's software driver, whose device EYELET_TEST_DEVICE names there. Tests that
// compare EYELET_SLOW find it empty.
func OnLavapipe(tb testing.TB, tests string, env ...string) (out []byte, err error) {
	tb.Helper()
	program, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	c := exec.CommandContext(tb.Context(), program, "-test.v", "-test.run", tests)
	// ggml's products on the matrix cores that this driver imitates are wrong for many shapes.
	c.Env = append(append(os.Environ(), Lavapipe(tb)...), "EYELET_TEST_DEVICE=Vulkan0",
		"GGML_VK_DISABLE_COOPMAT=1", "EYELET_BACKENDS="+BackendsWith(tb, "vulkan"), "EYELET_SLOW=")
	c.Env = append(c.Env, env...)
	return c.CombinedOutput()
}

//go:embed testdata/faults.c
var faults []byte

// FaultyVulkan makes Vulkan devices of a process fail on demand: while there is a file lost, they
// are lost, and while there is a file full, they have no memory left.
func FaultyVulkan(tb testing.TB) (environment []string, lost, full string) {
	tb.Helper()
	const manifest = `{"file_format_version": "1.2.0", "layer": {"name": "VK_LAYER_EYELET_faults",
		"type": "GLOBAL", "library_path": "./faults.so", "api_version": "1.3.0",
		"implementation_version": "1", "description": "lets devices fail"}}`
	folder := tb.TempDir()
	source := filepath.Join(folder, "faults.c")
	for path, text := range map[string][]byte{source: faults,
		filepath.Join(folder, "faults.json"): []byte(manifest)} {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	c := exec.CommandContext(tb.Context(), "gcc", "-shared", "-fPIC", "-o",
		filepath.Join(folder, "faults.so"), source)
	if out, err := c.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, out)
	}
	lost, full = filepath.Join(folder, "lost"), filepath.Join(folder, "full")
	return []string{"VK_LAYER_PATH=" + folder, "VK_INSTANCE_LAYERS=VK_LAYER_EYELET_faults",
		"EYELET_TEST_LOST=" + lost, "EYELET_TEST_FULL=" + full}, lost, full
}
