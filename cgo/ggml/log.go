package ggml

// #include "bridge.h"
import "C"

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// maxLogLine bounds a line that never ends, in bytes.
const maxLogLine = 64 << 10

var (
	logger atomic.Pointer[slog.Logger]
	taps   atomic.Pointer[[]*tap]
	tapsMu sync.Mutex // serializes writers of taps

	lines = lineAssembler{partial: map[uintptr]*partialLine{}}
)

type tap struct {
	f func(level slog.Level, line string)
}

// SetLogger sends the log lines of libggml, libllama and libmtmd to l; nil, the default, discards
// them. The libraries may log from any of their threads, so the handler must be safe for concurrent
// use, as slog's own are; it must not call back into these libraries.
func SetLogger(l *slog.Logger) { logger.Store(l) }

// LogCallback returns the C function, a ggml_log_callback, behind [SetLogger] and [TapLog]: what
// llama_log_set, mtmd_log_set and mtmd_helper_log_set are to be given. It is valid for the life of
// the process and takes no user data.
func LogCallback() unsafe.Pointer { return unsafe.Pointer(C.eyelet_ggml_log) }

// TapLog calls f with each log line, in addition to the logger and whether or not there is one,
// until stop is called. Lines have no newline at their end. f runs on the thread that logs and must
// not call back into the libraries; a call that is already running when stop is called may finish
// after it.
func TapLog(f func(level slog.Level, line string)) (stop func()) {
	t := &tap{f}
	change := func(edit func([]*tap) []*tap) {
		tapsMu.Lock()
		defer tapsMu.Unlock()
		var now []*tap
		if p := taps.Load(); p != nil {
			now = slices.Clone(*p)
		}
		now = edit(now)
		taps.Store(&now)
	}
	change(func(all []*tap) []*tap { return append(all, t) })
	return func() {
		change(func(all []*tap) []*tap {
			return slices.DeleteFunc(all, func(other *tap) bool { return other == t })
		})
	}
}

//export eyeletGoLog
func eyeletGoLog(level C.int, text *C.char, thread C.uintptr_t) {
	lines.add(int(level), C.GoString(text), uintptr(thread), emit)
}

func emit(level slog.Level, line string) {
	if p := taps.Load(); p != nil {
		for _, t := range *p {
			t.f(level, line)
		}
	}
	if l := logger.Load(); l != nil {
		l.Log(context.Background(), level, line)
	}
}

// A lineAssembler joins the fragments in which the libraries log (ggml.h: GGML_LOG_LEVEL_CONT
// continues the previous fragment) to whole lines, for each thread apart.
type lineAssembler struct {
	mu      sync.Mutex
	partial map[uintptr]*partialLine
}

type partialLine struct {
	level slog.Level
	text  strings.Builder
}

func (a *lineAssembler) add(level int, text string, thread uintptr, emit func(slog.Level, string)) {
	type line struct {
		level slog.Level
		text  string
	}
	var out []line
	a.mu.Lock()
	p := a.partial[thread]
	if p != nil && level != C.GGML_LOG_LEVEL_CONT {
		// The previous line was never finished and this is not its continuation.
		out = append(out, line{p.level, p.text.String()})
		p = nil
	}
	if p == nil {
		p = &partialLine{level: slogLevel(level)}
	}
	for text != "" {
		head, rest, ended := strings.Cut(text, "\n")
		p.text.WriteString(head)
		text = rest
		if ended || p.text.Len() > maxLogLine {
			out = append(out, line{p.level, p.text.String()})
			p = &partialLine{level: p.level}
		}
	}
	if p.text.Len() > 0 {
		a.partial[thread] = p
	} else {
		delete(a.partial, thread)
	}
	a.mu.Unlock()
	for _, l := range out {
		if l.text != "" {
			emit(l.level, l.text)
		}
	}
}

func slogLevel(level int) slog.Level {
	switch level {
	case C.GGML_LOG_LEVEL_DEBUG:
		return slog.LevelDebug
	case C.GGML_LOG_LEVEL_WARN:
		return slog.LevelWarn
	case C.GGML_LOG_LEVEL_ERROR:
		return slog.LevelError
	}
	return slog.LevelInfo
}
