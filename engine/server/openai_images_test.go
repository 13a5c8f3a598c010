package server

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/models/diffusion/diffusiontest"
	"github.com/eyelet-engine/eyelet/models/store"
)

// drawingServer is a server that has the model "tiny", which is recognized as one that draws.
func drawingServer(t *testing.T) *testServer {
	t.Helper()
	ts := serve(t)
	path := filepath.Join(t.TempDir(), "tiny.safetensors")
	if err := diffusiontest.WriteTiny(path); err != nil {
		t.Fatal(err)
	}
	name, err := store.ParseName("tiny")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ts.store.Import(t.Context(), name, store.Files{Model: path}, false,
		nil); err != nil {
		t.Fatal(err)
	}
	return ts
}

// noProgram takes away what draws.
func noProgram(t *testing.T) {
	t.Helper()
	t.Setenv("EYELET_DRAW", "")
	t.Setenv("PATH", t.TempDir())
}

// fakeProgram stands in for the program: it says that it was asked, in a file, and gives a picture
// of one pixel. What the real one does is the matter of engine/draw's tests.
func fakeProgram(t *testing.T, body string) (asked string) {
	t.Helper()
	dir := t.TempDir()
	asked = filepath.Join(dir, "asked")
	var pixel bytes.Buffer
	if err := png.Encode(&pixel, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(dir, "pixel.png")
	if err := os.WriteFile(picture, pixel.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n" +
		"if [ \"$1\" = --version ]; then echo stable-diffusion.cpp version test; exit; fi\n" +
		"printf '%s\\n' \"$@\" >'" + asked + "'\n" + body +
		"\nfor n in 0 1 2; do cp '" + picture + "' out-$n.png; done\n"
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil { //nolint:gosec // a program is executable
		t.Fatal(err)
	}
	t.Setenv("EYELET_DRAW", program)
	return asked
}

func (ts *testServer) generate(t *testing.T, body string) httpReply {
	t.Helper()
	return ts.postAs(t, "/v1/images/generations", "application/json", body)
}

// form writes a form.
func form(t *testing.T, fields map[string]string, files map[string][]byte) (body, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range fields {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range files {
		part, err := w.CreateFormFile(name, name+".png")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// postAs posts a body of a type.
func (ts *testServer) postAs(t *testing.T, path, kind, body string) httpReply {
	t.Helper()
	return ts.do(t, http.MethodPost, path, body, "Content-Type", kind)
}

func TestWhatCannotBeDrawnIsRefused(t *testing.T) {
	noProgram(t)
	ts := drawingServer(t)
	for body, c := range map[string]struct {
		status int
		words  string
	}{
		`{"model": "tiny", "prompt": "x"}`: {http.StatusNotImplemented,
			"scripts/setup --draw"},
		`{"model": "seed", "prompt": "x"}`: {http.StatusBadRequest,
			"draws no pictures"},
		`{"model": "none", "prompt": "x"}`: {http.StatusNotFound,
			"not found"},
		`{"model": "tiny"}`: {http.StatusBadRequest,
			"prompt"},
		`{"model": "tiny", "prompt": "x", "response_format": "url"}`: {http.StatusBadRequest,
			"b64_json"},
		`{"model": "tiny", "prompt": "x", "output_format": "jpeg"}`: {http.StatusBadRequest,
			"png"},
		`{"model": "tiny", "prompt": "x", "stream": true}`: {http.StatusBadRequest,
			"stream"},
		`{"model": "tiny", "prompt": "x", "background":"transparent"}`: {http.StatusBadRequest,
			"transparent"},
		`{"model": "tiny", "prompt": "x", "n": 11}`: {http.StatusBadRequest,
			"n is 11"},
		`{"model": "tiny", "prompt": "x", "size": "100"}`: {http.StatusBadRequest,
			"512x512"},
		`{"model": "tiny", "prompt": "x", "size": "99999x99999"}`: {http.StatusBadRequest,
			"sides"},
		`{"model": "tiny", "prompt": "x", "size": "100000x100000"}`: {http.StatusBadRequest,
			"sides go from 64 to 4096"},
		`{"model": "tiny", "prompt": "x", "size": "64x99999999999999999999"}`: {
			http.StatusBadRequest, "sides go to 4096"},
		`{"model": "tiny", "prompt": "x", "size": "-64x-64"}`: {http.StatusBadRequest,
			"size"},
		`{"model": "tiny", "prompt": "x", "steps": 100000}`: {http.StatusBadRequest,
			"steps"},
		`{"model": "tiny", "prompt": "x", "seed": -1}`: {http.StatusBadRequest,
			"seed"},
		`{"model": "tiny", "prompt": "x", "strength": 0.5}`: {http.StatusBadRequest,
			"edits"},
		`{"model": "tiny", "prompt": "a\u0000b"}`: {http.StatusBadRequest,
			"UTF-8"},
	} {
		if reply := ts.generate(t, body); reply.status != c.status || !strings.Contains(reply.text,
			c.words) {
			t.Errorf("%s: %d %s", body, reply.status, reply.text)
		}
	}
	// A model that draws does not answer, in any API.
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}`,
		"/v1/completions":      `{"model": "tiny", "prompt": "hi"}`,
		"/v1/embeddings":       `{"model": "tiny", "input": "hi"}`,
		"/v1/responses":        `{"model": "tiny", "input": "hi"}`,
		"/v1/messages":         `{"model": "tiny", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}`,
		"/api/chat":            `{"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}`,
		"/api/generate":        `{"model": "tiny", "prompt": "hi"}`,
		"/api/embed":           `{"model": "tiny", "input": "hi"}`,
	} {
		if reply := ts.postAs(t, path, "application/json", body); reply.status !=
			http.StatusBadRequest || !strings.Contains(reply.text, "draws pictures") {
			t.Errorf("%s: %d %s", path, reply.status, reply.text)
		}
	}
}

func TestModelsThatDrawAreListed(t *testing.T) {
	ts := drawingServer(t)
	list, err := ts.client(t).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, m := range list.Models {
		found = found || m.Name == "tiny:latest" && m.Details.Family == "sd1" &&
			m.Details.Format == "safetensors"
	}
	if !found {
		t.Errorf("%+v", list.Models)
	}
	show, err := ts.client(t).Show(t.Context(), &api.ShowRequest{Model: "tiny"})
	if err != nil || len(show.Capabilities) != 1 || show.Capabilities[0] != "image" {
		t.Errorf("%+v, %v", show, err)
	}
	if err := ts.client(t).Copy(t.Context(), &api.CopyRequest{Source: "tiny",
		Destination: "other"}); err != nil {
		t.Error(err)
	}
	if err := ts.client(t).Delete(t.Context(), &api.DeleteRequest{Model: "other"}); err != nil {
		t.Error(err)
	}
	if reply := ts.do(t, http.MethodGet, "/page/api/models", ""); reply.status != http.StatusOK ||
		!strings.Contains(reply.text, `"draws":true,"side":512,"multiple":64`) {
		t.Errorf("%d %s", reply.status, reply.text)
	}
}

// TestChildrenOfTheServer: one at a time, killed when the client goes away, counted while they run,
// and a failure is that of its request.
func TestChildrenOfTheServer(t *testing.T) {
	asked := fakeProgram(t, "sleep 600")
	ts := drawingServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gone := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, ts.url+"/v1/images/generations",
			strings.NewReader(`{"prompt": "x", "size": "64x64"}`))
		if err != nil {
			gone <- err
			return
		}
		answer, err := ts.http.Do(r)
		if err == nil {
			answer.Body.Close()
		}
		gone <- err
	}()
	eventually(t, "a child is asked", func() bool {
		data, _ := os.ReadFile(asked)
		return len(data) > 0
	})
	if reply := ts.do(t, http.MethodGet, "/api/ps", ""); !strings.Contains(reply.text,
		"tiny:latest") {
		t.Errorf("its memory is not counted: %s", reply.text)
	}
	cancel()
	if err := <-gone; err == nil {
		t.Error("a request that was given up was answered")
	}
	ts.idle(t)
	fakeProgram(t, "echo '[ERROR] x.cpp:1 - out of luck' >&2; exit 1")
	if reply := ts.generate(t, `{"prompt": "x", "size": "64x64"}`); reply.status !=
		http.StatusInternalServerError || !strings.Contains(reply.text, "out of luck") {
		t.Errorf("%d %s", reply.status, reply.text)
	}
	fakeProgram(t, "")
	if reply := ts.generate(t, `{"prompt": "x", "size": "64x64"}`); reply.status != http.StatusOK {
		t.Errorf("%d %s", reply.status, reply.text)
	}
}

// residentProgram stands in for the program that keeps a model loaded, beside the other one: each
// of its processes adds a line to a file.
func residentProgram(t *testing.T) (started string) {
	t.Helper()
	fakeProgram(t, "echo 'a child for one picture' >&2; exit 1")
	dir := filepath.Dir(os.Getenv("EYELET_DRAW"))
	started = filepath.Join(dir, "started")
	script := `#!/bin/sh
if [ "$1" = --version ]; then echo stable-diffusion.cpp version test; exit; fi
echo $$ >>'` + started + `'
number() { dd bs=1 count=4 2>/dev/null | od -An -tu4 | tr -d ' '; }
string() { n=$(number); [ "$n" = 0 ] || dd bs=1 count="$n" 2>/dev/null; }
while count=$(number); [ -n "$count" ]; do
  folder=$(string)
  while [ "$count" -gt 1 ]; do text=$(string); count=$((count - 1)); [ "$text" != die ] || kill -9 $$; done
  cp '` + dir + `/pixel.png' "$folder/out-0.png"
  printf 1 >&3
done
`
	if err := os.WriteFile(filepath.Join(dir, "sd-resident"), []byte(script), 0o700); err != nil { //nolint:gosec // a program is executable
		t.Fatal(err)
	}
	return started
}

// TestAChildStaysBetweenPictures: loaded once, listed while it waits, gone when it is unloaded, and
// replaced when it was killed.
func TestAChildStaysBetweenPictures(t *testing.T) {
	started := residentProgram(t)
	ts := drawingServer(t)
	draw := func(prompt string, status int) {
		t.Helper()
		if reply := ts.generate(t, `{"prompt": "`+prompt+`", "size": "64x64"}`); reply.status !=
			status {
			t.Errorf("%d %s", reply.status, reply.text)
		}
	}
	processes := func(n int) {
		t.Helper()
		if data, err := os.ReadFile(started); err != nil || strings.Count(string(data), "\n") != n {
			t.Errorf("%q is not %d processes, %v", data, n, err)
		}
	}
	draw("x", http.StatusOK)
	draw("x", http.StatusOK)
	processes(1)
	if reply := ts.do(t, http.MethodGet, "/api/ps", ""); !strings.Contains(reply.text,
		"tiny:latest") || !strings.Contains(reply.text, `"expires_at":"2`) {
		t.Errorf("a child that waits is not listed: %s", reply.text)
	}
	draw("die", http.StatusInternalServerError)
	draw("x", http.StatusOK)
	processes(2)
	for _, l := range ts.pool.List() {
		if err := ts.pool.Unload(l.Name); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all are unloaded", func() bool { return len(ts.pool.List()) == 0 })
	draw("x", http.StatusOK)
	processes(3)
}

func FuzzEditForm(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n2\r\n--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x\"\r\n\r\nxyz\r\n--b--\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		q, files, err := editForm(multipart.NewReader(bytes.NewReader(data), "b"), 1<<16)
		if err != nil {
			return
		}
		for name, file := range files {
			if len(file) == 0 || len(file) > 1<<16 {
				t.Errorf("%s has %d bytes", name, len(file))
			}
		}
		_, _ = q.Request(files["image"], nil)
	})
}
