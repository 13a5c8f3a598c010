package ggml

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/isa"
)

func mustLoad(t testing.TB) {
	t.Helper()
	if err := Load(); err != nil {
		t.Fatal(err)
	}
}

func TestLoadFindsTheCPU(t *testing.T) {
	mustLoad(t)
	if err := Load(); err != nil {
		t.Errorf("a second Load: %v", err)
	}
	var cpus int
	for _, d := range Devices() {
		if d.Pointer() == nil || d.Name == "" || d.Backend == "" {
			t.Errorf("incomplete device %+v", d)
		}
		if d.Type == CPU {
			cpus++
			if d.MemoryTotal == 0 || d.Library != CPULibrary() {
				t.Errorf("CPU device %+v, CPU library %q", d, CPULibrary())
			}
		}
	}
	if cpus != 1 {
		t.Errorf("%d CPU devices, want 1", cpus)
	}
	if len(CPUFeatures()) == 0 {
		t.Error("the CPU library reports no features")
	}
	if Version() == "" || Commit() == "" {
		t.Errorf("version %q, commit %q", Version(), Commit())
	}
}

func TestChosenCPULibraryScoresBest(t *testing.T) {
	mustLoad(t)
	if CPULibrary() == "" || LibDir() == "" {
		t.Skip("libggml is linked statically")
	}
	libs, err := filepath.Glob(filepath.Join(filepath.Dir(CPULibrary()), "libggml-cpu*.so"))
	if err != nil || len(libs) == 0 {
		t.Fatalf("no CPU library beside %s: %v", CPULibrary(), err)
	}
	level, err := isa.Chosen()
	if err != nil {
		t.Fatal(err)
	}
	if best := bestLibrary(within(level, libs)); best != CPULibrary() {
		t.Errorf("loaded %s, but %s scores best", CPULibrary(), best)
	}
	if runtime.GOOS == "linux" {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		for _, lib := range libs {
			if mapped := strings.Contains(string(maps), lib); mapped != (lib == CPULibrary()) {
				t.Errorf("%s mapped: %v; chosen: %s", lib, mapped, CPULibrary())
			}
		}
	}
}

func TestBackendFolder(t *testing.T) {
	lib, other := t.TempDir(), t.TempDir()
	file := filepath.Join(other, "libggml-cpu-x64.so")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mkdir := func(path ...string) string {
		dir := filepath.Join(path...)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	withOld := mkdir(t.TempDir(), "odd[name]*")
	mkdir(withOld, "ggml", "backends98")
	highest := mkdir(withOld, "ggml", "backends99")
	mkdir(withOld, "ggml", "backends-old")
	own := ""
	if n := soVersion(); n >= 0 {
		withOwn := mkdir(lib, "ggml", "backends99")
		own = mkdir(filepath.Dir(withOwn), "backends"+strconv.Itoa(n))
	}
	tests := []struct {
		name   string
		env    map[string]string
		libDir string
		want   string
		err    string
	}{
		{name: "EYELET_BACKENDS comes first", env: map[string]string{"EYELET_BACKENDS": other,
			"GGML_BACKEND_PATH": lib}, libDir: lib, want: other},
		{name: "EYELET_BACKENDS must be a folder", env: map[string]string{"EYELET_BACKENDS": file},
			libDir: lib, err: "not a folder"},
		{name: "EYELET_BACKENDS must exist",
			env: map[string]string{"EYELET_BACKENDS": "/nonexistent"}, libDir: lib,
			err: "/nonexistent"},
		{name: "GGML_BACKEND_PATH may be a folder",
			env: map[string]string{"GGML_BACKEND_PATH": other}, libDir: withOld, want: other},
		{name: "GGML_BACKEND_PATH may be a file beside the folder",
			env: map[string]string{"GGML_BACKEND_PATH": file}, libDir: withOld, want: highest},
		{name: "without a folder of its version the highest is taken", libDir: withOld,
			want: highest},
		{name: "the folder of its version is taken", libDir: lib, want: own},
		{name: "without a folder libggml searches", libDir: other, want: ""},
		{name: "a static libggml searches", libDir: "", want: ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := backendFolder(func(key string) string { return test.env[key] }, test.libDir)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want an error with %q", err, test.err)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}
