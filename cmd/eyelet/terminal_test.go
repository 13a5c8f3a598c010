//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// console is a conversation at a pseudo terminal, where the test is the user.
type console struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	tty    *os.File
	before *term.State   // of the terminal, before the program
	over   chan struct{} // closed when nothing can come on the screen any more

	mu   sync.Mutex
	seen strings.Builder // all that came on the screen
	from int             // what expect has passed
}

func startConsole(t *testing.T, env []string, args ...string) *console {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close(); tty.Close() })
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 200}); err != nil {
		t.Fatal(err)
	}
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, master: master, tty: tty, before: before, over: make(chan struct{})}
	c.cmd = exec.Command(program, args...)
	c.cmd.Env = append(environment(), env...)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = tty, tty, tty
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	go c.watch()
	return c
}

func (c *console) watch() {
	defer close(c.over)
	buf := make([]byte, 4096)
	for {
		n, err := c.master.Read(buf)
		c.mu.Lock()
		c.seen.Write(buf[:n])
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *console) screen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.String()
}

// last returns the screen with all that a program that has ended left on it.
func (c *console) last() string {
	c.tty.Close() // nobody else holds that end: the other one can be read to its end
	<-c.over
	return c.screen()
}

// expect waits until a text comes that was not expected before.
func (c *console) expect(text string) {
	c.t.Helper()
	for end := time.Now().Add(patience / 2); ; time.Sleep(2 * time.Millisecond) {
		seen := c.screen()
		if i := strings.Index(seen[c.from:], text); i >= 0 {
			c.from += i + len(text)
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%q did not come; the screen after what came before: %q", text,
				seen[c.from:])
		}
	}
}

func (c *console) press(keys string) {
	c.t.Helper()
	if _, err := c.master.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// mustEnd waits for the end of the program, which must leave the terminal as it was.
func (c *console) mustEnd(code int) {
	c.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- c.cmd.Wait() }()
	select {
	case err := <-ended:
		if got := exitStatus(c.t, err); got != code {
			c.t.Errorf("exit code %d, want %d; screen %q", got, code, c.screen())
		}
	case <-time.After(patience / 2):
		c.t.Fatalf("the program does not end; screen %q", c.screen())
	}
	after, err := term.GetState(int(c.tty.Fd()))
	if err != nil {
		c.t.Fatal(err)
	}
	if !reflect.DeepEqual(after, c.before) {
		c.t.Errorf("the terminal is left as %+v, it was %+v", after, c.before)
	}
}

const (
	ctrlC     = "\x03"
	ctrlD     = "\x04"
	enter     = "\r"
	left      = "\x1b[D"
	up        = "\x1b[A"
	backspace = "\x7f"
)

func TestAConversationAtATerminal(t *testing.T) {
	t.Parallel()
	// A cache of its own, for the history; the model is extracted once more.
	own := filepath.Join(t.TempDir(), "cache")
	env := []string{"EYELET_CACHE=" + own}
	c := startConsole(t, env, "run", "--image", orange)
	c.expect("eyelet-builtin is ready. /help lists commands, Ctrl-D ends.\r\n")
	c.expect(orange + " goes with your first message.\r\n")
	c.expect("> ")
	// colour → color
	c.press("What colour is thr" + backspace + "e background?" + strings.Repeat(left,
		len("ur is the background?")) + backspace + "o" + "\x1b[3~" + enter)
	c.expect("What color is the background?")
	c.expect("cyan\r\n")
	c.expect("> ")
	c.press("/image " + ctrlC) // discards the line, and not the program
	c.expect("> ")
	c.press(ctrlC)
	c.expect("> ")
	c.press("/frob" + enter)
	c.expect("eyelet: there is no command /frob; /help lists them\r\n")
	c.expect("> ")
	c.press(ctrlD)
	c.expect("\r\n") // so that the shell's prompt begins a line
	c.mustEnd(0)

	history := filepath.Join(own, "history")
	info, err := os.Stat(history)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the history: %v, %v", info, err)
	}
	if got, want := readFile(t, history), background+"\n/frob\n"; got != want {
		t.Errorf("the history is %q, want %q", got, want)
	}

	again := startConsole(t, env, "run", "-q")
	again.expect("> ")
	again.press(up + up + enter) // the first line of the conversation before
	again.expect(background)
	again.expect("\r\n> ")
	again.press("/quit" + enter)
	again.mustEnd(0)
	if strings.Contains(again.screen(), "is ready") {
		t.Errorf("--quiet: %q", again.screen())
	}
}

func TestCtrlCStopsAnAnswerAndNotTheProgram(t *testing.T) {
	t.Parallel()
	c := startConsole(t, nil, "run", "-t", "1", "--ctx", "32768", "--grammar", endless(t))
	c.expect("> ")
	for range 2 {
		c.press("Go on." + enter)
		c.expect("aaaa")
		c.press(ctrlC)
		c.expect("\r\n> ")
	}
	c.press("/help" + enter)
	c.expect("Ctrl-C stops an answer.\r\n")
	c.expect("> ")
	if strings.Contains(c.screen(), "interrupted") {
		t.Errorf("a stopped answer is told as an error: %q", c.screen())
	}
	c.press(ctrlD)
	c.mustEnd(0)
}

func TestTerminationAtThePromptLeavesTheTerminalAsItWas(t *testing.T) {
	t.Parallel()
	c := startConsole(t, nil, "run")
	c.expect("> ")
	c.press("half a li")
	c.expect("half a li")
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.expect("\r\neyelet: interrupted\r\n")
	c.mustEnd(130)
}

func TestProgressIsShownAtATerminalAndWiped(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out.jsonl")
	writeFile(t, dir+"/a.png", readFile(t, orange))
	writeFile(t, dir+"/b.png", readFile(t, pinkStar))
	c := startConsole(t, nil, "run", "--image", dir, "--jsonl", out, background)
	c.expect("pictures")
	c.expect("(0/2")
	c.mustEnd(0)
	screen := c.last()
	if !strings.HasSuffix(screen, "\r\x1b[K") || strings.Contains(screen, "\n") {
		t.Errorf("progress is left on the screen: %q", screen)
	}
	if got := lines(t, out); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestAQuestionWithoutATerminalForTheAnswerIsMissing(t *testing.T) {
	t.Parallel()
	c := startConsole(t, nil, "run", "--json", "--image", orange)
	c.expect("eyelet: the question is missing: give it as an argument\r\n")
	c.mustEnd(2)
}
