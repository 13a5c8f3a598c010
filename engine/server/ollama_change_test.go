package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ollama/ollama/api"
)

func readFile(t testing.TB, path string) (data []byte, digest string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return data, "sha256:" + hex.EncodeToString(sum[:])
}

// upload sends a file with Ollama's client.
func upload(t testing.TB, c *api.Client, path string) string {
	t.Helper()
	data, digest := readFile(t, path)
	if err := c.CreateBlob(t.Context(), digest, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return digest
}

func statusOf(err error) int {
	if s, ok := errors.AsType[api.StatusError](err); ok {
		return s.StatusCode
	}
	return 0
}

func TestAModelIsMadeCopiedAskedAndDeleted(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	files := map[string]string{"model.gguf": upload(t, c, seedModel), "mmproj.gguf": upload(t, c,
		seedProjector)}
	var said []string
	say := func(p api.ProgressResponse) error { said = append(said, p.Status); return nil }
	q := &api.CreateRequest{Model: "made:v1", Files: files, System: "Be brief.",
		Parameters: map[string]any{"temperature": 0.0, "stop": []string{"circle"}}, License: "MIT"}
	if err := c.Create(t.Context(), q, say); err != nil || len(said) < 2 ||
		said[len(said)-1] != "success" {
		t.Fatalf("%v %v", said, err)
	}
	show, err := c.Show(t.Context(), &api.ShowRequest{Model: "made:v1"})
	if err != nil || show.System != "Be brief." || show.License != "MIT" ||
		!strings.Contains(show.Parameters, `stop`) || show.ProjectorInfo == nil ||
		show.Details.Family != "llama" {
		t.Errorf("%+v %v", show, err)
	}
	ask := func(name string) string {
		text, _, err := chat(t, c, &api.ChatRequest{Model: name,
			Options: map[string]any{"repeat_penalty": 1},
			Messages: []api.Message{look(picture(t, "shape-4.png"),
				"What is in this picture?")}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return text
	}
	if text := ask("made:v1"); !strings.HasPrefix(text, "an") || strings.Contains(text, "circle") {
		t.Errorf("the model's own parameters: %q", text)
	}
	no := false
	if err := c.Create(t.Context(), &api.CreateRequest{Model: "other", From: "made:v1",
		System: "Be long.", Stream: &no}, say); err != nil {
		t.Error(err)
	}
	if show, err := c.Show(t.Context(), &api.ShowRequest{Model: "other"}); err != nil ||
		show.System != "Be long." || show.ProjectorInfo == nil || show.License != "MIT" {
		t.Errorf("from another: %+v %v", show, err)
	}
	if err := c.Copy(t.Context(), &api.CopyRequest{Source: "made:v1", Destination: "copy"}); err !=
		nil {
		t.Error(err)
	}
	for _, name := range []string{"made:v1", "other"} {
		if err := c.Delete(t.Context(), &api.DeleteRequest{Model: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Show(t.Context(), &api.ShowRequest{Model: "made:v1"}); statusOf(err) != 404 {
		t.Errorf("after its end: %v", err)
	}
	if text := ask("copy"); text == "" {
		t.Error("the copy answers nothing")
	}
	if err := c.Delete(t.Context(), &api.DeleteRequest{Model: "copy"}); err != nil {
		t.Error(err)
	}
	if blobs, err := filepath.Glob(filepath.Join(ts.store.Root(), "blobs", "*")); err != nil ||
		len(blobs) != 0 {
		t.Errorf("blobs that nothing needs: %v %v", blobs, err)
	}
}

func TestABlobIsSeenOnceItIsWhole(t *testing.T) {
	ts := serve(t, func(o *Options) {
		o.Limits.Blob, o.Limits.ReadTime = 8<<20, 300*time.Millisecond
	})
	data, digest := readFile(t, seedProjector)
	leftovers := func() (names []string) {
		for _, dir := range []string{"blobs", "partial"} {
			list, err := filepath.Glob(filepath.Join(ts.store.Root(), dir, "*"))
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, list...)
		}
		return names
	}
	head := func() int { return ts.do(t, "HEAD", "/api/blobs/"+digest, "").status }
	if got := head(); got != 404 {
		t.Errorf("before: %d", got)
	}
	for _, c := range []struct {
		name, path, body string
		status           int
	}{
		{"other bytes", digest, "other bytes", 400},
		{"half of it", digest, string(data[:len(data)/2]), 400},
		{"no digest", "sha256:abc", "a", 400},
		{"a digest that climbs", "sha256-..%2f..%2f..%2fetc%2fpasswd", "a", 400},
		{"too much", digest, strings.Repeat("x", 9<<20), 413},
	} {
		if r := ts.do(t, "POST", "/api/blobs/"+c.path, c.body); r.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, r.status, r.text, c.status)
		}
	}
	interrupted(t, ts, digest, data, true)
	interrupted(t, ts, digest, data, false)
	if left := leftovers(); len(left) != 0 || head() != 404 {
		t.Errorf("left: %v", left)
	}
	upload(t, ts.client(t), seedProjector)
	if got := head(); got != 200 {
		t.Errorf("after: %d", got)
	}
	if left := leftovers(); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// interrupted sends half of a blob, and then hangs up, or waits until the server does.
func interrupted(t *testing.T, ts *testServer, digest string, data []byte, hangUp bool) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(ts.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /api/blobs/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
		digest, len(data))
	if _, err := c.Write(data[:len(data)/2]); err != nil {
		t.Fatal(err)
	}
	if !hangUp {
		buf := make([]byte, 64)
		if n, err := c.Read(buf); err != nil || !strings.Contains(string(buf[:n]), "408") {
			t.Errorf("a client that stalls: %q %v", buf[:n], err)
		}
		return
	}
	c.Close()
	eventually(t, "the upload ends", func() bool { return ts.busy.Load() == 0 })
}

func TestBadChanges(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	projector := upload(t, c, seedProjector)
	text := "sha256:" + hex.EncodeToString(func() []byte {
		s := sha256.Sum256([]byte("no model"))
		return s[:]
	}())
	if err := c.CreateBlob(t.Context(), text, strings.NewReader("no model")); err != nil {
		t.Fatal(err)
	}
	no := false
	for name, q := range map[string]*api.CreateRequest{
		"no name":                   {Files: map[string]string{"a": projector}},
		"a name that climbs":        {Model: "../a", Files: map[string]string{"a": projector}},
		"the built-in model's name": {Model: "builtin", From: "seed"},
		"nothing to make it of":     {Model: "a"},
		"a blob that is not here": {Model: "a", Files: map[string]string{"a": "sha256:" +
			strings.Repeat("0", 64)}},
		"no digest":               {Model: "a", Files: map[string]string{"a": "/etc/passwd"}},
		"a file that climbs":      {Model: "a", Files: map[string]string{"../a": projector}},
		"a projector alone":       {Model: "a", Files: map[string]string{"a": projector}},
		"a file that is no model": {Model: "a", Files: map[string]string{"a": text}},
		// a projector is no language model,
		"quantizing": {Model: "a", Files: map[string]string{"a": projector},
			Quantize: "q4_0"},
		"a parameter of no meaning": {Model: "a", Files: map[string]string{"a": projector},
			Parameters: map[string]any{"top_p": "x"}},
	} {
		q.Stream = &no
		if err := c.Create(t.Context(), q, func(api.ProgressResponse) error {
			return nil
		}); err == nil || statusOf(err) < 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for says, x := range map[string][3]string{
		"model is missing":       {"POST", "/api/create", `{"from":"seed"}`},
		"model is missing: the ": {"DELETE", "/api/delete", `{}`},
		"source is missing":      {"POST", "/api/copy", `{"destination":"b"}`},
		"destination is missing": {"POST", "/api/copy", `{"source":"seed"}`},
	} {
		if r := ts.do(t, x[0], x[1], x[2]); r.status != 400 || !strings.Contains(r.text, says) {
			t.Errorf("%v: %d %s", x, r.status, r.text)
		}
	}
	for name, err := range map[string]error{
		"deleting what is not there": c.Delete(t.Context(),
			&api.DeleteRequest{Model: "nothing"}),
		"deleting the operator's model": c.Delete(t.Context(), &api.DeleteRequest{Model: "seed"}),
		"deleting a path": c.Delete(t.Context(),
			&api.DeleteRequest{Model: "../../x"}),
		"copying what is not there": c.Copy(t.Context(), &api.CopyRequest{Source: "nothing",
			Destination: "b"}),
		"copying to a name that climbs": c.Copy(t.Context(), &api.CopyRequest{Source: "seed",
			Destination: "../b"}),
		"pulling": c.Pull(t.Context(), &api.PullRequest{Model: "llava"},
			func(api.ProgressResponse) error { return nil }),
		"pushing": c.Push(t.Context(), &api.PushRequest{Model: "seed"},
			func(api.ProgressResponse) error { return nil }),
	} {
		if statusOf(err) < 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAReadOnlyServerChangesNothing(t *testing.T) {
	ts := serve(t, func(o *Options) { o.ReadOnly = true })
	_, digest := readFile(t, seedProjector)
	for _, c := range [][3]string{
		{"POST", "/api/blobs/" + digest, "x"},
		{"POST", "/api/create", `{"model":"a","from":"seed"}`},
		{"POST", "/api/copy", `{"source":"a","destination":"b"}`}, {"DELETE", "/api/delete",
			`{"model":"seed"}`},
	} {
		if r := ts.do(t, c[0], c[1], c[2]); r.status != 403 {
			t.Errorf("%v: %d %s", c, r.status, r.text)
		}
	}
}
