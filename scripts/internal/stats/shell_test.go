package stats

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scripts/bench-matrix has its medians from awk: they are those of this package.
func TestMediansOfBenchMatrix(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	script, err := os.ReadFile("../../bench-matrix")
	if err != nil {
		t.Fatal(err)
	}
	functions, within := "", false
	for line := range strings.Lines(string(script)) {
		within = within || line == "median() {\n" || line == "ratio() {\n"
		if within {
			functions += line
		}
		within = within && line != "}\n"
	}
	dir := t.TempDir()
	for rows, want := range map[string]string{
		"10 9 5 1\n30 8 6 2\n20 7 1000 3\n": "x: before 20.00 s, after 6.00 s, ratio 0.300",
		"4 0 1 0\n2 0 9 0\n":                "x: before 3.00 s, after 5.00 s, ratio 1.667",
	} {
		if err := os.WriteFile(filepath.Join(dir, "seconds"), []byte(rows), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "-c", functions+"ratio x 1 3")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}
