// Package peers runs llama.cpp's own programs, of the very packages that this program's libraries
// came from. Tests compare results with them and benchmarks compare speed; nothing else needs them.
//
//	cmd, err := peers.Command(ctx, "llama-tokenize", "-m", model, "-p", "hello", "--ids")
//
// The programs come with scripts/setup --peers (Debian's llama.cpp-tools and
// llama.cpp-tools-extra); test-backend-ops, which compares a backend with ggml's own, with libggml.
// Beside them, Node.js runs other people's clients of the server's APIs.
package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// ErrMissing is wrapped by the error of [Command] when the program is not installed.
var ErrMissing = errors.New(
	"run scripts/setup --peers, or install llama.cpp's programs and Node.js")

// Tools are the programs that [Command] runs.
var Tools = []string{
	"llama-batched-bench", "llama-bench", "llama-completion", "llama-imatrix", "llama-mtmd-cli",
	"llama-perplexity",
	"llama-quantize", "llama-server", "llama-tokenize", backendOps, Node,
}

// Node is Node.js. It is 22 or later in a sysroot.
const Node = "node"

// nodePaths is the library with which Node.js finds its parts in a sysroot (scripts/node-paths.c).
const nodePaths = "eyelet-node-paths.so"

// backendOps is installed aside, below libexec.
const backendOps = "test-backend-ops"

// Command returns a command that runs one of the [Tools] and is killed when ctx is done.
//
// In a private sysroot (scripts/setup) the program is started through the sysroot's own loader, so
// that it sees none of the host's libraries, and computes with the CPU library that this process
// chose ([ggml.CPULibrary]). On a system set-up it is looked up in PATH and finds its backends
// itself.
func Command(ctx context.Context, tool string, args ...string) (*exec.Cmd, error) {
	if !slices.Contains(Tools, tool) {
		return nil, fmt.Errorf("peers: %q is none of %s", tool, strings.Join(Tools, ", "))
	}
	if err := ggml.Load(); err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	argv, err := commandLine(tool, ggml.LibDir(), exec.LookPath)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], args...)...)
	if len(argv) > 1 {
		// The folder that Debian's libggml searches by itself is not there in a sysroot.
		cmd.Env = append(cmd.Environ(), "GGML_BACKEND_PATH="+ggml.CPULibrary())
	}
	return cmd, nil
}

// CommandOnDevices is [Command] for a program that may compute on all of ggml's devices. It runs in
// the folder of ggml's backends, where libggml looks for them: paths in args are absolute.
func CommandOnDevices(ctx context.Context, tool string, args ...string) (*exec.Cmd, error) {
	cmd, err := Command(ctx, tool, args...)
	if err == nil && len(cmd.Env) > 0 {
		cmd.Env, cmd.Dir = cmd.Env[:len(cmd.Env)-1], filepath.Dir(ggml.CPULibrary())
	}
	return cmd, err
}

// commandLine returns what starts a program, given the folder of libggml: more than one word in a
// sysroot.
func commandLine(tool, libDir string, lookPath func(string) (string, error)) ([]string, error) {
	if loader := sysrootLoader(libDir); loader != "" {
		// libDir is SYSROOT/usr/lib/TRIPLE.
		program := filepath.Join(libDir, "..", "..", "bin", tool)
		if tool == backendOps {
			program = filepath.Join(libDir, "..", "..", "libexec", filepath.Base(libDir), "ggml",
				tool)
		}
		if _, err := os.Stat(program); err != nil {
			return nil, fmt.Errorf("peers: %s is not in the sysroot of %s: %w", tool, libDir,
				ErrMissing)
		}
		path := libDir + string(os.PathListSeparator) + filepath.Join(libDir, "llama")
		if tool == Node {
			return []string{loader, "--preload", filepath.Join(libDir, nodePaths), "--library-path",
				path, program}, nil
		}
		return []string{loader, "--library-path", path, program}, nil
	}
	program, err := lookPath(tool)
	if err != nil {
		return nil, fmt.Errorf("peers: %s is not in PATH: %w", tool, ErrMissing)
	}
	return []string{program}, nil
}

// sysrootLoader returns the dynamic loader of the private sysroot that libDir lies in, "" if libDir
// is a system's own.
func sysrootLoader(libDir string) string {
	if _, err := os.Stat(filepath.Join(libDir, "..", "..", "..", ".complete")); libDir == "" ||
		err != nil {
		return ""
	}
	// setup refuses folders with odd names
	found, _ := filepath.Glob(filepath.Join(libDir, "ld-linux-*.so.*"))
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// Require ends a test that needs a program which is not there: it fails if the environment has
// EYELET_PEERS=require, as CI does, else it skips and says how to get the program.
func Require(tb testing.TB, tool string) {
	tb.Helper()
	_, err := Command(context.Background(), tool)
	require(tb, err, os.Getenv("EYELET_PEERS"))
}

// errNoAccelerator is wrapped by the error of a process without the accelerator.
var errNoAccelerator = errors.New("scripts/accel builds it, and EYELET_ACCEL must not be off")

// RequireAccelerator ends a test that needs the accelerator where the process has none: it fails if
// the environment has EYELET_PEERS=require on Linux on x86-64 with a private sysroot, into which
// scripts/accel puts it, else it skips and says why there is none.
func RequireAccelerator(tb testing.TB) {
	tb.Helper()
	if err := ggml.Load(); err != nil {
		tb.Fatal(err)
	}
	mode := os.Getenv("EYELET_PEERS")
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" || sysrootLoader(ggml.LibDir()) == "" {
		mode = ""
	}
	require(tb, withAccelerator(ggml.AcceleratorState()), mode)
}

func withAccelerator(a ggml.Accelerator) error {
	if a.Loaded {
		return nil
	}
	return fmt.Errorf("peers: no accelerator: %s: %w", a.Reason, errNoAccelerator)
}

func require(tb testing.TB, err error, mode string) {
	tb.Helper()
	switch {
	case err == nil:
	case (errors.Is(err, ErrMissing) || errors.Is(err, errNoAccelerator)) && mode != "require":
		tb.Skip(err)
	default:
		tb.Fatal(err)
	}
}
