package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/isa"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/machine"
)

func TestDoctorFindsThisMachineWell(t *testing.T) {
	peers.WithoutRaceDetector(t)
	code, out, errs := command(t, "doctor", "--json")
	if code != cli.ExitOK || errs != "" {
		t.Fatalf("exit code %d, stderr %q, stdout %s", code, errs, out)
	}
	var d machine.Diagnosis
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	if !d.OK || d.CPU.Name == "" || d.CPU.Threads < 1 || d.SelfTest == nil {
		t.Fatalf("%s", out)
	}
	if len(d.SelfTest.Answers) < 4 {
		t.Errorf("the self-test asked %d questions", len(d.SelfTest.Answers))
	}
	for _, a := range d.SelfTest.Answers {
		if a.Got != a.Want || a.Got == "" {
			t.Errorf("%s, %q: %q, want %q", a.Picture, a.Question, a.Got, a.Want)
		}
	}
	seen := map[string]bool{}
	for _, c := range d.Checks {
		seen[c.Name] = true
	}
	for _, name := range []string{"libraries", "isa", "cpu", "gpu", "vision", "memory", "cache",
		"self-test"} {
		if !seen[name] {
			t.Errorf("no check %q", name)
		}
	}
}

func TestTheProgramIsHeldToALevelOfInstructionSets(t *testing.T) {
	peers.WithoutRaceDetector(t)
	held := func(level string, args ...string) outcome {
		return invocation{args: args, env: append(environment(), isa.Variable+"="+level)}.run(t)
	}
	for _, level := range isa.Levels() {
		o := held(level.String(), "doctor", "--json")
		var d machine.Diagnosis
		if err := json.Unmarshal([]byte(o.stdout), &d); err != nil || o.code != cli.ExitOK {
			t.Fatalf("%v: exit code %d, %v: %s", level, o.code, err, o.stdout)
		}
		if d.CPU.Level != level.String() || len(d.CPU.Levels) != len(isa.Levels()) ||
			d.SelfTest == nil {
			t.Errorf("%v: %+v", level, d.CPU)
		}
		if testing.Short() {
			t.Attr("reduced", "one level")
			break
		}
	}
	for _, args := range [][]string{{"run", "--demo"}, {"list"}, {"doctor"}} {
		o := held("avx3", args...)
		if text := o.stdout + o.stderr; o.code == cli.ExitOK || !strings.Contains(text, "avx3") ||
			!strings.Contains(text, "native") || !strings.Contains(text, isa.Variable) {
			t.Errorf("%v at no level: exit code %d: %s", args, o.code, text)
		}
	}
	if o := held("avx3", "run", "--demo"); o.code != cli.ExitUsage || o.stdout != "" {
		t.Errorf("a level that does not exist: exit code %d", o.code)
	}
}

func TestDoctorCalibrates(t *testing.T) {
	peers.WithoutRaceDetector(t)
	peers.RequireAccelerator(t)
	env := append(environment(), "EYELET_CACHE="+t.TempDir())
	for _, args := range [][]string{{"doctor", "--calibrate", "--json"}, {"doctor", "--json"}} {
		o := invocation{args: args, env: env}.run(t)
		var d machine.Diagnosis
		if err := json.Unmarshal([]byte(o.stdout), &d); err != nil || o.code != cli.ExitOK {
			t.Fatalf("%v: exit code %d, %v: %s", args, o.code, err, o.stdout)
		}
		const commonTypes = 5
		if len(d.Calibration) != commonTypes {
			t.Errorf("%v: %d types are known, want %d", args, len(d.Calibration), commonTypes)
		}
		for _, c := range d.Calibration {
			if len(c.Choices) == 0 || time.Since(c.When) > time.Hour {
				t.Errorf("%+v", c)
			}
			for _, choice := range c.Choices {
				if !(choice.Of > 0 && choice.Of <= choice.AtMost) || choice.Path != "ggml" &&
					choice.AtMost >= 1 {
					t.Errorf("%s: %+v", c.Type, choice)
				}
			}
		}
	}
}

func TestDoctorNotesACacheThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EYELET_CACHE", filepath.Join(file, "cache"))
	t.Setenv("TMPDIR", t.TempDir())
	code, out, _ := command(t, "doctor")
	if code != cli.ExitOK || !strings.Contains(out, "note    cache") ||
		!strings.Contains(out, "EYELET_CACHE") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestDoctorFailsWhenTheModelCannotBeExtracted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EYELET_CACHE", filepath.Join(file, "cache"))
	t.Setenv("TMPDIR", file)
	code, out, errs := command(t, "doctor")
	if code != cli.ExitFailure || errs != "" || !strings.Contains(out, "failed  self-test") {
		t.Errorf("exit code %d, stderr %q: %s", code, errs, out)
	}
}
