package draw

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"sync"
)

// Child is a process that keeps a model loaded and draws one request after the other. It is asked
// through a pipe and answers through another, so nobody else can reach it, and what it is asked for
// stands in no list of processes.
type Child struct {
	program *Program
	model   *Model
	process *process
	ask     *os.File      // strings, as scripts/sd-resident/main.cc reads them
	drawn   chan struct{} // one for each request that was drawn
	ended   chan struct{} // closed when the process is gone
	err     error         // how it ended; to be read after ended is closed
	output  *output
	kill    context.CancelFunc
	once    sync.Once
}

// Start starts a process for a model, which it loads at its first request, and computes with the
// threads of that one. It needs Program.Resident. The child must be closed.
func (p *Program) Start(m *Model) (*Child, error) {
	if p.Resident == "" {
		return nil, ErrNotSetUp
	}
	requests, ask, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	answers, answer, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("draw: %w", err), requests.Close(), ask.Close())
	}
	ctx, kill := context.WithCancel(context.Background())
	c := &Child{program: p, model: m, ask: ask, drawn: make(chan struct{}),
		ended: make(chan struct{}), output: &output{}, kill: kill}
	cmd := exec.CommandContext(ctx, p.Resident)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.TempDir(), requests, c.output,
		c.output, []*os.File{answer}
	c.process = p.launch(cmd)
	go func() {
		c.err = <-c.process.ended
		requests.Close()
		answer.Close() // the last that can write: the reader below comes to its end
		close(c.ended)
	}()
	go func() {
		defer answers.Close()
		for b := []byte{0}; ; {
			if n, err := answers.Read(b); n == 0 || err != nil {
				return
			}
			select {
			case c.drawn <- struct{}{}:
			case <-c.ended:
			}
		}
	}()
	return c, nil
}

// Draw is [Program.Draw] in this process. Requests come one after the other, of one goroutine at a
// time. When ctx is done while it draws, or when it breaks, the process is gone and the child can
// only be closed.
func (c *Child) Draw(ctx context.Context, r *Request, progress func(Progress)) (*Drawing, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "eyelet-draw-") // which only this user may read
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	defer os.RemoveAll(dir)
	s, args, err := r.prepare(ctx, c.model, dir)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := c.output.watch(progress)
	defer c.output.watch(nil)
	if progress != nil {
		progress(Progress{Stage: Loading})
	}
	message, err := encode(append([]string{dir}, args...))
	if err != nil {
		return nil, err
	}
	go func() { _, _ = c.ask.Write(message) }() // a process that is gone does not read it
	drawing, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go c.program.watch(drawing, c.process, w, stop)
	select {
	case <-c.drawn:
		// What the child writes of its progress comes by another pipe, and can be late.
		c.output.watch(nil)
		if end := (Progress{Stage: Decoding, Picture: s.Count, Pictures: s.Count}); progress !=
			nil && w.now != end {
			progress(end)
		}
		d, err := s.collect(dir)
		if err != nil { // it said what is not so, and may do it again
			c.kill()
			<-c.ended
		}
		return d, err
	case <-c.ended:
		return nil, w.ending(c.err)
	case <-drawing.Done():
		c.kill()
		<-c.ended
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, w.idle()
	}
}

// Ended is closed when the process is gone, by itself or by Close.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Alive reports whether the process is there.
func (c *Child) Alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// Close ends the process and returns when its memory is free. A second call does nothing.
func (c *Child) Close() error {
	c.once.Do(func() {
		c.kill()
		c.ask.Close()
	})
	<-c.ended
	return nil
}

// encode writes strings as the process reads them: their count, then each with its length.
func encode(strings []string) ([]byte, error) {
	message := binary.LittleEndian.AppendUint32(nil, uint32(len(strings))) //nolint:gosec // some thirty
	for _, s := range strings {
		if len(s) > math.MaxInt32 {
			return nil, fmt.Errorf("draw: %w: an argument of %d bytes", ErrRequest, len(s))
		}
		message = binary.LittleEndian.AppendUint32(message, uint32(len(s))) //nolint:gosec // checked
		message = append(message, s...)
	}
	return message, nil
}

// output is what a child that stays writes, of which each request has a watcher of its own.
type output struct {
	mu sync.Mutex
	w  *watcher
}

// watch hands the output to a new watcher, which tells of progress. What was written to the last
// one before counts there.
func (o *output) watch(progress func(Progress)) *watcher {
	w := &watcher{tell: progress, now: Progress{Stage: Loading}}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = w
	return w
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.w == nil {
		return len(p), nil
	}
	return o.w.Write(p)
}
