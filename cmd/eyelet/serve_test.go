package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// served is a running "eyelet serve".
type served struct {
	url  string
	http *http.Client
	cmd  *exec.Cmd
	log  <-chan string // the whole of stderr, when it has ended
}

var listening = regexp.MustCompile(`address=(\S+)`)

// startReading starts a program, and returns what it writes to the pipe that is given.
func startReading(t *testing.T, cmd *exec.Cmd, pipe func() (io.ReadCloser, error)) *bufio.Reader {
	t.Helper()
	out, err := pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(out)
}

// startServe runs the program with arguments of serve, and waits until it listens.
func startServe(t *testing.T, env []string, args ...string) *served {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	cmd := invocation{args: append([]string{"serve", "--listen", "127.0.0.1:0"}, args...),
		env: append(environment(), env...)}.command(ctx)
	lines := startReading(t, cmd, cmd.StderrPipe)
	first, at := "", []string(nil)
	for at == nil {
		line, err := lines.ReadString('\n')
		if first += line; err != nil {
			cancel()
			t.Fatalf("it does not say where it listens: %s", first)
		}
		at = listening.FindStringSubmatch(line)
	}
	log := make(chan string, 1)
	go func() {
		rest, _ := io.ReadAll(lines)
		log <- first + string(rest)
	}()
	s := &served{url: at[1], http: &http.Client{Transport: &http.Transport{}}, cmd: cmd, log: log}
	t.Cleanup(func() {
		s.http.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		text := <-s.log
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, text)
		}
		cancel()
	})
	return s
}

func (s *served) get(t *testing.T, path string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := s.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(text)
}

func TestServeAnswersOllamasClient(t *testing.T) {
	t.Parallel()
	s := startServe(t, nil, "--model", "../../models/builtin/eyelet-builtin-q8_0.gguf", "--mmproj",
		"../../models/builtin/mmproj-eyelet-builtin-q8_0.gguf", "--name", "toy:v1", "--preload",
		"toy:v1")
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	c := api.NewClient(u, s.http)
	list, err := c.List(t.Context())
	if err != nil || len(list.Models) != 2 {
		t.Errorf("%+v %v", list, err)
	}
	data, err := os.ReadFile(filepath.Join(pictures, "shape-4.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"toy:v1", "builtin"} {
		var text strings.Builder
		q := &api.ChatRequest{Model: model, Options: map[string]any{"temperature": 0},
			Messages: []api.Message{{Role: "user", Content: "What color is the background?",
				Images: []api.ImageData{data}}}}
		if err := c.Chat(t.Context(), q, func(r api.ChatResponse) error {
			text.WriteString(r.Message.Content)
			return nil
		}); err != nil ||
			text.String() != "cyan" {
			t.Errorf("%s: %q %v", model, text.String(), err)
		}
	}
}

func TestServeReadsKeysAgain(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys.txt")
	newKey := func(name string) string {
		o := eyelet(t, "serve", "key", name, "--keys", keys)
		if o.code != 0 {
			t.Fatalf("%+v", o)
		}
		return strings.TrimSpace(o.stdout)
	}
	old := newKey("old")
	s := startServe(t, nil, "--keys", keys)
	status := func(secret string) int {
		status, _ := s.get(t, "/api/tags", "X-Api-Key", secret)
		return status
	}
	hangUp := func(secret string, want int) {
		t.Helper()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if status(secret) == want {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%d, want %d", status(secret), want)
	}
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	hangUp(old, 200) // a file that cannot be read changes nothing
	young := newKey("young")
	hangUp(young, 200)
	if got := status(old); got != 401 {
		t.Errorf("the key that was taken away: %d", got)
	}
}

func TestServeWithNothingToReadAgainGoesOnAtSIGHUP(t *testing.T) {
	t.Parallel()
	s := startServe(t, nil)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if status, text := s.get(t, "/healthz"); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	// A signal that ended it would be the error of its end, which startServe's cleanup reports.
}

func TestServeDemandsKeysAndKeepsThemOutOfTheLog(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys.txt")
	var secrets []string
	for _, name := range []string{"laptop", "batch"} {
		o := eyelet(t, "serve", "key", name, "--keys", keys, "--rate", "100")
		if o.code != 0 || !strings.HasPrefix(o.stdout, "ek-") {
			t.Fatalf("%+v", o)
		}
		secrets = append(secrets, strings.TrimSpace(o.stdout))
	}
	if o := eyelet(t, "serve", "key", "laptop", "--keys", keys); o.code != cli.ExitInput {
		t.Errorf("the same name again: %+v", o)
	}
	if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	s := startServe(t, nil, "--keys", keys, "--verbose", "--log-json=false")
	for _, secret := range secrets {
		if status, text := s.get(t, "/api/tags", "Authorization", "Bearer "+secret); status != 200 {
			t.Errorf("%d %s", status, text)
		}
		if status, text := s.get(t, "/api/tags", "X-Api-Key", secret); status != 200 {
			t.Errorf("%d %s", status, text)
		}
	}
	for _, wrong := range []string{"", "Bearer ek-WRONG", "Basic " + secrets[0]} {
		if status, text := s.get(t, "/api/tags", "Authorization", wrong); status != 401 {
			t.Errorf("%q: %d %s", wrong, status, text)
		}
	}
	if status, _ := s.get(t, "/healthz"); status != 200 {
		t.Errorf("health: %d", status)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	log := <-s.log
	if !strings.Contains(log, "client=laptop") || strings.Contains(log, "WRONG") ||
		strings.Contains(log, secrets[0]) || strings.Contains(log, secrets[1]) {
		t.Errorf("the log: %s", log)
	}
	again := make(chan string, 1)
	again <- log
	s.log = again // for the clean-up
}

func TestServeTellsWhatIsWrongBeforeItListens(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "keys.txt")
	if err := os.WriteFile(empty, []byte("# none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"a projector alone", []string{"--mmproj", "a.gguf"}, cli.ExitUsage, "--model"},
		{"a model that is not there", []string{"--model", "nothing.gguf"}, cli.ExitInput,
			"nothing.gguf"},
		{"a model that is none", []string{"--model", empty}, cli.ExitInput, "not a GGUF file"},
		{"a projector that is none", []string{"--model", seedModel, "--mmproj", empty},
			cli.ExitInput, "not a GGUF file"},
		{"a folder of state that is a file", []string{"--state-dir", empty}, cli.ExitInput,
			"--state-dir " + empty + ": not a directory"},
		{"a certificate alone", []string{"--tls-cert", "a.pem"}, cli.ExitUsage, "--tls-key"},
		{"a certificate that is not there", []string{"--tls-cert", "a.pem", "--tls-key", "b.pem"},
			cli.ExitInput, "a.pem"},
		{"no keys", []string{"--keys", empty}, cli.ExitInput, "holds no key"},
		{"a host that is none", []string{"--allow-host", "http://a"}, cli.ExitUsage,
			`eyelet: "http://a" is no name`},
		{"an origin that is none", []string{"--allow-origin", "a"}, cli.ExitUsage,
			`eyelet: "a" is no origin`},
		{"a size that is none", []string{"--max-body", "much"}, cli.ExitUsage, "--max-body"},
		{"an address in use", []string{"--listen", taken.Addr().String()}, cli.ExitFailure,
			"--listen"},
		{"a folder that is not there", []string{"--models-dir", "/nonexistent"}, cli.ExitInput,
			"/nonexistent"},
		{"a folder of batches that is a file", []string{"--batches", empty}, cli.ExitInput,
			"--batches " + empty + ": not a directory"},
		{"no parallel requests", []string{"--parallel", "0"}, cli.ExitUsage, "--parallel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := eyelet(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, c.args...)...)
			if o.code != c.code || !strings.Contains(o.stderr, c.says) {
				t.Errorf("%+v, want %d and %q", o, c.code, c.says)
			}
		})
	}
}

func TestServeTakesASocketOfSystemd(t *testing.T) {
	t.Parallel()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Systemd sets LISTEN_PID to the process that gets the sockets, which only a shell that becomes
	// it can know.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c",
		`LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --listen 127.0.0.1:1`, program)
	cmd.Env, cmd.ExtraFiles = environment(), []*os.File{f}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := served{url: "http://" + l.Addr().String(),
		http: &http.Client{Transport: &http.Transport{}}}
	status, text := s.get(t, "/api/version") // waits in the socket until the program accepts
	var v struct{ Version string }
	if status != 200 || json.Unmarshal([]byte(text), &v) != nil || v.Version == "" {
		t.Errorf("%d %s", status, text)
	}
	s.http.CloseIdleConnections()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, stderr.String())
	}
}
