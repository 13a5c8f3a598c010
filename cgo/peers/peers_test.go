package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

const seedModel = "../../models/builtin/eyelet-builtin-q8_0.gguf"

func TestCommandRunsWithOurBackend(t *testing.T) {
	Require(t, "llama-tokenize")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd, err := Command(ctx, "llama-tokenize", "-m", seedModel, "-p", "hello", "--ids",
		"--log-disable")
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if got := strings.TrimSpace(string(out)); !strings.HasPrefix(got, "[1, ") ||
		!strings.HasSuffix(got, "]") {
		t.Errorf("token ids %q", got)
	}
}

func TestEveryToolIsThere(t *testing.T) {
	for _, tool := range Tools {
		t.Run(tool, func(t *testing.T) { Require(t, tool) })
	}
}

func TestUnknownToolIsRefused(t *testing.T) {
	for _, tool := range []string{"", "sh", "../bin/llama-bench", "llama-bench "} {
		if _, err := Command(t.Context(), tool); err == nil || errors.Is(err, ErrMissing) {
			t.Errorf("%q: %v", tool, err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	sysroot := t.TempDir()
	lib := filepath.Join(sysroot, "usr/lib/x86_64-linux-gnu")
	for _, file := range []string{".complete", "usr/bin/llama-bench", "usr/bin/node",
		"usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(sysroot, file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sysroot, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lookPath := func(tool string) (string, error) {
		if tool == "llama-bench" {
			return "/usr/bin/llama-bench", nil
		}
		return "", errors.New("not found")
	}
	tests := []struct {
		name, tool, libDir string
		want               []string // nil: ErrMissing
	}{
		{"in a sysroot through its loader", "llama-bench", lib, []string{
			filepath.Join(lib, "ld-linux-x86-64.so.2"), "--library-path",
			lib + ":" + filepath.Join(lib, "llama"),
			filepath.Join(sysroot, "usr/bin/llama-bench")}},
		{"Node.js in a sysroot with the library that finds its parts", "node", lib, []string{
			filepath.Join(lib, "ld-linux-x86-64.so.2"), "--preload",
			filepath.Join(lib, "eyelet-node-paths.so"), "--library-path",
			lib + ":" + filepath.Join(lib, "llama"),
			filepath.Join(sysroot, "usr/bin/node")}},
		{"missing in a sysroot, and not taken from the host", "llama-server", lib, nil},
		{"on a system from PATH", "llama-bench", "/usr/lib/x86_64-linux-gnu",
			[]string{"/usr/bin/llama-bench"}},
		{"missing in PATH", "llama-server", "/usr/lib/x86_64-linux-gnu", nil},
		{"with a static libggml from PATH", "llama-bench", "", []string{"/usr/bin/llama-bench"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := commandLine(test.tool, test.libDir, lookPath)
			if !slices.Equal(got, test.want) || errors.Is(err, ErrMissing) != (test.want == nil) {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
			if test.want == nil && !strings.Contains(fmt.Sprint(err), "scripts/setup --peers") {
				t.Errorf("%q does not say what to do", err)
			}
		})
	}
}

// ending records how a test was ended.
type ending struct {
	testing.TB
	how string
}

func (e *ending) Helper()      {}
func (e *ending) Skip(...any)  { e.how = "skip" }
func (e *ending) Fatal(...any) { e.how = "fail" }

func TestRequire(t *testing.T) {
	missing, broken := fmt.Errorf("x: %w", ErrMissing), errors.New("no backend")
	off := withAccelerator(ggml.Accelerator{Reason: "switched off"})
	for _, test := range []struct {
		name, mode string
		err        error
		want       string
	}{
		{"a tool that is there passes", "require", nil, ""},
		{"a missing tool skips", "", missing, "skip"},
		{"a missing tool fails where it is required", "require", missing, "fail"},
		{"an accelerator that is there passes", "require",
			withAccelerator(ggml.Accelerator{Loaded: true}), ""},
		{"a missing accelerator skips", "", off, "skip"},
		{"a missing accelerator fails where it is required", "require", off, "fail"},
		{"another error always fails", "", broken, "fail"},
	} {
		e := &ending{}
		if require(e, test.err, test.mode); e.how != test.want {
			t.Errorf("%s: got %q", test.name, e.how)
		}
	}
}
