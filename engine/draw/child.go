package draw

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Picture is what was drawn.
type Picture struct {
	PNG  []byte // as the child wrote it, with the settings in a text chunk
	Seed int64
}

// Drawing is the outcome of a request.
type Drawing struct {
	Pictures      []Picture
	Width, Height int
	Steps         int
	Seed          int64 // of the first picture
}

// maxPNG bounds the bytes of a picture's file: what MaxPixels take uncompressed, and as much again.
const maxPNG = 2 * 3 * MaxPixels

// Draw has a child draw what the request says, and returns when the child has ended. progress,
// which may be nil, is told from the same goroutine that waits. Errors wrap ErrRequest, ErrImage,
// ErrChild, or ctx's own; nothing is left behind.
func (p *Program) Draw(ctx context.Context, m *Model, r *Request,
	progress func(Progress)) (*Drawing, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "eyelet-draw-") // which only this user may read
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	defer os.RemoveAll(dir)
	s, args, err := r.prepare(ctx, m, dir)
	if err != nil {
		return nil, err
	}
	if err := p.run(ctx, dir, args, progress); err != nil {
		return nil, err
	}
	return s.collect(dir)
}

// collect reads what a child left of a settled request.
func (s *Request) collect(dir string) (*Drawing, error) {
	d := &Drawing{Width: s.Width, Height: s.Height, Steps: s.Steps, Seed: *s.Seed}
	for i := range s.Count {
		data, err := readPicture(filepath.Join(dir, fmt.Sprintf(outPattern, i)))
		if err != nil {
			return nil, err
		}
		d.Pictures = append(d.Pictures, Picture{PNG: data, Seed: *s.Seed + int64(i)})
	}
	return d, nil
}

// prepare settles the request, puts the model and the pictures that it brings into the child's
// folder, and returns the child's arguments.
func (r *Request) prepare(ctx context.Context, m *Model,
	dir string) (s Request, args []string, err error) {
	var w, h int
	if r.Init != nil {
		if w, h, err = writePNG(ctx, filepath.Join(dir, initName), r.Init); err != nil {
			return s, nil, fmt.Errorf("%w (the picture to begin with)", err)
		}
	}
	if r.Mask != nil {
		if _, _, err := writePNG(ctx, filepath.Join(dir, maskName), r.Mask); err != nil {
			return s, nil, fmt.Errorf("%w (the mask)", err)
		}
	}
	if s, err = r.settle(m, w, h); err != nil {
		return s, nil, err
	}
	files, err := m.link(dir)
	if err != nil {
		return s, nil, err
	}
	return s, s.arguments(files), nil
}

// readPicture reads what a child wrote.
func readPicture(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil || !info.Mode().IsRegular():
		return nil, fmt.Errorf("draw: %w: it ended well and left no picture", ErrChild)
	case info.Size() > maxPNG:
		return nil, fmt.Errorf("draw: %w: what it left has %d MiB, more than any picture", ErrChild,
			info.Size()>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	if !wholePNG(data) {
		return nil, fmt.Errorf("draw: %w: what it left is no whole PNG file", ErrChild)
	}
	return data, nil
}

// wholePNG reports whether data begins with a PNG file that came to its end: its chunks have the
// lengths and checksums that they say, from IHDR to IEND. Pixels are not decoded.
// See https://www.w3.org/TR/png-3/#5DataRep.
func wholePNG(data []byte) bool {
	const signature, frame = "\x89PNG\r\n\x1a\n", 12 // bytes of a chunk beside its contents
	rest, found := bytes.CutPrefix(data, []byte(signature))
	for first := true; found && len(rest) >= frame; first = false {
		size := int(binary.BigEndian.Uint32(rest))
		kind := string(rest[4:8])
		if size < 0 || size > len(rest)-frame || first != (kind == "IHDR") {
			return false
		}
		end := 8 + size
		if crc32.ChecksumIEEE(rest[4:end]) != binary.BigEndian.Uint32(rest[end:]) {
			return false
		}
		if kind == "IEND" {
			return true
		}
		rest = rest[end+4:]
	}
	return false
}

// environment is this process's, but for what makes the child's threads spin while they wait for
// one another: beside others that compute, they would take the cores away from them.
func environment() []string {
	env := os.Environ()
	if os.Getenv("OMP_WAIT_POLICY") == "" && os.Getenv("GOMP_SPINCOUNT") == "" {
		env = append(env, "OMP_WAIT_POLICY=passive")
	}
	return env
}

// killTime is how long the output of a killed child is waited for, which something that it started
// may hold open.
const killTime = 5 * time.Second

// run runs the child in a folder until it ends, or kills it when ctx is done.
func (p *Program) run(ctx context.Context, dir string, args []string,
	progress func(Progress)) error {
	w := &watcher{tell: progress, now: Progress{Stage: Loading}}
	if progress != nil {
		progress(w.now)
	}
	running, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	cmd := exec.CommandContext(running, p.Path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, w, w
	child := p.launch(cmd)
	go p.watch(running, child, w, kill)
	err := <-child.ended
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case context.Cause(running) != nil:
		return w.idle()
	case err == nil:
		return nil
	}
	return w.failure(err)
}

// killGroup ends a program that leads a group of processes, with all that it started.
func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// process is a child that is started.
type process struct {
	started chan struct{} // closed when pid is known
	pid     int
	ended   chan error // how it ended, or that it did not start
}

// launch starts a child.
func (p *Program) launch(cmd *exec.Cmd) *process {
	cmd.Env, cmd.WaitDelay, cmd.SysProcAttr = environment(), killTime, childAttributes()
	cmd.Cancel = func() error { return killGroup(cmd) }
	child := &process{started: make(chan struct{}), ended: make(chan error, 1)}
	go func() {
		// The system kills the child when the thread ends that started it, so that thread stays as
		// long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			child.pid = cmd.Process.Pid
			close(child.started)
			if p.Nice > 0 {
				// slower for others, no fault
				_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, p.Nice)
			}
			err = cmd.Wait()
		}
		child.ended <- err
	}()
	return child
}

// ending is why a child is gone that was to stay.
func (w *watcher) ending(err error) error {
	if err == nil { // as after the end of its input
		return fmt.Errorf("draw: %w: it ended before the picture was there", ErrChild)
	}
	return w.failure(err)
}

// failure words how a child ended.
func (w *watcher) failure(err error) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return fmt.Errorf("draw: %w: it does not start: %w", ErrChild, err)
	}
	text := ""
	if said := w.reason(); said != "" {
		text = ": " + said
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	switch {
	case !status.Signaled():
		return fmt.Errorf("draw: %w%s", ErrChild, text)
	case status.Signal() == syscall.SIGKILL:
		return fmt.Errorf("draw: %w: it was killed in the stage %s, by somebody or by the system for want of memory", ErrChild, w.now.Stage)
	case status.Signal() == syscall.SIGILL:
		return fmt.Errorf("draw: %w: it was built for another processor; run scripts/setup --draw here", ErrChild)
	}
	return fmt.Errorf("draw: %w: it was ended by the signal %q in the stage %s%s", ErrChild,
		status.Signal(), w.now.Stage, text)
}
