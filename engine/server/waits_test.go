package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

func TestWaitsEndWithTheServer(t *testing.T) {
	var w waits
	waiting, _ := w.begin(t.Context())
	begun, done := w.begin(t.Context())
	done()
	w.refuse(true)
	after, _ := w.begin(t.Context())
	for name, ctx := range map[string]context.Context{"who waits": waiting,
		"who comes later": after} {
		if err := refused(ctx, ctx.Err()); !errors.Is(err, failure.ErrShutdown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if begun.Err() != nil {
		t.Error("who is computed was ended")
	}
	w.refuse(false)
	if again, _ := w.begin(t.Context()); again.Err() != nil {
		t.Error("nobody can wait again")
	}
}

// unending begins an answer of the page that goes on until its client leaves: no answer fulfils its
// schema, and its context shifts. It returns the lines behind the first.
func (ts *testServer) unending(t *testing.T) (lines *bufio.Reader, leave func()) {
	t.Helper()
	w, err := ts.http.Post(ts.url+"/page/api/chat", "application/json", strings.NewReader(
		`{"model":"seed","messages":[{"role":"user","content":"Count."}],"format":`+
			endlessFormat+`}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Body.Close() })
	lines = bufio.NewReader(w.Body)
	if line, err := lines.ReadString('\n'); err != nil || w.StatusCode != http.StatusOK {
		t.Fatalf("%d %s %v", w.StatusCode, line, err)
	}
	return lines, func() { w.Body.Close() }
}

// TestTheEndOfTheServerRefusesWhoWaits has a request wait for another one's end when the server is
// told to end.
func TestTheEndOfTheServerRefusesWhoWaits(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Limits.Grace, o.Spec.Parallel = 5*time.Minute, 1 })
	running, leave := ts.unending(t)
	type outcome struct {
		status int
		text   string
		err    error
	}
	waits := make(chan outcome, 1)
	go func() {
		w, err := ts.http.Post(ts.url+"/api/chat", "application/json",
			strings.NewReader(`{"model":"seed","messages":[{"role":"user","content":"Hello"}]}`))
		if err != nil {
			waits <- outcome{err: err}
			return
		}
		defer w.Body.Close()
		text, err := io.ReadAll(w.Body)
		waits <- outcome{w.StatusCode, string(text), err}
	}()
	eventually(t, "both are under way", func() bool { return ts.busy.Load() == 2 })
	ts.end()
	o := <-waits
	if o.err != nil || o.status != http.StatusServiceUnavailable || !strings.Contains(o.text,
		failure.ErrShutdown.Error()) {
		t.Errorf("who waited got %d %s %v", o.status, o.text, o.err)
	}
	said := failure.ErrShutdown.Error()
	for range 20 {
		line, err := running.ReadString('\n')
		if err != nil || strings.Contains(line, said) {
			t.Fatalf("the running answer goes on with %.300q %v", line, err)
		}
	}
	leave()
	if twice := said + ": " + said; strings.Contains(ts.log.String(), twice) {
		t.Errorf("the log says %q", twice)
	}
}

// TestAnAnswerGoesOnToItsEndWhenTheServerEnds tells the server to end at the first word of an
// answer.
func TestAnAnswerGoesOnToItsEndWhenTheServerEnds(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Limits.Grace = 5 * time.Minute })
	w, err := ts.http.Post(ts.url+"/api/chat", "application/json", strings.NewReader(
		`{"model":"seed","options":{"num_predict":200},"messages":[{"role":"user","content":`+
			`"Count."}],"format":`+endlessFormat+`}`))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	lines := bufio.NewReader(w.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ts.end()
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.Contains(string(rest), `"done_reason":"length"`) {
		t.Errorf("the answer ends with %.300q %v", rest[max(0, len(rest)-300):], err)
	}
}

func TestNamesOfModelsDoNotOnlyGrow(t *testing.T) {
	ts := serve(t)
	m := borrowSeed(t, ts, 0).model
	for i := range 3 * mostNames {
		key := fmt.Sprint("gone", i)
		ts.models.called(key, m)
		ts.models.cautioned(key)
	}
	if n, said := len(ts.models.inPool), len(ts.models.said); n > mostNames || said > mostNames {
		t.Errorf("%d names of models, %d of which something was said", n, said)
	}
	if len(ts.models.loaded()) != 1 {
		t.Error("the model that is loaded has lost its name")
	}
}
