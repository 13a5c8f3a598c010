package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// site is a queue and its workers, as processes that can be killed at any moment and are started
// again.
type site struct {
	t       *testing.T
	address string
	start   map[string]func() *exec.Cmd
	running map[string]*exec.Cmd
}

func newSite(t *testing.T) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, address: l.Addr().String(), start: map[string]func() *exec.Cmd{},
		running: map[string]*exec.Cmd{}}
	l.Close()
	t.Cleanup(func() {
		for name := range s.running {
			s.kill(name)
		}
	})
	return s
}

func (s *site) url() string { return "nats://" + s.address }

// add starts a process that kill ends and again starts anew.
func (s *site) add(name string, args ...string) {
	s.start[name] = func() *exec.Cmd {
		cmd := invocation{args: args}.command(s.t.Context())
		cmd.Stderr = &bytes.Buffer{}
		return cmd
	}
	s.again(name)
}

func (s *site) again(name string) {
	s.t.Helper()
	cmd := s.start[name]()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.running[name] = cmd
}

// kill ends a process as kill -9 does.
func (s *site) kill(name string) {
	cmd := s.running[name]
	delete(s.running, name)
	if cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func TestWorkersCarryOutABatch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	store := t.TempDir()
	s.add("queue", "queue", "--store", store, "--listen", s.address)
	s.add("worker", "worker", "--nats", s.url(), "-t", "1")
	dir := t.TempDir()
	writeFile(t, dir+"/a.png", readFile(t, orange))
	writeFile(t, dir+"/b.png", readFile(t, pinkStar))
	out := filepath.Join(t.TempDir(), "out.csv")
	for try := 0; ; try++ { // until the queue is there
		o := eyelet(t, "batch", dir, "-o", out, "--prompt", background, "--nats", s.url(), "-q")
		if o.code == 0 {
			break
		}
		if try == 50 {
			t.Fatalf("%+v", o)
		}
		time.Sleep(200 * time.Millisecond)
	}
	if text := readFile(t, out); !strings.Contains(text, "a.png,cyan,") ||
		!strings.Contains(text, "b.png,pink,") {
		t.Errorf("%s", text)
	}
	eyelet(t, "queue", "--store", store, "--listen", "127.0.0.1:0").mustFail(t, 3,
		"in use by another program")
	eyelet(t, "queue", "--store", t.TempDir(), "--listen", s.address).mustFail(t, 1,
		"address already in use")
	// Paths are refused where the worker was given no folder.
	o := eyelet(t, "batch", dir, "-o", out, "--prompt", background, "--nats", s.url(), "--by-path",
		"--force", "-q", "--retry", "1")
	o.mustFail(t, 3, "2 of 2 could not be answered (the first: a.png: the worker",
		".failures.jsonl says why; the same command")
	if text := readFile(t, out+".failures.jsonl"); !strings.Contains(text, "--folder") {
		t.Errorf("%s", text)
	}
}

// A worker brings the model that a batch wants from a mirror of the site, if its digest is the one
// that is wanted.
func TestAWorkerBringsTheModelOfABatch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("queue", "queue", "--store", t.TempDir(), "--listen", s.address)
	asks, other := newMachine(t), newMachine(t)
	asks.must(t, "import", seedModel, "--mmproj", seedProjector, "--name", "seed")
	other.must(t, "import", seedModel, "--name", "seed") // another model of this name
	wrong, right := filepath.Join(t.TempDir(), "wrong"), filepath.Join(t.TempDir(), "right")
	other.must(t, "push", "seed", "--to", wrong)
	asks.must(t, "push", "seed", "--to", right)
	logs := t.TempDir()
	start := func(name string, m *computer, args ...string) (log string) {
		log = filepath.Join(logs, name)
		f, err := os.Create(log)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd := invocation{args: args, env: m.env}.command(t.Context())
		cmd.Stderr = f
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s.running[name] = cmd
		return log
	}
	worker := func(name, mirror string) (log string) {
		server := httptest.NewServer(http.FileServer(http.Dir(mirror)))
		t.Cleanup(server.Close)
		return start(name, newMachine(t), "worker", "--nats", s.url(), "-t", "1", "--pull",
			server.URL)
	}
	until := func(log, words string) {
		t.Helper()
		for range 3000 {
			if data, _ := os.ReadFile(log); strings.Contains(string(data), words) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("it does not say %q: %s", words, readFile(t, log))
	}
	failed := worker("wrong", wrong)
	until(failed, "working for the queue")
	out := filepath.Join(t.TempDir(), "out.csv")
	start("batch", asks, "batch", circle, "-o", out, "--prompt", circleQuestion, "--model", "seed",
		"--nats", s.url())
	until(failed, "cannot be brought: ")
	until(failed, " is wanted")
	until(worker("right", right), "is here now")
	if err := s.running["batch"].Wait(); err != nil {
		t.Error(err)
	}
	delete(s.running, "batch")
	if text := readFile(t, out); !strings.Contains(text, "orange") {
		t.Errorf("%s", text)
	}
}

// roundsOfKilling begins a test in which processes are killed: how often, and over how many items.
func roundsOfKilling(t *testing.T, usually int) (rounds, items int) {
	if testing.Short() {
		t.Skip("the processes are not those of the race detector")
	}
	t.Parallel()
	if os.Getenv("EYELET_SLOW") != "" {
		return 50, 600
	}
	return usually, 60
}

// manyPictures is a folder of n pictures, orange and pink in turn.
func manyPictures(t *testing.T, n int) (dir string) {
	dir = t.TempDir()
	for i := range n {
		writeFile(t, fmt.Sprintf("%s/%04d.png", dir, i),
			readFile(t, []string{orange, pinkStar}[i%2]))
	}
	return dir
}

// Whoever dies, and whenever: each item has exactly one result, and none is lost.
func TestNothingIsLostWhoeverIsKilled(t *testing.T) {
	rounds, items := roundsOfKilling(t, 5)
	dir := manyPictures(t, items)
	writeFile(t, dir+"/broken.png", readFile(t, orange)[:100])
	s := newSite(t)
	s.add("queue", "queue", "--store", t.TempDir(), "--listen", s.address)
	for _, name := range []string{"one", "two"} {
		s.add(name, "worker", "--nats", s.url(), "--name", name, "-t", "1", "--parallel", "2",
			"--nats-ack", "2s")
	}
	out := filepath.Join(t.TempDir(), "out.csv")
	submit := []string{"batch", dir, "-o", out, "--prompt", background, "--nats", s.url(),
		"--nats-ack", "2s", "-q"}
	s.add("submitter", submit...)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	names := []string{"queue", "one", "two", "submitter"}
	for range rounds {
		time.Sleep(time.Duration(rng.IntN(600)) * time.Millisecond)
		name := names[rng.IntN(len(names))]
		s.kill(name)
		s.again(name)
	}
	// The last submitter may have ended with the failure of the broken picture, or have been
	// killed: the command goes on in either case.
	deadline := time.Now().Add(patience)
	for {
		err := s.running["submitter"].Wait()
		delete(s.running, "submitter")
		if _, missing := os.Stat(out); missing == nil && exitStatus(t, err) == cli.ExitInput {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the batch does not end: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
		s.again("submitter")
	}
	table, err := csv.NewReader(strings.NewReader(readFile(t, out))).ReadAll()
	if err != nil || len(table) != items+1 {
		t.Fatalf("%d lines of %d, %v", len(table), items+1, err)
	}
	for i, row := range table[1:] {
		if want := fmt.Sprintf("%04d.png", i); row[0] != want || row[1] != []string{"cyan",
			"pink"}[i%2] {
			t.Errorf("%q", row)
		}
	}
	if text := readFile(t, out+".failures.jsonl"); strings.Count(text, "\n") != 1 ||
		!strings.Contains(text, "broken.png") {
		t.Errorf("failures: %s", text)
	}
}

// The queue inside the program and its worker die with it, and the same command goes on.
func TestABatchOutlivesItsProgram(t *testing.T) {
	rounds, items := roundsOfKilling(t, 3)
	dir := manyPictures(t, items)
	out := filepath.Join(t.TempDir(), "out.csv")
	args := []string{"batch", dir, "-o", out, "--prompt", background, "-q", "--nats-ack", "2s"}
	for range rounds {
		cmd := invocation{args: args}.command(t.Context())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(100+rand.IntN(700)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if _, err := os.Stat(out); err == nil {
			break // it was quicker
		}
	}
	aloud := slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "-q" })
	if o := eyelet(t, aloud...); o.code != 0 && !strings.Contains(o.stderr, "is there already") ||
		strings.Contains(o.stderr, "not here") {
		t.Fatalf("%+v", o)
	}
	table, err := csv.NewReader(strings.NewReader(readFile(t, out))).ReadAll()
	if err != nil || len(table) != items+1 {
		t.Fatalf("%d lines, %v", len(table), err)
	}
	for i, row := range table[1:] {
		if row[0] != fmt.Sprintf("%04d.png", i) || row[1] != []string{"cyan", "pink"}[i%2] {
			t.Errorf("%q", row)
		}
	}
}

func TestAQueueNeedsAFolderThatItCanOpen(t *testing.T) {
	t.Parallel()
	file := writeFile(t, filepath.Join(t.TempDir(), "file"), "no folder")
	eyelet(t, "queue", "--store", file, "--listen", "127.0.0.1:0").mustFail(t, cli.ExitInput, file)
}
