package server

import (
	"context"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

const (
	// relaxedHeader names, in an answer, the parts of the schemas of tools that nothing holds.
	relaxedHeader = "Eyelet-Schema-Relaxed"
	// retriesHeader says, in a request, how often an answer is drawn again that turns out not to be
	// valid under its schema.
	retriesHeader = "Eyelet-Schema-Retries"

	maxSchemaRetries = 10
)

// retriesOf returns how often a request lets answers be drawn again; a number that is none counts
// as 0.
func retriesOf(r *http.Request) int {
	n, err := strconv.Atoi(r.Header.Get(retriesHeader))
	if err != nil {
		return 0
	}
	return min(max(n, 0), maxSchemaRetries)
}

// noted passes events of an answer on, and notes what is relaxed before the answer's header is
// written.
func noted(ctx context.Context, answer iter.Seq2[engine.Event, error]) iter.Seq2[engine.Event,
	error] {
	rec := recordOf(ctx)
	return func(yield func(engine.Event, error) bool) {
		for e, err := range answer {
			if len(e.Relaxed) > 0 {
				rec.relax.Do(func() { rec.note(e.Relaxed) })
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// note tells client and log of relaxed parts of schemas. A header is one line of ASCII.
func (r *record) note(relaxed []string) {
	r.relaxed = relaxed
	if r.header == nil {
		return
	}
	text := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, strings.Join(relaxed, "; "))
	if len(text) > 1000 {
		text = text[:1000] + "..."
	}
	r.header.Set(relaxedHeader, text)
}
