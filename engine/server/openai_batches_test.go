package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wire "github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// batchLines are n requests in OpenAI's format whose answers do not end by themselves, so that each
// has tokens; with bad, one that asks nothing and one of a model that is not there besides.
func batchLines(n int, bad bool) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"custom_id": "request-%d", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "seed", "max_tokens": 4, "logit_bias": {"2": -100}, "messages": [{"role": "user", "content": "What is %d?"}]}}`+"\n", i, i)
	}
	if bad {
		b.WriteString(`{"custom_id": "bad", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "seed", "messages": []}}` + "\n")
		b.WriteString(`{"custom_id": "none", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "no-such", "messages": [{"role": "user", "content": "Hi"}]}}` + "\n")
	}
	return b.String()
}

func withBatches(dir string) func(*Options) { return func(o *Options) { o.Batches = dir } }

// input uploads the lines of a batch, and returns the file's id.
func (ts *testServer) input(t *testing.T, lines string) string {
	t.Helper()
	body, kind := form(t, map[string]string{"purpose": "batch"}, map[string][]byte{
		"file": []byte(lines)})
	r := ts.postAs(t, "/v1/files", kind, body)
	var f wire.FileObject
	if err := json.Unmarshal([]byte(r.text), &f); err != nil || r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.text)
	}
	return f.ID
}

// batch sends a request that is answered with a batch.
func (ts *testServer) batch(t *testing.T, method, path, body string) (b wire.Batch) {
	t.Helper()
	r := ts.do(t, method, "/v1/batches"+path, body)
	if err := json.Unmarshal([]byte(r.text), &b); err != nil || r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.text)
	}
	return b
}

// begin begins a batch of n requests, and returns its id.
func (ts *testServer) begin(t *testing.T, n int) string {
	t.Helper()
	return ts.batch(t, http.MethodPost, "", fmt.Sprintf(`{"input_file_id": %q,
		"endpoint": "/v1/chat/completions", "completion_window": "24h"}`,
		ts.input(t, batchLines(n, false)))).ID
}

// polled polls a batch as clients do, until it has a status.
func (ts *testServer) polled(t *testing.T, id, status string) (b wire.Batch) {
	t.Helper()
	eventually(t, "the batch is "+status, func() bool {
		b = ts.batch(t, http.MethodGet, "/"+id, "")
		return b.Status == status
	})
	return b
}

// A batch goes on after the server ends, and a client may cancel it.
func TestBatchesGoOnAndAreCancelled(t *testing.T) {
	dir := t.TempDir()
	first := serve(t, withBatches(dir))
	goesOn := first.begin(t, 40)
	for first.batch(t, http.MethodGet, "/"+goesOn, "").Counts.Completed <= 5 {
		time.Sleep(5 * time.Millisecond)
	}
	first.end()
	if err := <-first.ended; err != nil {
		t.Fatal(err)
	}
	first.ended <- nil // for the end of the test
	second := serve(t, withBatches(dir))
	cancelled := second.begin(t, 500)
	b := second.batch(t, http.MethodPost, "/"+cancelled+"/cancel", "")
	if b.Status != "cancelling" && b.Status != "cancelled" || b.Cancelling == nil {
		t.Errorf("%+v", b)
	}
	if b = second.polled(t, cancelled, "cancelled"); b.Cancelled == nil {
		t.Errorf("%+v", b)
	}
	b = second.polled(t, goesOn, "completed")
	if b.Counts.Completed != 40 || b.Output == nil || b.ErrorFile != nil {
		t.Fatalf("%+v", b)
	}
	names := map[string]bool{}
	r := second.do(t, http.MethodGet, "/v1/files/"+*b.Output+"/content", "")
	for line := range strings.Lines(r.text) {
		var v struct {
			Name string `json:"custom_id"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || names[v.Name] {
			t.Errorf("%v: %s", err, line)
		}
		names[v.Name] = true
	}
	if r.status != http.StatusOK || len(names) != 40 {
		t.Errorf("%d: %d answers", r.status, len(names))
	}
}

func TestServersWithoutBatchesSaySo(t *testing.T) {
	ts := serve(t)
	r, err := ts.http.Get(ts.url + "/v1/batches")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusNotImplemented {
		t.Error(r.StatusCode)
	}
}

// Files and batches are those of the key that made them.
func TestBatchesBelongToTheirKeys(t *testing.T) {
	b := newBatches(nil, t.TempDir())
	if _, err := b.ready(); err != nil {
		t.Fatal(err)
	}
	if err := b.addFile(&wire.FileObject{ID: "file-a", Owner: "anna"}); err != nil {
		t.Fatal(err)
	}
	if b.file("file-a", "anna") == nil || b.file("file-a", "") != nil ||
		b.file("file-a", "ben") != nil || len(b.filesOf("ben")) != 0 {
		t.Error("others see the file")
	}
}

// A batch whose results cannot be written, as on a full disk, is finished as soon as they can.
func TestABatchWaitsForItsDisk(t *testing.T) {
	dir := t.TempDir()
	ts := serve(t, withBatches(dir))
	ts.batches.pause = time.Millisecond
	id := ts.begin(t, 50)
	output := "file-" + strings.TrimPrefix(id, "batch_") + "output"
	place := filepath.Join(dir, "files", output)
	if err := os.Mkdir(place, 0o700); err != nil { // where the results are to be
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool {
		return strings.Contains(ts.log.String(), "a batch waits")
	})
	ts.polled(t, id, wire.BatchFinalizing)
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	ts.polled(t, id, wire.BatchCompleted)
	if data, err := os.ReadFile(place); err != nil || strings.Count(string(data), "\n") != 50 {
		t.Errorf("%q, %v", data, err)
	}
}

// What a server that was killed left of an upload goes after a day.
func TestRestsOfUploadsGo(t *testing.T) {
	dir := t.TempDir()
	rest := func(name string, age time.Duration) string {
		path := filepath.Join(dir, "files", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, young := rest(".file-a.tmp", 25*time.Hour), rest("file-b", time.Hour)
	ts := serve(t, withBatches(dir))
	uploaded := ts.input(t, batchLines(1, false))
	for path, stays := range map[string]bool{old: false, young: true,
		filepath.Join(dir, "files", uploaded): true} {
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s: %v", path, err)
		}
	}
}
