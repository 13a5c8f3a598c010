package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/peterh/liner"
)

// lineReader reads what the user types.
type lineReader interface {
	Read(prompt string) (string, error)
	Close() error
}

// errLineAborted is returned when Ctrl-C discards a line.
var errLineAborted = errors.New("line aborted")

func newLineReader(s *session) lineReader {
	if isTerminal(s.stdin) && isTerminal(s.stdout) && liner.TerminalSupported() {
		return newTerminalReader()
	}
	return &streamReader{scanner: bufio.NewScanner(s.stdin), ctx: s.ctx}
}

// streamReader takes lines from a file or pipe.
type streamReader struct {
	scanner *bufio.Scanner
	ctx     context.Context
}

func (r *streamReader) Read(string) (string, error) {
	if r.scanner.Scan() {
		return r.scanner.Text(), r.ctx.Err()
	}
	if err := r.scanner.Err(); err != nil {
		return "", err
	}
	return "", io.EOF
}

func (r *streamReader) Close() error { return nil }

// terminalReader edits lines and keeps a history across runs.
type terminalReader struct {
	*liner.State
	history string
}

func newTerminalReader() *terminalReader {
	r := &terminalReader{State: liner.NewLiner()}
	r.SetCtrlCAborts(true)
	if dir, err := os.UserCacheDir(); err == nil {
		r.history = filepath.Join(dir, "eyelet", "history")
		if f, err := os.Open(r.history); err == nil {
			_, _ = r.ReadHistory(f)
			f.Close()
		}
	}
	return r
}

func (r *terminalReader) Read(prompt string) (string, error) {
	line, err := r.Prompt(prompt)
	if errors.Is(err, liner.ErrPromptAborted) {
		return "", errLineAborted
	}
	if err == nil && strings.TrimSpace(line) != "" {
		r.AppendHistory(line)
	}
	return line, err
}

func (r *terminalReader) Close() error {
	if r.history != "" && os.MkdirAll(filepath.Dir(r.history), 0o700) == nil {
		if f, err := os.OpenFile(r.history, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600); err == nil {
			_, _ = r.WriteHistory(f)
			f.Close()
		}
	}
	return r.State.Close()
}
