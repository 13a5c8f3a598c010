// Package page is what a browser sees of a server: conversations about pictures, the models, the
// machine at work. All of it is embedded in the program, and nothing is loaded from elsewhere.
//
// The sources are in src (TypeScript, Preact); "go generate" bundles them into dist, which is
// committed, so that building needs neither Node.js nor a network. What the page asks of the server
// are the APIs of package server, and the routes below page/api/ there.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
)

//go:generate go run ./bundle -root ../..

//go:embed dist
var dist embed.FS

// policy is the Content-Security-Policy of the page: everything from this server. Pictures are
// shown from memory (blob:) and as small copies (data:).
const policy = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; frame-src 'self'; object-src 'none'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// previewPolicy is that of the frame in which a document of a model is shown: it may compute and
// look as it likes, has no origin, and reaches nothing.
const previewPolicy = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; " +
	"font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// file is one of the page's files, ready to be served.
type file struct {
	data   []byte
	kind   string // Content-Type
	tag    string // ETag
	policy string
}

var files = load()

// load reads the files of the page, by the path that they have on the server.
func load() map[string]file {
	kinds := map[string]string{
		".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".css": "text/css; charset=utf-8",
		".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
	}
	at := map[string]string{"index.html": "/", "preview.html": "/page/preview"}
	files := map[string]file{}
	entries, err := fs.ReadDir(dist, "dist")
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, e := range entries {
		data, err := dist.ReadFile("dist/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(data)
		f := file{data: data, kind: kinds[path.Ext(e.Name())],
			tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, policy: policy}
		if e.Name() == "preview.html" {
			f.policy = previewPolicy
		}
		where := at[e.Name()]
		if where == "" {
			where = "/page/" + e.Name()
		}
		files[where] = f
	}
	return files
}

// Paths lists where the files of the page are served, "/" among them.
func Paths() []string {
	var paths []string
	for p := range files {
		paths = append(paths, p)
	}
	return paths
}

// Serve answers a GET or HEAD request for one of Paths. A browser asks again each time, and is told
// in a few bytes that nothing has changed.
func Serve(w http.ResponseWriter, r *http.Request) error {
	f, ok := files[r.URL.Path]
	if !ok {
		return fmt.Errorf("page: there is no %s", r.URL.Path)
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Security-Policy", f.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, err := w.Write(f.data) // nothing of it is written for HEAD
	return err
}
