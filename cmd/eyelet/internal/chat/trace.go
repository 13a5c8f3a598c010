package chat

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// tracer writes a trace of requests: each moment of one is a JSON object on a line of its own.
type tracer struct {
	mu      sync.Mutex
	out     io.Writer
	file    *os.File // nil for stderr
	request int      // numbers requests
	err     error
}

// traceLine is a line of --trace.
type traceLine struct {
	At      time.Time `json:"at"`
	Request int       `json:"request"`
	What    string    `json:"what"`
	Items   int       `json:"items"`
	TookMS  float64   `json:"took_ms"`
}

// openTrace opens the file of a trace, where "-" is stderr. Without a path it returns nil, for no
// trace.
func openTrace(path string, stderr io.Writer) (*tracer, error) {
	switch path {
	case "":
		return nil, nil
	case "-":
		return &tracer{out: stderr}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, cli.Inputf("%s: %w", path, cli.Cause(err))
	}
	return &tracer{out: f, file: f}, nil
}

// begin returns two functions for a request: note keeps a moment of it in memory, and write writes
// all moments at its end. The scheduler calls note, and must not wait for a file.
func (t *tracer) begin() (note func(sched.Moment), write func()) {
	if t == nil {
		return nil, func() {}
	}
	t.mu.Lock()
	t.request++
	number := t.request
	t.mu.Unlock()
	var mu sync.Mutex // of moments: t.mu is held while a file is written
	var moments []sched.Moment
	note = func(m sched.Moment) {
		mu.Lock()
		moments = append(moments, m)
		mu.Unlock()
	}
	return note, func() {
		mu.Lock()
		list := moments
		moments = nil
		mu.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		e := json.NewEncoder(t.out)
		for _, m := range list {
			t.err = errors.Join(t.err, e.Encode(traceLine{m.At, number, m.What, m.Items,
				float64(m.Took.Microseconds()) / 1000}))
		}
	}
}

// close closes the file and returns the first error of writing it.
func (t *tracer) close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.err
	if t.file != nil {
		err = errors.Join(err, t.file.Close())
	}
	t.err = nil
	return err
}
