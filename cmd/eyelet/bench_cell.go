package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

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

// newBenchCellCommand is what bench quants starts for each measurement: a job as JSON on stdin, messages as JSON lines on stdout.
func newBenchCellCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "cell",
		Short:  "Run one measurement of bench quants",
		Hidden: true,
		Args:   wantArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxJob))
			if err != nil {
				return err
			}
			var j bench.Job
			if err := json.Unmarshal(data, &j); err != nil {
				return inputf("stdin holds no job: %w", err)
			}
			messages := json.NewEncoder(cmd.OutOrStdout())
			result, err := bench.RunJob(cmd.Context(), &j, func(next string) { _ = messages.Encode(cellMessage{Next: next}) })
			if err != nil {
				return messages.Encode(cellMessage{Error: err.Error(), NoSpace: errors.Is(err, syscall.ENOSPC), Request: errors.Is(err, engine.ErrRequest)})
			}
			return messages.Encode(cellMessage{Result: result})
		},
	}
}

// cellRunner returns what runs a job in a process of its own, given the flags of all commands that it is to have. The process is killed when
// ctx is done.
func cellRunner(flags ...string) func(context.Context, *bench.Job, func(string)) (*bench.JobResult, error) {
	return func(ctx context.Context, j *bench.Job, progress func(string)) (*bench.JobResult, error) {
		return runCell(ctx, j, progress, flags)
	}
}

func runCell(ctx context.Context, j *bench.Job, progress func(next string), flags []string) (*bench.JobResult, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	job, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"bench", "cell"}, flags...)...)
	cmd.Stdin = strings.NewReader(string(job))
	var stderr tailWriter
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	last := readMessages(stdout, progress)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case last.Result != nil:
		return last.Result, nil
	case last.NoSpace:
		return nil, fmt.Errorf("%w: %s", syscall.ENOSPC, last.Error)
	case last.Request:
		return nil, fmt.Errorf("%w: %s", engine.ErrRequest, strings.TrimPrefix(last.Error, engine.ErrRequest.Error()+": "))
	case last.Error != "":
		return nil, errors.New(last.Error)
	}
	return nil, fmt.Errorf("the measuring process ended: %w: %s", firstError(err, io.ErrUnexpectedEOF), stderr.lastLine())
}

// firstError returns the first error that is not nil.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// readMessages returns the last message that tells how the process ended.
func readMessages(r io.Reader, progress func(next string)) (last cellMessage) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxJob)
	for lines.Scan() {
		var m cellMessage
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue
		}
		if m.Next != "" {
			progress(m.Next)
			continue
		}
		last = m
	}
	_, _ = io.Copy(io.Discard, r) // a line that is too long must not block the process
	return last
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
