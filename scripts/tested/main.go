// Tested runs "go test", prints what it prints, and records which tests passed, so that a second
// run over the same packages in another mode can leave them out:
//
//	go run ./scripts/tested FOLDER go test -race -short ./...
//
// Makes FOLDER/DIRECTORY/skip of each package's directory, a pattern for -test.skip of the tests
// that passed there, and FOLDER/whole, the packages that have no other tests, one a line. A test
// counts if it passed with all of its subtests, none of which was skipped, and none of which set
// the attribute "reduced", as tests do that check less in short mode. What was skipped until
// somebody sets a variable, which the message names, is no reason to run it again. FOLDER/events
// has the events of the run in JSON. The exit status is that of "go test".
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) < 4 || os.Args[2] != "go" || os.Args[3] != "test" {
		fmt.Fprintln(os.Stderr, "usage: tested FOLDER go test FLAGS PACKAGES")
		os.Exit(2)
	}
	status, err := run(os.Args[1], os.Args[4:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tested:", err)
		os.Exit(1)
	}
	os.Exit(status)
}

func run(folder string, args []string) (status int, err error) {
	root, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o777)); err != nil {
		return 0, err
	}
	events, err := os.Create(filepath.Join(folder, "events"))
	if err != nil {
		return 0, err
	}
	defer events.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	seen := newTally(os.Stdout)
	lines := bufio.NewReader(io.TeeReader(out, events))
	for {
		line, err := lines.ReadBytes('\n')
		seen.line(line)
		if err != nil {
			break // the end; what else ended the reading fails the command too
		}
	}
	if err := cmd.Wait(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			return 0, err
		}
		status = max(exit.ExitCode(), 1)
	}
	return status, record(root, folder, seen.packages)
}

// record writes which tests passed.
func record(root, folder string, packages map[string]*outcome) error {
	names := make([]string, 0, len(packages))
	for name, p := range packages {
		if len(p.passed()) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	places, err := listed(names)
	if err != nil {
		return err
	}
	var whole strings.Builder
	for _, name := range names {
		p := packages[name]
		if len(p.passed()) == len(p.tests) && !places[name].other {
			fmt.Fprintln(&whole, name)
		}
		in, err := filepath.Rel(root, places[name].directory)
		if err != nil {
			return err
		}
		path := filepath.Join(folder, in, "skip")
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		// Names of tests are identifiers, which mean themselves in a pattern.
		pattern := "^(" + strings.Join(p.passed(), "|") + ")$"
		if err := os.WriteFile(path, []byte(pattern), 0o666); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, "whole"), []byte(whole.String()), 0o666)
}

// place is where a package lies, and whether it has test files that this run left out, as those of
// builds without the race detector.
type place struct {
	directory string
	other     bool
}

func listed(packages []string) (map[string]place, error) {
	places := make(map[string]place, len(packages))
	if len(packages) == 0 {
		return places, nil
	}
	tests := map[string]string{} // with the race detector
	for _, flags := range [][]string{{"-race"}, nil} {
		args := slices.Concat([]string{"list"}, flags, []string{"-f",
			"{{.ImportPath}}\t{{.Dir}}\t{{.TestGoFiles}} {{.XTestGoFiles}}"}, packages)
		out, err := exec.Command("go", args...).Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		for line := range bytes.Lines(out) {
			fields := strings.Split(strings.TrimSpace(string(line)), "\t")
			if len(fields) != 3 {
				return nil, fmt.Errorf("go list wrote %q", line)
			}
			if flags != nil {
				tests[fields[0]] = fields[2]
			}
			// A file for the race detector alone is no reason, but rare.
			places[fields[0]] = place{fields[1], tests[fields[0]] != fields[2]}
		}
	}
	return places, nil
}
