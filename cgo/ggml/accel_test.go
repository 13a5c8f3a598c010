package ggml

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stateVariable makes TestAcceleratorIsLeftOut print what became of the accelerator, and end: it is
// loaded once a process.
const stateVariable = "EYELET_TEST_PRINT_ACCELERATOR"

func printState(t *testing.T) {
	if os.Getenv(stateVariable) == "flag" {
		SwitchOffAccelerator()
	}
	mustLoad(t)
	if err := json.NewEncoder(os.Stdout).Encode(AcceleratorState()); err != nil {
		t.Fatal(err)
	}
	os.Exit(0)
}

// stateWith returns what becomes of the accelerator in another process.
func stateWith(t *testing.T, env ...string) Accelerator {
	t.Helper()
	return stateIn(t, "", env...)
}

// stateIn does so in a working directory.
func stateIn(t *testing.T, dir string, env ...string) Accelerator {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAcceleratorIsLeftOut$")
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), stateVariable+"=yes"), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var a Accelerator
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return a
}

// RequireAccelerator is peers.RequireAccelerator.
var RequireAccelerator func(testing.TB)

func mustHaveAccelerator(t *testing.T) Accelerator {
	t.Helper()
	RequireAccelerator(t)
	return AcceleratorState()
}

func TestAcceleratorIsADevice(t *testing.T) {
	a := mustHaveAccelerator(t)
	if !a.Wanted || a.Library == "" || a.Reason != "" {
		t.Errorf("state %+v", a)
	}
	d := AcceleratorDevice()
	if d == nil || d.Type != ACCEL || d.Name != "Eyelet" || !strings.Contains(d.Description,
		"oneDNN") {
		t.Errorf("device %+v", d)
	}
}

func TestAcceleratorIsLeftOut(t *testing.T) {
	if os.Getenv(stateVariable) != "" {
		printState(t)
	}
	mustHaveAccelerator(t)
	dir := t.TempDir()
	// A backend as one of a later libggml would be, and one that is no backend of ours.
	other := compile(t, dir, "other", `
		static const char *name(void *r) { return "other"; }
		static unsigned long count(void *r) { return 0; }
		static void *none(void *r, unsigned long i) { return 0; }
		static struct { int version; const char *(*name)(void *); unsigned long (*count)(void *); void *(*device)(void *, unsigned long);
			void *(*procedure)(void *, const char *); void *context; } r = {99, name, count, none, 0, 0};
		void *ggml_backend_init(void) { return &r; }`)
	declines := compile(t, dir, "declines", `void *ggml_backend_init(void) { return 0; }`)
	text := filepath.Join(dir, "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, env string
		wanted    bool
		reason    string
	}{
		{"by EYELET_ACCEL", "EYELET_ACCEL=off", false, "switched off"},
		{"by EYELET_ACCEL in capitals", "EYELET_ACCEL=OFF", false, "switched off"},
		{"by a call", stateVariable + "=flag", false, "switched off"},
		{"for a file that is not there", "EYELET_ACCEL=/nonexistent", true, "/nonexistent"},
		{"for a name that is not here", "EYELET_ACCEL=nonexistent.so", true, "nonexistent.so"},
		{"for a folder", "EYELET_ACCEL=" + dir, true, "not a file"},
		{"for a file that is no library", "EYELET_ACCEL=" + text, true, "does not load it"},
		{"for a library of another version of the interface", "EYELET_ACCEL=" + other, true,
			"does not load it"},
		{"for a library that declines", "EYELET_ACCEL=" + declines, true, "does not load it"},
	}
	for _, on := range []string{"EYELET_ACCEL=", "EYELET_ACCEL=on", "EYELET_ACCEL=On"} {
		if a := stateWith(t, on); !a.Loaded {
			t.Errorf("%s: %+v", on, a)
		}
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := stateWith(t, test.env)
			if a.Loaded || a.Wanted != test.wanted || !strings.Contains(a.Reason, test.reason) {
				t.Errorf("state %+v, want a reason with %q", a, test.reason)
			}
		})
	}
}

// The loader looks for a name without a slash among the system's libraries.
func TestLibrariesInTheWorkingDirectory(t *testing.T) {
	a := mustHaveAccelerator(t)
	dir := filepath.Dir(a.Library)
	if a := stateIn(t, dir, "EYELET_ACCEL="+filepath.Base(a.Library)); !a.Loaded {
		t.Errorf("EYELET_ACCEL: %+v", a)
	}
	if a := stateIn(t, filepath.Dir(CPULibrary()),
		"GGML_BACKEND_PATH="+filepath.Base(CPULibrary())); !a.Loaded {
		t.Errorf("GGML_BACKEND_PATH: %+v", a)
	}
	t.Chdir(dir)
	for name, want := range map[string]string{
		filepath.Base(a.Library): "./" + filepath.Base(a.Library), "libnowhere.so": "libnowhere.so",
		"./x": "./x", a.Library: a.Library, "": "",
	} {
		if got := asPath(name); got != want {
			t.Errorf("%q is taken for %q, want %q", name, got, want)
		}
	}
}

// compile makes a shared library of C.
func compile(t *testing.T, dir, name, source string) string {
	t.Helper()
	path := filepath.Join(dir, name+".so")
	cmd := exec.Command("gcc", "-shared", "-fPIC", "-x", "c", "-o", path, "-")
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v: %s", err, out)
	}
	return path
}

func TestFindAccelerator(t *testing.T) {
	empty, full := t.TempDir(), t.TempDir()
	library := filepath.Join(full, acceleratorLibrary)
	if err := os.WriteFile(library, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(empty, acceleratorLibrary), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, named string
		folders     []string
		want        string
	}{
		{"the first folder that has it", "", []string{empty, full, "/nonexistent"}, library},
		{"none has it", "", []string{empty, "/nonexistent"}, ""},
		{"the one that is named", library, []string{empty}, library},
		{"a name is not replaced", "/nonexistent", []string{full}, ""},
	} {
		got, reason := findAccelerator(test.named, test.folders)
		if got != test.want || (reason == "") != (test.want != "") {
			t.Errorf("%s: got %q, %q; want %q", test.name, got, reason, test.want)
		}
	}
}
