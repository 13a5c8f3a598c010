package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// answered is a line of a folder run.
type answered struct {
	Image string
	wholeReport
	Error string
}

// lines reads the output of a folder run, every line of which must be whole.
func lines(t *testing.T, path string) (list []answered) {
	t.Helper()
	text := readFile(t, path)
	if text != "" && !strings.HasSuffix(text, "\n") {
		t.Errorf("the last line is not whole: %q", text)
	}
	for line := range strings.Lines(text) {
		var a answered
		strictly(t, line, &a)
		list = append(list, a)
	}
	return list
}

// album makes a folder of the built-in model's pictures, a broken one, and what a folder run must
// pass by.
func album(t *testing.T) (dir, out string) {
	t.Helper()
	dir, out = t.TempDir(), filepath.Join(t.TempDir(), "out.jsonl")
	writeFile(t, dir+"/1-orange.png", readFile(t, orange))
	writeFile(t, dir+"/2-broken.PNG", readFile(t, orange)[:100])
	writeFile(t, dir+"/3-star.png", readFile(t, pinkStar))
	writeFile(t, dir+"/.hidden.png", "")
	writeFile(t, dir+"/notes.txt", "words")
	writeFile(t, dir+"/folder.png/inside.png", "")
	if err := syscall.Mkfifo(dir+"/pipe.png", 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, out
}

func TestAFolderIsAnsweredAndAskedAgainWhereThatFailed(t *testing.T) {
	t.Parallel()
	dir, out := album(t)
	args := []string{"run", "--image", dir, "--jsonl", out, background}
	eyelet(t, args...).mustFail(t, 3, "1 of 3 pictures", dir, out)
	got := lines(t, out)
	if len(got) != 3 {
		t.Fatalf("%d lines: %+v", len(got), got)
	}
	for i, want := range []struct{ image, text, err string }{{"1-orange.png", "cyan", ""},
		{"2-broken.PNG", "", "truncated PNG"}, {"3-star.png", "pink", ""}} {
		g := got[i]
		if g.Image != want.image || g.Text != want.text || !strings.Contains(g.Error, want.err) ||
			(g.Error == "") != (want.err == "") || g.Question != background ||
			g.Model != "eyelet-builtin" {
			t.Errorf("line %d: %+v", i+1, g)
		}
		if want.err == "" {
			g.check(t, 1)
		} else if g.Timings != nil || g.Finish != "" {
			t.Errorf("an error has figures: %+v", g)
		}
	}
	before := readFile(t, out)

	eyelet(t, args...).mustFail(t, 3, "1 of 3 pictures")
	if again := lines(t, out); len(again) != 3 || again[2].Image != "2-broken.PNG" ||
		again[2].Error == "" {
		t.Errorf("a second try of the broken picture: %+v", again)
	}

	writeFile(t, dir+"/2-broken.PNG", readFile(t, pinkStar))
	if o := eyelet(t, args...); o != (outcome{}) {
		t.Fatalf("after the picture was mended: %+v", o)
	}
	mended := lines(t, out)
	if len(mended) != 3 || mended[2].Image != "2-broken.PNG" || mended[2].Text != "pink" ||
		mended[2].Error != "" {
		t.Errorf("%+v", mended)
	}
	for line := range strings.Lines(before) {
		if !strings.Contains(line, `"error"`) && !strings.Contains(readFile(t, out), line) {
			t.Errorf("an answer was lost or asked again: %s", line)
		}
	}
	whole := readFile(t, out)
	if o := eyelet(t, args...); o != (outcome{}) || readFile(t, out) != whole {
		t.Errorf("a run with nothing to do: %+v", o)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); err != nil ||
		len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestAFolderRunTellsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out.jsonl")
	for _, name := range []string{"a.mp4", "b.MOV", "c.svg"} {
		writeFile(t, filepath.Join(dir, name), "")
	}
	eyelet(t, "run", "--image", dir, "--jsonl", out, background).mustFail(t, 3, "holds no pictures",
		"2 videos", "1 SVG file")
	writeFile(t, dir+"/d.png", readFile(t, orange))
	o := eyelet(t, "run", "--image", dir, "--jsonl", out, background)
	if o.code != 0 || !strings.Contains(o.stderr, "left out 2 videos") ||
		!strings.Contains(o.stderr, "1 SVG file") || len(lines(t, out)) != 1 {
		t.Errorf("%+v", o)
	}
}

// Two runs with one output would write over each other's lines.
func TestTwoFolderRunsWithOneOutput(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir, out := t.TempDir(), writeFile(t, filepath.Join(t.TempDir(), "out.jsonl"), "")
	writeFile(t, dir+"/a.png", readFile(t, orange))
	lock := flock.New(out)
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(err)
	}
	eyelet(t, "run", "--image", dir, "--jsonl", out, background).mustFail(t, 3,
		"out.jsonl: another process writes to it")
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if o := eyelet(t, "run", "--image", dir, "--jsonl", out, background); o != (outcome{}) {
		t.Errorf("%+v", o)
	}
}

func TestHalfALastLineIsCutOff(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out.jsonl")
	writeFile(t, dir+"/a.png", readFile(t, orange))
	writeFile(t, dir+"/b.png", readFile(t, pinkStar))
	first, err := json.Marshal(map[string]string{"image": "a.png", "question": background,
		"model": "eyelet-builtin", "text": "from before"})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, out, string(first)+"\n"+`{"image":"b.png","question":"What co`)
	if o := eyelet(t, "run", "--image", dir, "--jsonl", out, background); o != (outcome{}) {
		t.Fatalf("%+v", o)
	}
	if got := lines(t, out); len(got) != 2 || got[0].Text != "from before" ||
		got[1].Image != "b.png" || got[1].Text != "pink" {
		t.Errorf("%+v", got)
	}
}

// A run of many pictures is stopped after a few, in both ways, and goes on.
func TestAnInterruptedFolderRunGoesOn(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"by Ctrl-C": syscall.SIGINT,
		"by kill -9": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			// Where a busy machine looks late, all of the pictures are answered: more are tried.
			for n := 8; !interruptFolderRun(t, signal, n); n *= 2 {
				if n > 1000 {
					t.Fatal("it answers more quickly than it can be stopped")
				}
			}
		})
	}
}

// interruptFolderRun stops a run over n pictures by a signal in the middle, and checks that a
// second one does the rest. It returns false where the first was over before.
func interruptFolderRun(t *testing.T, signal syscall.Signal, n int) bool {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out.jsonl")
	args := []string{"run", "--image", dir, "--jsonl", out, "-t", "1", "--grammar", endless(t),
		"-n", "40", background}
	name := func(i int) string { return fmt.Sprintf("%04d.png", i) }
	for i := range n {
		writeFile(t, filepath.Join(dir, name(i)), readFile(t, []string{orange, pinkStar}[i%2]))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := invocation{args: args}.command(ctx)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for data, _ := os.ReadFile(out); strings.Count(string(data), "\n") < 2 &&
		ctx.Err() == nil; data, _ = os.ReadFile(out) {
		time.Sleep(time.Millisecond)
	}
	// It stands still while the lines are counted.
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	over := strings.Count(readFile(t, out), "\n") > n-4
	for _, s := range []syscall.Signal{signal, syscall.SIGCONT} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	err := cmd.Wait()
	if over {
		return false
	}
	code := exitStatus(t, err)
	if signal == syscall.SIGINT && (code != 130 || !strings.Contains(said.String(),
		"goes on from there.\neyelet: interrupted\n")) {
		t.Errorf("exit code %d, stderr %q", code, said.String())
	}
	before := readFile(t, out)
	if k := len(lines(t, out)); k < 2 || k >= n {
		t.Fatalf("%d of %d pictures were answered", k, n)
	}
	if o := eyelet(t, args...); o != (outcome{}) {
		t.Fatalf("%+v", o)
	}
	after := lines(t, out)
	if len(after) != n || !strings.HasPrefix(readFile(t, out), before) {
		t.Errorf("%d lines; those of before are kept: %v", len(after),
			strings.HasPrefix(readFile(t, out), before))
	}
	for i, a := range after {
		if a.Image != name(i) || len(a.Text) != 40 {
			t.Errorf("line %d: %+v", i+1, a)
		}
	}
	return true
}

// The names that a folder run may meet on a system that knows only bytes.
func TestStrangeNamesAreAnsweredOnce(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out.jsonl")
	for _, name := range []string{"-v.png", "bad\xff\xfe.png", "bad\xfe\xff.png", "new\nline.png",
		"quote\".png"} {
		writeFile(t, filepath.Join(dir, name), readFile(t, orange))
	}
	for range 2 {
		if o := eyelet(t, "run", "--image", dir, "--jsonl", out, background); o != (outcome{}) {
			t.Fatalf("%+v", o)
		}
		if got := lines(t, out); len(got) != 5 {
			t.Errorf("%d lines: %+v", len(got), got)
		}
	}
}

func TestTheOutputMayBeALink(t *testing.T) {
	t.Parallel()
	dir, out := album(t)
	link := filepath.Join(t.TempDir(), "link.jsonl")
	if err := os.Symlink(out, link); err != nil {
		t.Fatal(err)
	}
	writeFile(t, out, "")
	if err := os.Chmod(out, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		eyelet(t, "run", "--image", dir, "--jsonl", link, background).mustFail(t, 3, "1 of 3")
		info, err := os.Lstat(out)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if _, err := os.Readlink(link); err != nil {
			t.Error(err)
		}
	}
	if got := lines(t, out); len(got) != 3 {
		t.Errorf("%+v", got)
	}
}

// What all pictures lack has the exit code of its kind, as for one picture.
func TestAFolderWhosePicturesAreAllTooLong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/a.png", readFile(t, orange))
	writeFile(t, dir+"/b.png", readFile(t, pinkStar))
	out := filepath.Join(t.TempDir(), "out.jsonl")
	args := []string{"run", "--image", dir, "--jsonl", out, strings.Repeat("word ", 5000)}
	eyelet(t, args...).mustFail(t, cli.ExitCapacity, "2 of 2 pictures")
	writeFile(t, dir+"/c.png", "no picture")
	eyelet(t, args...).mustFail(t, cli.ExitInput, "3 of 3 pictures")
}
