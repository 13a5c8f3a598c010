package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
)

func TestMirrorsOfASite(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	a, dir := newMachine(t), t.TempDir()
	a.must(t, "import", seedModel, "--mmproj", seedProjector, "--name", "team/seed:q8")
	mirror := filepath.Join(dir, "mirror")
	for range 2 { // the second time it is there
		a.must(t, "push", "team/seed:q8", "--to", mirror)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(mirror)))
	defer server.Close()
	for _, from := range []string{mirror, server.URL, server.URL + "/"} {
		b := newMachine(t)
		b.must(t, "pull", "team/seed:q8", "--from", from, "--name", "seed")
		b.eyelet(t, "run", "seed", "--image", circle, circleQuestion).mustSay(t, "orange")
		if got, want := b.list(t)["seed:latest"].Digest,
			a.list(t)["team/seed:q8"].Digest; got != want {
			t.Errorf("%s: %s, want %s", from, got, want)
		}
	}
}

func TestMistakesWithRegistriesAreExplained(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	m := newMachine(t)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	m.must(t, "import", seedModel, "--name", "seed")
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "names no registry", []string{"pull", "llava:7b"}},
		{2, "names no registry", []string{"push", "seed", "team/seed"}},
		{2, "REFERENCE is missing", []string{"pull"}},
		{2, "REFERENCE is missing", []string{"push", "seed"}},
		{2, "folder", []string{"push", "seed", "--to", server.URL}},
		{3, "none", []string{"push", "none", "localhost:1/x"}},
		{3, "check the path", []string{"pull", "seed", "--from", filepath.Join(m.home, "none")}},
		{3, "no such model", []string{"pull", "seed", "--from", server.URL}},
		{3, "shows the models there", []string{"pull", "none", "--from", m.store()}},
		{1, "connection refused", []string{"pull", "seed", "--from", closed.URL}},
		{1, "connection refused", []string{"push", "seed", closed.URL[len("http://"):] + "/seed",
			"--plain-http"}},
		{3, "none.pem", []string{"pull", "host.site/seed", "--ca-file", "none.pem"}},
		{2, "UPPER", []string{"pull", "host.site/UPPER"}},
	} {
		t.Run(c.args[0]+" "+c.want, func(t *testing.T) {
			m.eyelet(t, c.args...).mustFail(t, c.code, c.want)
		})
	}
}
