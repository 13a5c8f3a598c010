package ggml

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// maxErrorLines bounds what [ErrorLog] keeps.
const maxErrorLines = 4

// An ErrorLog collects the error lines that the libraries log while a call runs: most of their
// functions report a failure as a bare null pointer and its reason in the log. Lines of calls that
// run at the same time may mix in, so that they are to be shown and not to be parsed.
type ErrorLog struct {
	mu    sync.Mutex
	lines []string
	stop  func()
}

// CollectErrors begins to collect. [ErrorLog.Stop] or [ErrorLog.Wrap] must be called to end it.
func CollectErrors() *ErrorLog {
	e := &ErrorLog{}
	e.stop = TapLog(func(level slog.Level, line string) {
		if line = strings.TrimSpace(line); level < slog.LevelError || line == "" {
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.lines) < maxErrorLines {
			e.lines = append(e.lines, line)
		}
	})
	return e
}

// Stop ends collecting.
func (e *ErrorLog) Stop() { e.stop() }

// Wrap ends collecting and returns err with the lines that were collected.
func (e *ErrorLog) Wrap(err error) error {
	e.stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil || len(e.lines) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s", err, strings.Join(e.lines, "; "))
}
