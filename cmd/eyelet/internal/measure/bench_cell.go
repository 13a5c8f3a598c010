package measure

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

// maxJob bounds what is read of a job and of its messages, in bytes.
const maxJob = 16 << 20

// cellMessage is a line that a child process writes: what comes next, or how it ended.
type cellMessage struct {
	Next    string           `json:"next,omitempty"`
	Result  *bench.JobResult `json:"result,omitempty"`
	Error   string           `json:"error,omitempty"`
	NoSpace bool             `json:"no_space,omitempty"` // the disk is full
	Request bool             `json:"request,omitempty"`  // the job makes no sense
}

// newBenchCellCommand is what bench quants starts for its measurements: jobs in JSON on stdin, one
// after the other, messages as JSON lines on stdout.
func newBenchCellCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "cell",
		Short:  "Run measurements of bench quants",
		Hidden: true,
		Args:   cli.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			jobs := bufio.NewScanner(cmd.InOrStdin())
			jobs.Buffer(nil, maxJob)
			messages := json.NewEncoder(cmd.OutOrStdout())
			worker := new(bench.Worker)
			defer worker.Close()
			for jobs.Scan() {
				var j bench.Job
				if err := json.Unmarshal(jobs.Bytes(), &j); err != nil {
					return cli.Inputf("stdin holds no job: %w", err)
				}
				last := cellMessage{}
				result, err := worker.Run(cmd.Context(), &j, func(next string) {
					_ = messages.Encode(cellMessage{Next: next})
				})
				if last.Result = result; err != nil {
					last = cellMessage{Error: err.Error(), NoSpace: errors.Is(err, syscall.ENOSPC),
						Request: errors.Is(err, engine.ErrRequest)}
				}
				if err := messages.Encode(last); err != nil {
					return err
				}
			}
			return jobs.Err()
		},
	}
}

// cells runs jobs in processes of their own, which are given the flags of all commands that they
// are to have. Several may run at once. A process that can be shared is kept for the next job.
type cells struct {
	flags []string
	mu    sync.Mutex
	kept  []*cellProcess // those that run no job now
}

// cellProcess is a process that runs jobs.
type cellProcess struct {
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	messages *bufio.Scanner
	stderr   tailWriter
	last     *bench.Job
}

// run runs a job. Its process is killed when ctx is done.
func (c *cells) run(ctx context.Context, j *bench.Job,
	progress func(next string)) (*bench.JobResult, error) {
	p, err := c.take(j)
	if err != nil {
		return nil, err
	}
	p.last = j
	stop := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })
	defer stop()
	job, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	_, err = p.stdin.Write(append(job, '\n'))
	last, ok := p.answer(progress)
	if ok {
		c.mu.Lock()
		c.kept = append(c.kept, p)
		c.mu.Unlock()
	} else { // it has ended
		err = cmp.Or(p.close(), err, io.ErrUnexpectedEOF)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case last.Result != nil:
		return last.Result, nil
	case last.NoSpace:
		return nil, fmt.Errorf("%w: %s", syscall.ENOSPC, last.Error)
	case last.Request:
		return nil, fmt.Errorf("%w: %s", engine.ErrRequest, strings.TrimPrefix(last.Error,
			engine.ErrRequest.Error()+": "))
	case last.Error != "":
		return nil, errors.New(last.Error)
	}
	return nil, fmt.Errorf("the measuring process ended: %w: %s", err, p.stderr.lastLine())
}

// take returns a process for a job: one that is kept and may be shared, best one that has its model
// already, else a new one. Those that must not be shared with the job are ended.
func (c *cells) take(j *bench.Job) (*cellProcess, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = slices.DeleteFunc(c.kept, func(p *cellProcess) bool {
		shares := p.last.Shares(j)
		if !shares {
			_ = p.close()
		}
		return !shares
	})
	if len(c.kept) == 0 {
		return startCell(c.flags)
	}
	i := max(0, slices.IndexFunc(c.kept, func(p *cellProcess) bool {
		return p.last.Model == j.Model
	}))
	p := c.kept[i]
	c.kept = slices.Delete(c.kept, i, i+1)
	return p, nil
}

// close ends the processes that were kept. No job may be running.
func (c *cells) close() {
	for _, p := range c.kept {
		_ = p.close()
	}
	c.kept = nil
}

// close ends the process and returns how it ended.
func (p *cellProcess) close() error {
	_ = p.stdin.Close()
	for p.messages.Scan() { // what it still writes must not block it
	}
	return p.cmd.Wait()
}

func startCell(flags []string) (*cellProcess, error) {
	self, err := cli.SelfCommand()
	if err != nil {
		return nil, err
	}
	p := &cellProcess{cmd: exec.Command(self[0], slices.Concat(self[1:], []string{"bench", "cell"},
		flags)...)}
	p.cmd.Stderr = &p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.messages = bufio.NewScanner(stdout)
	p.messages.Buffer(nil, maxJob)
	return p, p.cmd.Start()
}

// answer returns the message that tells how a job ended; ok is false if none came.
func (p *cellProcess) answer(progress func(next string)) (last cellMessage, ok bool) {
	for p.messages.Scan() {
		var m cellMessage
		if json.Unmarshal(p.messages.Bytes(), &m) != nil {
			continue
		}
		if m.Next == "" {
			return m, true
		}
		progress(m.Next)
	}
	return cellMessage{}, false
}

// tailWriter keeps the end of what is written to it.
type tailWriter struct{ text []byte }

func (t *tailWriter) Write(b []byte) (int, error) {
	t.text = append(t.text, b...)
	if n := len(t.text) - 4096; n > 0 {
		t.text = t.text[n:]
	}
	return len(b), nil
}

// lastLine is the last line that is not empty.
func (t *tailWriter) lastLine() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return lines[len(lines)-1]
}
