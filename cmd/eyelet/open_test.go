package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

func TestOpenStartsAServerOnceAndThenFindsIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first := invocation{args: []string{"open", "--no-browser", "--listen", at},
		env: environment()}.command(ctx)
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := "http://" + at + "/\n"; err != nil || line != want {
		t.Fatalf("open prints %q (%v), want %q", line, err, want)
	}
	if got := root(t, at, "text/html,*/*"); !strings.Contains(got, "<title>Eyelet</title>") {
		t.Errorf("a browser gets %q", got)
	}
	if got := root(t, at, "*/*"); got != "Ollama is running" {
		t.Errorf("a program gets %q", got)
	}
	second := invocation{args: []string{"open", "--no-browser", "--listen", at}}.run(t)
	if second.code != 0 || second.stdout != "http://"+at+"/\n" {
		t.Errorf("a second open exits with %d and prints %q: %s", second.code, second.stdout,
			second.stderr)
	}
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
}

// root is what a server says at its root to a client that accepts something.
func root(t *testing.T, at, accept string) string {
	t.Helper()
	var body []byte
	for range 100 { // the address is printed when the server listens, a moment before it answers
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			continue
		}
		body, _ = io.ReadAll(answer.Body)
		answer.Body.Close()
		break
	}
	return string(body)
}

func TestOpenRefusesAnotherProgram(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	r := invocation{args: []string{"open", "--no-browser", "--listen", strings.TrimPrefix(other.URL,
		"http://")}}.run(t)
	if r.code != 1 || !strings.Contains(r.stderr, "another program answers") {
		t.Errorf("open exits with %d: %s", r.code, r.stderr)
	}
	r = invocation{args: []string{"open", "--listen", "unix:/nowhere"}}.run(t)
	if r.code != 2 || !strings.Contains(r.stderr, "browsers do not open sockets") {
		t.Errorf("open exits with %d: %s", r.code, r.stderr)
	}
}
