package draw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Program is stable-diffusion.cpp's command-line program.
type Program struct {
	Path    string
	Version string // the first line that it says of itself
	// Nice is added to the child's scheduling priority, 0 to 19: what computes beside it goes
	// first.
	Nice int
	// Resident is the program that keeps a model loaded between pictures, which scripts/draw builds
	// beside this one; "" where there is none.
	Resident string

	idle time.Duration // see Program.watch; 0 for idleTime
}

// variable names the program, where it is set.
const variable = "EYELET_DRAW"

// names are what the program is called in its releases, the older name last.
var names = []string{"sd-cli", "sd"}

// askTime is how long a program may take to say its version.
const askTime = 10 * time.Second

// Find finds the program: the one that EYELET_DRAW names; else one that lies beside this program,
// as in a bundle or where scripts/setup --draw puts it; else one on PATH. A program that is named
// but is none is an error, one on PATH that is another of the same name is passed over. ErrNotSetUp
// means that there is none.
func Find(ctx context.Context) (*Program, error) {
	if path := os.Getenv(variable); path != "" {
		p, err := ask(ctx, path)
		if err != nil {
			// Both name the path again.
			if e, ok := errors.AsType[*exec.Error](err); ok {
				err = e.Err
			}
			if e, ok := errors.AsType[*fs.PathError](err); ok {
				err = e.Err
			}
			return nil, fmt.Errorf("draw: %w: %s: %w", ErrProgram, path, err)
		}
		return p, nil
	}
	for _, path := range candidates() {
		p, err := ask(ctx, path)
		if err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, ErrNotSetUp
}

// candidates lists where the program may be.
func candidates() (paths []string) {
	if self, err := os.Executable(); err == nil {
		// The program itself is build/bin/eyelet; a bundle starts bin/eyelet.bin by the loader in
		// lib.
		dir := filepath.Dir(self)
		for _, folder := range []string{dir, filepath.Join(dir, "..", "bin"),
			filepath.Join(dir, "..", "draw")} {
			paths = append(paths, filepath.Join(folder, names[0]))
		}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// ask has a program say its version. Programs of other projects are called sd too.
func ask(ctx context.Context, path string) (*Program, error) {
	path, err := exec.LookPath(path)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	for _, flag := range []string{"--version", "--help"} { // older ones know --help alone
		out := &opening{limit: 1 << 16}
		cmd := exec.CommandContext(asking, path, flag)
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, time.Second
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return killGroup(cmd) } // with what it may have started
		err = cmd.Run()
		if text := out.head; bytes.Contains(text, []byte("stable-diffusion.cpp")) ||
			bytes.Contains(text, []byte("--sampling-method")) {
			line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
			return &Program{Path: path, Version: line, Resident: residentOf(ctx, path, line)}, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if asking.Err() != nil {
			return nil, fmt.Errorf("it did not answer %s in %v", flag, askTime)
		}
	}
	if err != nil && !isExit(err) {
		return nil, err
	}
	return nil, errors.New("it is not stable-diffusion.cpp's program")
}

// residentName is what the program is called that keeps a model loaded.
const residentName = "sd-resident"

// residentOf is the program that lies beside another one and was built of the same sources, "" for
// none.
func residentOf(ctx context.Context, path, version string) string {
	if filepath.Base(path) == residentName {
		return ""
	}
	beside := filepath.Join(filepath.Dir(path), residentName)
	if info, err := os.Stat(beside); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	if p, err := ask(ctx, beside); err != nil || p.Version != version {
		return ""
	}
	return beside
}

// isExit reports whether a program ran and ended by itself.
func isExit(err error) bool {
	e, ok := errors.AsType[*exec.ExitError](err)
	return ok && e.Exited()
}

// opening keeps the beginning of what is written to it, as much as limit, and passes the rest over.
type opening struct {
	head  []byte
	limit int
}

func (t *opening) Write(p []byte) (int, error) {
	t.head = append(t.head, p[:min(len(p), t.limit-len(t.head))]...)
	return len(p), nil
}
