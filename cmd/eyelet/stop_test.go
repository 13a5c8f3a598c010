//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAnInterruptKeepsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"SIGINT": syscall.SIGINT,
		"SIGTERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			cmd := invocation{args: []string{"run", "-t", "1", "--ctx", "32768", "--grammar",
				endless(t), "Go on."}}.command(t.Context())
			var said bytes.Buffer
			cmd.Stderr = &said
			r := startReading(t, cmd, cmd.StdoutPipe)
			if first, err := r.ReadByte(); err != nil || first != 'a' {
				t.Fatalf("the answer begins with %q, %v", first, err)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			code := exitStatus(t, cmd.Wait())
			if code != 130 || said.String() != "eyelet: interrupted\n" {
				t.Errorf("exit code %d, stderr %q", code, said.String())
			}
			if strings.Trim(string(rest), "a") != "\n" {
				t.Errorf("stdout does not end with the text so far and a newline: %q", rest)
			}
		})
	}
}

// A service that is told to end has not failed: systemd would say so of any other exit code.
func TestServicesEndWell(t *testing.T) {
	t.Parallel()
	here := newSite(t)
	for _, args := range [][]string{
		{"queue", "--store", t.TempDir(), "--listen", "127.0.0.1:0"},
		{"worker", "--nats", here.url()}, // where nobody listens
	} {
		cmd := invocation{args: args}.command(t.Context())
		r := startReading(t, cmd, cmd.StderrPipe)
		if first, err := r.ReadString('\n'); err != nil || !strings.Contains(first, "queue") {
			t.Errorf("%s: %q, %v", args[0], first, err)
		}
		_ = cmd.Process.Signal(os.Interrupt)
		rest, _ := io.ReadAll(r)
		if code := exitStatus(t, cmd.Wait()); code != 0 || len(rest) > 0 {
			t.Errorf("%s: exit code %d, %q", args[0], code, rest)
		}
	}
}

// A program that waits for a picture that never comes ends with the second signal at the latest.
func TestASecondInterruptEndsWhatDoesNotObey(t *testing.T) {
	t.Parallel()
	cmd := invocation{args: []string{"run", "--image", "-", "Q?"}}.command(t.Context())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds: once it is written, the program is reading.
	if _, err := stdin.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	// Signals that come while the program has no turn are one: they come until it ends.
	ended := make(chan struct{})
	go func() {
		for tick := time.Tick(100 * time.Millisecond); ; {
			_ = cmd.Process.Signal(os.Interrupt)
			select {
			case <-ended:
				return
			case <-tick:
			}
		}
	}()
	code := exitStatus(t, cmd.Wait())
	close(ended)
	if code != 130 {
		t.Errorf("exit code %d", code)
	}
}

func TestAnInterruptEndsAConversationThatWaitsForAPipe(t *testing.T) {
	t.Parallel()
	cmd := invocation{args: []string{"run", "--chat", "--image", orange}}.command(t.Context())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	r := startReading(t, cmd, cmd.StdoutPipe)
	if _, err := io.WriteString(stdin, background+"\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := r.ReadString('\n'); err != nil || answer != "cyan\n" {
		t.Fatalf("%q, %v", answer, err)
	}
	// A signal that comes before it waits for the next line only stops the answer.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.ReadAll(r)
	}()
	for waiting := true; waiting; {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
			waiting = false
		case <-time.After(2 * time.Second):
		}
	}
	if code := exitStatus(t, cmd.Wait()); code != 130 {
		t.Errorf("exit code %d", code)
	}
}
