package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// event is a line of "go test -json" (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Key     string // of an attribute
}

// outcome is what is known of a package's tests.
type outcome struct {
	tests  map[string]*test // those that are no subtests
	order  []string         // of their names
	output strings.Builder  // of no test
}

// test is one with its subtests.
type test struct {
	passed, failed bool
	less           bool            // something was skipped that another run may do, or checked less
	unset          map[string]bool // the subtests that say which variable they wait for
	output         strings.Builder
}

// variable is in what a test says that is skipped until somebody sets a variable. It has the same
// value in both runs, but for EYELET_PEERS, of which no such test speaks.
var variable = regexp.MustCompile(`_test\.go:\d+: .*\bEYELET_[A-Z_]+`)

// passed returns the names of the tests that left nothing out which another run may do, in order.
func (o *outcome) passed() (names []string) {
	for name, t := range o.tests {
		if t.passed && !t.less && !t.failed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// tally follows the events of all packages, and prints what "go test" prints without -json.
type tally struct {
	packages map[string]*outcome
	out      io.Writer
}

func newTally(out io.Writer) *tally {
	return &tally{packages: map[string]*outcome{}, out: out}
}

// line takes a line of the output. One that is no event is printed as it is.
func (s *tally) line(line []byte) {
	var e event
	if len(line) == 0 {
		return
	}
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprintf(s.out, "%s", line)
		return
	}
	if e.Package == "" { // of a build
		fmt.Fprint(s.out, e.Output)
		return
	}
	p := s.packages[e.Package]
	if p == nil {
		p = &outcome{tests: map[string]*test{}}
		s.packages[e.Package] = p
	}
	if e.Test == "" {
		s.ofPackage(p, e)
		return
	}
	name, _, sub := strings.Cut(e.Test, "/")
	t := p.tests[name]
	if t == nil {
		t = &test{unset: map[string]bool{}}
		p.tests[name] = t
		p.order = append(p.order, name)
	}
	switch e.Action {
	case "output":
		if !framing(e.Output) {
			t.output.WriteString(e.Output)
			t.unset[e.Test] = t.unset[e.Test] || variable.MatchString(e.Output)
		}
	case "pass":
		t.passed = t.passed || !sub
	case "fail":
		t.failed = true
	case "skip":
		t.passed = t.passed || !sub
		t.less = t.less || !t.unset[e.Test]
	case "attr":
		t.less = t.less || e.Key == "reduced"
	}
}

// ofPackage takes an event of a package. The last one prints what is to be seen of it.
func (s *tally) ofPackage(p *outcome, e event) {
	switch e.Action {
	case "output":
		p.output.WriteString(e.Output)
	case "pass", "skip":
		for line := range strings.Lines(p.output.String()) {
			if strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "?   \t") {
				fmt.Fprint(s.out, line)
			}
		}
	case "fail":
		for _, name := range p.order {
			t := p.tests[name]
			text := t.output.String()
			if t.failed || !t.passed && !t.less || strings.Contains(text, "DATA RACE") {
				fmt.Fprint(s.out, text)
			}
		}
		fmt.Fprint(s.out, p.output.String())
	}
}

// framing says whether a line of output is none without -v.
func framing(line string) bool {
	line = strings.TrimLeft(line, " ")
	for _, prefix := range []string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "=== ATTR ",
		"--- PASS: ", "--- SKIP: "} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
