package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inState is a run of the program with a state folder.
func inState(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	return invocation{args: append([]string{"run"}, args...), env: append(environment(), "EYELET_STATE="+dir)}.run(t)
}

func TestASessionGoesOnInAnotherProcessWithoutEncodingAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inState(t, dir, "--session", "a tour", "--image", pinkStar, background).mustSay(t, "pink")
	o := inState(t, dir, "--session", "a tour", "--json", "What color is the shape?")
	if o.code != 0 {
		t.Fatal(o.stderr)
	}
	var r wholeReport
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatal(err)
	}
	if r.Timings["encode_ms"] != 0 || r.Usage.Image == 0 || r.Usage.Cached <= r.Usage.Image || r.Text == "" {
		t.Errorf("the picture was computed again: %+v", r)
	}
	alone := inState(t, t.TempDir(), "--session", "another", "--json", "What color is the shape?")
	if !strings.Contains(alone.stdout, `"image_tokens": 0`) {
		t.Errorf("a new session sees the picture of another: %s", alone.stdout)
	}
}

func TestASessionOfALongNameInAnyScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := strings.Repeat("写", 33)
	inState(t, dir, "--session", name, "--image", pinkStar, background).mustSay(t, "pink")
	inState(t, dir, "--session", name, background).mustSay(t, "pink")
}

func TestAnAnswerOutlivesAStateThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inState(t, dir, "--session", "before", background) // makes the folders
	locks, err := filepath.Glob(filepath.Join(dir, "sequences", "*", "lock"))
	if err != nil || len(locks) != 1 {
		t.Fatal(locks, err)
	}
	lock, err := os.Open(locks[0])
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil { // as another process that has the folder
		t.Fatal(err)
	}
	o := inState(t, dir, "--session", "x", "--image", pinkStar, background)
	if o.code != 0 || o.stdout != "pink\n" || !strings.Contains(o.stderr, "computed again") {
		t.Errorf("exit code %d, %q, %q", o.code, o.stdout, o.stderr)
	}
	if o := inState(t, dir, "--session", "x", background); o.code != 0 || o.stdout != "pink\n" {
		t.Errorf("the next run: exit code %d, %q, %q", o.code, o.stdout, o.stderr)
	}
}

func TestSessionsThatCannotBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inState(t, dir, "--session", "../x", background).mustFail(t, 2, "slash")
	inState(t, dir, "--session", "x", "--raw", background).mustFail(t, 2, "--raw")
	writeFile(t, filepath.Join(dir, "sessions", "broken.json"), "{")
	inState(t, dir, "--session", "broken", background).mustFail(t, 3, "broken.json", "not a saved conversation")
	inState(t, dir, "--session", "x", "--image", pinkStar, background).mustSay(t, "pink")
	inState(t, dir, "--session", "x", "--system", "Be kind.", background).mustFail(t, 2, "--system", "begun already")
}

func TestStatsAndTraceTellWhatHappened(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "trace.jsonl")
	o := eyelet(t, "run", "--image", orange, "--stats", "--trace", path, background)
	if o.code != 0 || strings.TrimSpace(o.stdout) != "cyan" {
		t.Fatalf("exit code %d, %q, %q", o.code, o.stdout, o.stderr)
	}
	for _, want := range []string{"1 done", "1 encoded", "first token", "1 kept", "accelerator"} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("the counters lack %q:\n%s", want, o.stderr)
		}
	}
	var seen []string
	for line := range strings.Lines(readFile(t, path)) {
		var l traceLine
		strictly(t, line, &l)
		if l.At.IsZero() || l.Request != 1 {
			t.Errorf("%+v", l)
		}
		seen = append(seen, l.What)
	}
	if got := strings.Join(seen, " "); !strings.HasPrefix(got, "queued admitted") || !strings.Contains(got, "rows") || !strings.HasSuffix(got, "ended") {
		t.Errorf("the trace is %q", got)
	}
}
