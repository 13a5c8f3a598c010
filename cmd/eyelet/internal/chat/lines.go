package chat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/peterh/liner"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/builtin"
)

// lineReader reads what the user types. Its Read ends with the context's error when the program is
// to end.
type lineReader interface {
	Read(prompt string) (string, error)
	Close() error
}

// errLineAborted is returned when Ctrl-C discards a line.
var errLineAborted = errors.New("line aborted")

func newLineReader(s *Session) lineReader {
	if cli.IsTerminal(s.stdin) && cli.IsTerminal(s.Stdout) && liner.TerminalSupported() {
		return newTerminalReader(s.Context)
	}
	return newStreamReader(s.Context, s.stdin)
}

// read is a line or the error in its place.
type read struct {
	line string
	err  error
}

// waitFor returns what is read, or the context's error should that come first. A read cannot be
// stopped: it is left behind, and ends with the program.
func waitFor(ctx context.Context, reads <-chan read) (string, error) {
	select {
	case r := <-reads:
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// streamReader takes lines from a file or pipe.
type streamReader struct {
	ctx   context.Context
	reads chan read
}

// lineLimit bounds a line of a stream, in bytes.
const lineLimit = 1 << 20

func newStreamReader(ctx context.Context, stream io.Reader) *streamReader {
	r := &streamReader{ctx: ctx, reads: make(chan read)}
	go func() {
		scanner := bufio.NewScanner(stream)
		scanner.Buffer(nil, lineLimit)
		for scanner.Scan() {
			r.reads <- read{line: scanner.Text()}
		}
		err := scanner.Err()
		switch {
		case err == nil:
			err = io.EOF
		case errors.Is(err, bufio.ErrTooLong):
			err = cli.Inputf("a line on stdin is longer than %s", cli.BytesText(lineLimit))
		default:
			err = fmt.Errorf("reading stdin: %w", err)
		}
		r.reads <- read{err: err}
	}()
	return r
}

func (r *streamReader) Read(string) (string, error) { return waitFor(r.ctx, r.reads) }

func (r *streamReader) Close() error { return nil }

// terminalReader edits lines and keeps a history across runs.
type terminalReader struct {
	*liner.State
	ctx     context.Context
	history string
}

func newTerminalReader(ctx context.Context) *terminalReader {
	r := &terminalReader{State: liner.NewLiner(), ctx: ctx}
	r.SetCtrlCAborts(true)
	if dir, err := builtin.CacheDir(); err == nil {
		r.history = filepath.Join(dir, "history")
		if f, err := os.Open(r.history); err == nil {
			_, _ = r.ReadHistory(f)
			f.Close()
		}
	}
	return r
}

func (r *terminalReader) Read(prompt string) (string, error) {
	reads := make(chan read, 1)
	go func() {
		line, err := r.Prompt(prompt)
		reads <- read{line, err}
	}()
	line, err := waitFor(r.ctx, reads)
	switch {
	case r.ctx.Err() != nil, errors.Is(err, io.EOF):
		fmt.Println() // the prompt still stands there
	case errors.Is(err, liner.ErrPromptAborted):
		return "", errLineAborted
	case err == nil && strings.TrimSpace(line) != "":
		r.AppendHistory(line)
	}
	return line, err
}

// Close keeps the history, which is the user's alone, and gives the terminal back as it was.
func (r *terminalReader) Close() error {
	if r.history != "" && os.MkdirAll(filepath.Dir(r.history), 0o755) == nil {
		if f, err := os.OpenFile(r.history, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600); err == nil {
			_, _ = r.WriteHistory(f)
			f.Close()
		}
	}
	return r.State.Close()
}
