package ggml

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/isa"
)

// printLibrary makes TestTheLevelChoosesTheLibrary print which CPU library is loaded, and end: one
// is loaded a process.
const printLibrary = "EYELET_TEST_PRINT_LIBRARY"

func TestTheLevelChoosesTheLibrary(t *testing.T) {
	if os.Getenv(printLibrary) != "" {
		if err := Load(); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString(filepath.Base(CPULibrary()) + ":")
		os.Exit(0)
	}
	mustLoad(t)
	in := func(env ...string) (string, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTheLevelChoosesTheLibrary$")
		cmd.Env = append(append(os.Environ(), printLibrary+"=yes"), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, bad := range []string{"avx3", "plain,avx2"} {
		if out, err := in(isa.Variable + "=" + bad); err == nil ||
			!strings.Contains(out, isa.Variable) || !strings.Contains(out, "native") {
			t.Errorf("%s: %v: %s", bad, err, out)
		}
	}
	if CPULibrary() == "" {
		t.Skip("libggml has one CPU backend, and no library to choose")
	}
	libs, err := filepath.Glob(filepath.Join(filepath.Dir(CPULibrary()), "libggml-cpu-*.so"))
	if err != nil || len(libs) < 2 {
		t.Skipf("libraries to choose from: %v, %v", libs, err)
	}
	for _, level := range isa.Levels() {
		out, err := in(isa.Variable + "=" + level.String())
		name, _, _ := strings.Cut(strings.TrimPrefix(out, "libggml-cpu-"), ".so:")
		if needs, known := libraryLevels[name]; err != nil || level != isa.Native && (!known ||
			!level.Includes(needs)) {
			t.Errorf("%v loads %q: %v", level, out, err)
		}
		if want := bestLibrary(within(level, libs)); !strings.HasPrefix(out,
			filepath.Base(want)+":") {
			t.Errorf("%v loads %q, and %s fits better", level, out, want)
		}
	}
	// A library that is named is not replaced; one beyond the level is an error.
	if best := bestLibrary(libs); !strings.Contains(best, "-x64") {
		if out, err := in(isa.Variable+"=plain", "GGML_BACKEND_PATH="+best); err == nil ||
			!strings.Contains(out, isa.Variable+"=plain") {
			t.Errorf("plain with %s: %v: %s", best, err, out)
		}
	}
}

func TestLibrariesWithinALevel(t *testing.T) {
	var all []string
	for name := range libraryLevels {
		all = append(all, "/lib/libggml-cpu-"+name+".so")
	}
	all = append(all, "/lib/libggml-cpu.so", "/lib/libggml-cpu-zen9.so")
	for level, want := range map[isa.Level][]string{
		isa.Plain: {"x64"},
		isa.AVX2:  {"haswell", "ivybridge", "piledriver", "sandybridge", "sse42", "x64"},
		isa.AVX512: {"haswell", "ivybridge", "piledriver", "sandybridge", "skylakex", "sse42",
			"x64"},
	} {
		var got []string
		for _, path := range within(level, all) {
			got = append(got, strings.TrimSuffix(strings.TrimPrefix(path, "/lib/libggml-cpu-"),
				".so"))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", level, got, want)
		}
	}
	if got := within(isa.Native, all); len(got) != len(all) {
		t.Errorf("native: %v", got)
	}
}

func TestFeaturesBeyondALevelAreErrors(t *testing.T) {
	zen4 := []Feature{{"SSE3", "1"}, {"AVX2", "1"}, {"AVX512", "1"}, {"AVX512_VNNI", "1"},
		{"AVX512_BF16", "1"}, {"OPENMP", "1"}, {"AMX_INT8", "0"}}
	for level, ok := range map[isa.Level]bool{isa.Plain: false, isa.AVX2: false, isa.VNNI: false,
		isa.BF16: true, isa.AMX: true, isa.Native: true} {
		if err := checkFeatures(level, "here", zen4); (err == nil) != ok {
			t.Errorf("%v: %v", level, err)
		}
	}
	if err := checkFeatures(isa.AVX2, "", []Feature{{"AVX512", "1"}}); err == nil ||
		!strings.Contains(err.Error(), "part of libggml") {
		t.Errorf("a backend without a library: %v", err)
	}
}
