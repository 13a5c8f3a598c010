package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/store"
)

func TestErrorsOfTheMachineHaveClassesOfTheirOwn(t *testing.T) {
	const path = "/srv/secret/models/blobs/x.gguf"
	wrapped := func(err error) error {
		return fmt.Errorf("store: upload: %w", &fs.PathError{Op: "write", Path: path, Err: err})
	}
	for name, c := range map[string]struct {
		err    error
		status int
		retry  bool
	}{
		"a full disk": {wrapped(syscall.ENOSPC), http.StatusInsufficientStorage,
			false},
		"a quota": {wrapped(syscall.EDQUOT), http.StatusInsufficientStorage,
			false},
		"no space in the store": {fmt.Errorf("store: %w: 5 bytes are needed in %s",
			store.ErrSpace, path), http.StatusInsufficientStorage, false},
		"a read-only disk":  {wrapped(syscall.EROFS), http.StatusForbidden, false},
		"a file of another": {wrapped(syscall.EACCES), http.StatusForbidden, false},
		"an unreadable model": {fmt.Errorf("%w: %w", engine.ErrModelFile,
			wrapped(syscall.EACCES)), http.StatusForbidden, false},
		"logits that are no numbers": {fmt.Errorf("%w: the logits are not numbers",
			llama.ErrSampling), http.StatusInternalServerError, false},
		"no context": {fmt.Errorf("%w: its context cannot be made: of %s",
			engine.ErrModel, path), http.StatusInternalServerError, false},
		"no memory": {fmt.Errorf(
			"%w: 5 GB; give a shorter context (--ctx) or a smaller type of the cache (--cache-type)", llama.ErrNoMemory), http.StatusInternalServerError, false},
		"a template": {fmt.Errorf(
			"%w: the chat template of %s: bad; give another with --chat-template",
			engine.ErrModelFile, path), http.StatusInternalServerError, false},
		"no projector": {fmt.Errorf(
			"%w: %s was loaded without a projector; give its mmproj file (--mmproj)",
			engine.ErrNoVision, path), http.StatusBadRequest, false},
		"a queue that is full": {engine.ErrBusy, http.StatusServiceUnavailable, true},
		"anything else": {errors.New("engine: " + path + " is odd (--odd)"),
			http.StatusInternalServerError, false},
	} {
		f := failure.Of(context.Background(), c.err)
		if f.Status != c.status || (f.Retry > 0) != c.retry || f.Cause == nil {
			t.Errorf("%s: %d %+v", name, f.Status, f)
		}
		if strings.Contains(f.Text, "/srv") || strings.Contains(f.Text, "--") {
			t.Errorf("%s: clients are told %q", name, f.Text)
		}
		if f.Kind == failure.KindInternal != (name == "anything else") {
			t.Errorf("%s: kind %s", name, f.Kind)
		}
	}
	if f := failure.Of(context.Background(), engine.ErrBusy); strings.Count(f.Text,
		"waiting") != 1 || !strings.Contains(f.Text, "busy") {
		t.Errorf("%q", f.Text)
	}
	if text := failure.Text(fmt.Errorf("engine: %w: %s: no GGUF", engine.ErrModelFile,
		path)); !strings.Contains(text, "x.gguf: no GGUF") {
		t.Errorf("the file's name is gone: %q", text)
	}
	for _, text := range []string{"give 1/2 or 3", "image/png", "a / b",
		"https://example.org/a/b.png is no picture"} {
		if got := failure.Text(errors.New(text)); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestAMissingModelIsToldInOllamasWords(t *testing.T) {
	ts := serve(t)
	for path, rest := range formatRoutes {
		r := ts.do(t, "POST", path, "{"+strings.Replace(rest, `"seed"`, `"nothing:7b"`, 1)+"}")
		if r.status != http.StatusNotFound || !strings.Contains(r.text,
			"model 'nothing:7b' not found") {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
	for _, path := range []string{"/api/show", "/api/embed", "/api/embeddings"} {
		if r := ts.do(t, "POST", path,
			`{"model":"nothing:7b","input":"a","prompt":"a"}`); r.status != http.StatusNotFound ||
			r.ollamaError(t) != "model 'nothing:7b' not found" {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
}

func TestABusyModelExpiresAsItWouldAtRest(t *testing.T) {
	ts := serve(t)
	for _, c := range []struct {
		keep string
		want time.Duration
	}{{`"7m"`, 7 * time.Minute}, {`-1`, math.MaxInt64}} {
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan error, 1)
		begun := make(chan bool, 1)
		keep := &api.Duration{}
		if err := keep.UnmarshalJSON([]byte(c.keep)); err != nil {
			t.Fatal(err)
		}
		go func() {
			over <- ts.client(t).Chat(ctx, &api.ChatRequest{Model: "seed", KeepAlive: keep,
				Messages: []api.Message{{Role: "user", Content: "x"}},
				Format:   []byte(endlessFormat),
				Options:  map[string]any{"num_predict": 100000}}, func(api.ChatResponse) error {
				select {
				case begun <- true:
				default:
				}
				return nil
			})
		}()
		<-begun
		list, err := ts.client(t).ListRunning(t.Context())
		if err != nil || len(list.Models) != 1 {
			t.Fatal(list, err)
		}
		if left := time.Until(list.Models[0].ExpiresAt); c.want < math.MaxInt64 && (left > c.want ||
			left < c.want-time.Minute) || c.want == math.MaxInt64 && left < 1000*time.Hour {
			t.Errorf("keep_alive %s: expires in %v", c.keep, left)
		}
		stop()
		<-over
	}
}

func TestTheEndTokenCounts(t *testing.T) {
	ts := serve(t)
	q := &api.ChatRequest{Model: "seed", Logprobs: true,
		Messages: []api.Message{look(picture(t, "shape-4.png"), "What color is the background?")},
		Options:  map[string]any{"temperature": 0.0}}
	n := 0
	var last api.ChatResponse
	if err := ts.client(t).Chat(t.Context(), q, func(r api.ChatResponse) error {
		n, last = n+len(r.Logprobs), r
		return nil
	}); err != nil || last.EvalCount != n+1 ||
		last.DoneReason != "stop" {
		t.Errorf("%d tokens are counted, %d were told of: %v", last.EvalCount, n, err)
	}
	q.Options["num_predict"] = 2
	if err := ts.client(t).Chat(t.Context(), q, func(r api.ChatResponse) error {
		last = r
		return nil
	}); err != nil || last.EvalCount != 2 {
		t.Errorf("an answer that is cut off: %d %v", last.EvalCount, err)
	}
}

func TestARequestThatTakesTooLongIsToldSo(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Limits.Time = 20 * time.Millisecond })
	const long = `"model":"seed","grammar":"root ::= [a-z]{400}","stream":false`
	const says = `"messages":[{"role":"user","content":"x"}]`
	for path, body := range map[string]string{
		"/api/chat":            `{` + long + `,` + says + `}`,
		"/api/generate":        `{` + long + `,"prompt":"x"}`,
		"/v1/chat/completions": `{` + long + `,"n":2,` + says + `}`,
		"/v1/completions":      `{` + long + `,"prompt":["a","b"],"max_tokens":400}`,
		"/v1/responses":        `{` + long + `,"input":"x"}`,
		"/v1/messages":         `{` + long + `,"max_tokens":400,` + says + `}`,
	} {
		for range 2 { // while the model is loaded, and while it answers
			if r := ts.do(t, "POST", path, body); r.status != 504 ||
				!strings.Contains(r.text, "took longer") {
				t.Errorf("%s: %d %s", path, r.status, r.text)
			}
		}
	}
}
