package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestErrorsOfOtherSystemsAreFound(t *testing.T) {
	module := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.26\n",
		"a.go": "package m\n\n// #include <math.h>\nimport \"C\"\n\nimport \"os\"\n\n" +
			"var Root = float64(C.cos(0))\n\nvar Far float64 = far()\n\n" +
			"func Open() (*os.File, error) { return os.Open(\"a\") }\n",
		"far_linux.go":       "package m\n\nfunc far() float64 { return 1 }\n",
		"far_darwin.go":      "package m\n\nfunc far() string { return \"\" }\n",
		"near_arm64.go":      "package m\n\nvar near int = \"\"\n",
		"inner/inner.go":     "package inner\n\nimport \"m\"\n\nvar _ = m.Root\n",
		"inner/other.go":     "//go:build !linux\n\npackage inner\n\nvar _ = missing\n",
		"inner/left_test.go": "package inner\n",
	} {
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(module)
	for platform, want := range map[string][]string{
		"linux/amd64":  nil,
		"linux/arm64":  {"near_arm64.go"},
		"darwin/arm64": {"near_arm64.go", "a.go", "other.go"},
		"darwin/amd64": {"a.go", "other.go"},
	} {
		faults, err := check(platform, []string{"./..."})
		if err != nil {
			t.Fatal(err)
		}
		if len(faults) != len(want) {
			t.Errorf("%s: %q", platform, faults)
		}
		for _, file := range want {
			if !slices.ContainsFunc(faults, func(f string) bool {
				return strings.Contains(f, "/"+file)
			}) {
				t.Errorf("%s: nothing about %s in %q", platform, file, faults)
			}
		}
	}
	if _, err := check("plan9", nil); err == nil {
		t.Error("a system without a processor is taken")
	}
}
