package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/isa"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

var (
	program  string // the program: this test program by another name
	cacheDir string // where it extracts its model, once
)

const (
	pictures = "../../models/builtin/testdata/pictures"
	demo     = "../../models/builtin/demo"
	// patience bounds the run of one process: generous, for a busy machine under the race detector.
	patience = 2 * time.Minute
)

// TestMain runs the tests, or the program where this file bears its name. So the program is there
// for tests to run as a user does, and is not linked once more.
func TestMain(m *testing.M) {
	self, err := os.Executable()
	if err == nil && filepath.Base(self) == "eyelet" {
		main()
	}
	os.Exit(prepareAndTest(m, self))
}

func prepareAndTest(m *testing.M, self string) int {
	dir, err := os.MkdirTemp("", "eyelet-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program, cacheDir = filepath.Join(dir, "eyelet"), filepath.Join(dir, "cache")
	// in which the reader of PDF files, which takes long, may be compiled already
	if kept, err := builtin.CacheDir(); err == nil {
		if kept = filepath.Join(kept, "pdf"); os.MkdirAll(kept, 0o700) == nil && os.Mkdir(cacheDir,
			0o700) == nil {
			_ = os.Symlink(kept, filepath.Join(cacheDir, "pdf"))
		}
	}
	if err := copyProgram(self, program); err != nil {
		fmt.Fprintln(os.Stderr, "naming the program:", err)
		return 1
	}
	return m.Run()
}

// copyProgram gives a program another name as well.
func copyProgram(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	data, err := os.ReadFile(from) // which lies in another file system
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// invocation is one run of the program.
type invocation struct {
	args  []string
	stdin io.Reader // nil for /dev/null
	dir   string    // working directory, "" for this package's
	env   []string  // nil for environment()
}

type outcome struct {
	code           int // -1 if a signal ended the process
	stdout, stderr string
}

// environment is that of a user who has a home and nothing special, held to the level of
// instruction sets that the tests are.
func environment() []string {
	return []string{isa.Variable + "=" + os.Getenv(isa.Variable), "HOME=" + filepath.Dir(cacheDir),
		"EYELET_CACHE=" + cacheDir, "EYELET_MODELS=" + filepath.Join(filepath.Dir(cacheDir),
			"models"), "OLLAMA_MODELS=" + filepath.Join(filepath.Dir(cacheDir), "ollama"),
		"TMPDIR=" + os.TempDir(), "PATH=" + os.Getenv("PATH"), "TERM=xterm",
		"GORACE=" + os.Getenv("GORACE")}
}

func (in invocation) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, in.args...)
	cmd.Stdin, cmd.Dir, cmd.Env = in.stdin, in.dir, in.env
	if cmd.Env == nil {
		cmd.Env = environment()
	}
	return cmd
}

func (in invocation) run(t *testing.T) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := in.command(ctx)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return outcome{exitStatus(t, cmd.Run()), stdout.String(), stderr.String()}
}

// exitStatus is the exit code behind an error of exec.
func exitStatus(t *testing.T, err error) int {
	t.Helper()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// eyelet runs the program with arguments alone.
func eyelet(t *testing.T, args ...string) outcome {
	t.Helper()
	return invocation{args: args}.run(t)
}

// mustSay fails the test unless the program went well, printed a text and a newline, and nothing on
// stderr.
func (o outcome) mustSay(t *testing.T, want string) {
	t.Helper()
	if o.code != 0 || o.stdout != want+"\n" || o.stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q; want %q", o.code, o.stdout, o.stderr, want)
	}
}

// mustFail fails the test unless the program printed one sentence on stderr with all of the texts,
// and nothing else.
func (o outcome) mustFail(t *testing.T, code int, texts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d", o.code, code)
	}
	if o.stdout != "" {
		t.Errorf("stdout %q", o.stdout)
	}
	if !strings.HasPrefix(o.stderr, "eyelet: ") || strings.Count(o.stderr, "\n") != 1 ||
		!strings.HasSuffix(o.stderr, "\n") {
		t.Errorf("stderr is not one line of the program: %q", o.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(o.stderr, text) {
			t.Errorf("stderr %q lacks %q", o.stderr, text)
		}
	}
}

// refusal is a command line that fails, with its exit code and texts of its message.
type refusal struct {
	args  []string
	code  int
	texts []string
}

// mustRefuse runs a command with each of the command lines.
func mustRefuse(t *testing.T, command string, list []refusal) {
	t.Helper()
	for _, r := range list {
		eyelet(t, append([]string{command}, r.args...)...).mustFail(t, r.code, r.texts...)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// strictly decodes one JSON document that has no other fields than v.
func strictly(t *testing.T, text string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Errorf("more than one document in %q", text)
	}
}

// endless writes a grammar that lets no answer end before it has 8000 letters.
func endless(t *testing.T) string {
	t.Helper()
	return writeFile(t, filepath.Join(t.TempDir(), "endless.gbnf"),
		"root ::= b b b b b b b b \"!\"\nb ::= \"a\"{1000}")
}

// wideProjector copies the built-in projector with a last layer of twice the width.
func wideProjector(t *testing.T, path string) {
	t.Helper()
	f, err := gguf.Open(seedProjector)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := gguf.NewWriter("clip")
	for _, kv := range f.Keys() {
		w.Set(kv.Key, kv.Value)
	}
	for _, tensor := range f.Tensors() {
		dims, data := tensor.Dims, tensor.Data()
		if strings.HasPrefix(tensor.Name, "mm.2.") {
			dims = append([]uint64(nil), dims...)
			dims[len(dims)-1] *= 2
			data = append(append([]byte(nil), data...), data...)
		}
		w.AddTensor(tensor.Name, tensor.Type, dims, data)
	}
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
}
