package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// inState is a run of the program with a state folder.
func inState(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	return invocation{args: append([]string{"run"}, args...), env: append(environment(),
		"EYELET_STATE="+dir)}.run(t)
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
	if r.Timings["encode_ms"] != 0 || r.Usage.Image == 0 || r.Usage.Cached <= r.Usage.Image ||
		r.Text == "" {
		t.Errorf("the picture was computed again: %+v", r)
	}
	alone := inState(t, t.TempDir(), "--session", "another", "--json", "What color is the shape?")
	if !strings.Contains(alone.stdout, `"image_tokens": 0`) {
		t.Errorf("a new session sees the picture of another: %s", alone.stdout)
	}
}

func TestASessionOfALongNameInAnyScript(t *testing.T) {
	peers.WithoutRaceDetector(t)
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
	// as another process that has the folder
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
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

// onFullDisk runs the program with a state folder on a disk of 64 KiB of which so much is filled,
// in a namespace of its own. Both streams are one, as on a terminal.
func onFullDisk(t *testing.T, filled string, args ...string) (code int, said, kept string) {
	t.Helper()
	dir := t.TempDir()
	if text, err := exec.CommandContext(t.Context(), "unshare", "-rm", "mount", "-t", "tmpfs",
		"none", dir).CombinedOutput(); err != nil {
		t.Skipf("no disk can be made here: %v: %s", err, text)
	}
	script := `mount -t tmpfs -o size=64k none "$2" && head -c "$1" /dev/zero > "$2/filler" && cd "$2" && shift 2 && { "$@" 2>&1; code=$?; echo; ls sessions >&2; exit $code; }`
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for i, arg := range args {
		if arg == pinkStar {
			args[i] = filepath.Join(wd, pinkStar)
		}
	}
	cmd := exec.CommandContext(t.Context(), "unshare",
		append([]string{"-rm", "sh", "-c", script, "sh", filled, dir, program}, args...)...)
	cmd.Env = append(environment(), "EYELET_STATE="+dir)
	var out, names bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &names
	code = exitStatus(t, cmd.Run())
	return code, strings.TrimSuffix(out.String(), "\n"), names.String()
}

func TestASessionOnAFullDiskSaysWhatIsKept(t *testing.T) {
	t.Parallel()
	ask := []string{"run", "--session", "tour", "--image", pinkStar, background}
	code, said, kept := onFullDisk(t, "0", slices.Clone(ask)...)
	if code != 0 || !strings.HasPrefix(said, "pink\neyelet: the session is kept, but") ||
		strings.Count(said, "\n") != 2 || kept != "tour.json\n" {
		t.Errorf("room for the text alone: exit code %d, %q, kept %q", code, said, kept)
	}
	code, said, kept = onFullDisk(t, "65536", slices.Clone(ask)...)
	if code != cli.ExitCapacity || !strings.HasPrefix(said,
		"pink\neyelet: the session tour is not kept") || strings.Count(said, "\n") != 2 ||
		strings.Contains(said, "is kept") || strings.Contains(kept, "tour") {
		t.Errorf("room for nothing: exit code %d, %q, kept %q", code, said, kept)
	}
}

func TestSessionsThatCannotBe(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	inState(t, dir, "--session", "../x", background).mustFail(t, 2, "slash")
	inState(t, dir, "--session", "x", "--raw", background).mustFail(t, 2, "--raw")
	writeFile(t, filepath.Join(dir, "sessions", "broken.json"), "{")
	inState(t, dir, "--session", "broken", background).mustFail(t, 3, "broken.json",
		"not a saved conversation")
	inState(t, dir, "--session", "x", "--image", pinkStar, background).mustSay(t, "pink")
	inState(t, dir, "--session", "x", "--system", "Be kind.", background).mustFail(t, 2, "--system",
		"begun already")
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
		var l struct {
			At      time.Time `json:"at"`
			Request int       `json:"request"`
			What    string    `json:"what"`
			Items   int       `json:"items"`
			TookMS  float64   `json:"took_ms"`
		}
		strictly(t, line, &l)
		if l.At.IsZero() || l.Request != 1 {
			t.Errorf("%+v", l)
		}
		seen = append(seen, l.What)
	}
	if got := strings.Join(seen, " "); !strings.HasPrefix(got, "queued admitted") ||
		!strings.Contains(got, "rows") || !strings.HasSuffix(got, "ended") {
		t.Errorf("the trace is %q", got)
	}
}
