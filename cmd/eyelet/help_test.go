package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

func TestEveryCommandHasAnExampleThatNamesIt(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	for _, cmd := range newRootCommand().Commands() {
		if cmd.Name() == "help" {
			continue
		}
		if !strings.Contains(cmd.Example, "eyelet "+cmd.Name()) || cmd.Short == "" {
			t.Errorf("%s: short %q, example %q", cmd.Name(), cmd.Short, cmd.Example)
		}
		o := eyelet(t, cmd.Name(), "--help")
		if o.code != 0 || o.stderr != "" || !strings.Contains(o.stdout, cmd.Example) {
			t.Errorf("%s --help: %+v", cmd.Name(), o)
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if len(line) > 100 {
				t.Errorf("%s: a line of %d characters: %s", cmd.Name(), len(line), line)
			}
		}
	}
}

func TestHelpListsTheExitCodes(t *testing.T) {
	t.Parallel()
	o := eyelet(t, "help")
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	for _, code := range []int{cli.ExitOK, cli.ExitFailure, cli.ExitUsage, cli.ExitInput,
		cli.ExitMismatch,
		cli.ExitCapacity, cli.ExitInterrupted} {
		if !strings.Contains(o.stdout, fmt.Sprintf("\n  %3d  ", code)) {
			t.Errorf("code %d is not listed in %s", code, o.stdout)
		}
	}
}

// A service of systemd has no home, so its unit names each folder that the program writes to.
func TestTheServiceHasItsFolders(t *testing.T) {
	unit := readFile(t, "../../scripts/systemd/eyelet.service")
	for _, name := range []string{"EYELET_MODELS", "EYELET_STATE", "EYELET_CACHE"} {
		if !strings.Contains(newRootCommand().Long, "  "+name+" ") ||
			!strings.Contains(unit, name+"=/var/") {
			t.Errorf("%s is not in the help, or not in the unit", name)
		}
	}
}
