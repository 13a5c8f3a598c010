package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

func TestMistakesOnTheCommandLineAreExplainedInOneLine(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string // in the message
	}{
		{"an unknown command", []string{"frobnicate"}, "frobnicate"},
		{"a misspelt command", []string{"shwo"}, "show"},
		{"an unknown flag", []string{"--frobnicate"}, "--frobnicate"},
		{"an unknown flag of a command", []string{"show", "--frobnicate", "x.gguf"},
			"eyelet show --help"},
		{"a missing argument", []string{"show"}, "FILE"},
		{"too many arguments", []string{"show", "a", "b"}, `"b"`},
		{"an argument where none is taken", []string{"version", "now"}, `"now"`},
		{"flags that contradict", []string{"-v", "-q", "version"}, "--quiet"},
		{"a shell without completion", []string{"completion", "csh"}, "zsh"},
		{"a value for a switch", []string{"version", "--json=perhaps"}, "perhaps"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, out, errs := command(t, test.args...)
			if code != cli.ExitUsage {
				t.Errorf("exit code %d, want %d", code, cli.ExitUsage)
			}
			if out != "" {
				t.Errorf("stdout %q", out)
			}
			if !strings.HasPrefix(errs, "eyelet: ") || strings.Count(errs, "\n") != 1 ||
				!strings.Contains(errs, test.want) {
				t.Errorf("stderr %q: want one line with %q", errs, test.want)
			}
		})
	}
}

func TestHelpGoesToStdout(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"show", "--help"}, {"doctor", "-h"},
		{"completion", "--help"}} {
		code, out, errs := command(t, args...)
		if code != cli.ExitOK || errs != "" || !strings.Contains(out, "Usage:") {
			t.Errorf("eyelet %v: exit code %d, stderr %q, stdout %q", args, code, errs, out)
		}
	}
}

func TestCompletionScriptsAreForTheirShells(t *testing.T) {
	for shell, mark := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef eyelet", "fish": "complete -c eyelet",
		"powershell": "Register-ArgumentCompleter",
	} {
		code, out, errs := command(t, "completion", shell)
		if code != cli.ExitOK || errs != "" || !strings.Contains(out, mark) {
			t.Errorf("completion %s: exit code %d, stderr %q, %d bytes", shell, code, errs,
				len(out))
		}
	}
	_, out, _ := command(t, "completion", "bash")
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(out)
	if msg, err := check.CombinedOutput(); err != nil {
		t.Errorf("bash does not parse the script: %v: %s", err, msg)
	}
	code, out, _ := command(t, "__complete", "sho")
	if code != cli.ExitOK || !strings.HasPrefix(out, "show\t") {
		t.Errorf("completing sho: exit code %d, %q", code, out)
	}
}

func TestVersionTellsAllVersions(t *testing.T) {
	code, out, errs := command(t, "version", "--json")
	if code != cli.ExitOK || errs != "" {
		t.Fatalf("exit code %d, stderr %q", code, errs)
	}
	var v map[string]string
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	release := regexp.MustCompile(`^\d+\.\d+`)
	for _, library := range []string{"libllama", "libggml", "libmtmd", "onednn"} {
		if !release.MatchString(v[library]) {
			t.Errorf("%s is of version %q", library, v[library])
		}
	}
	if v["go"] != runtime.Version() || v["eyelet"] == "" {
		t.Errorf("go %q, eyelet %q", v["go"], v["eyelet"])
	}
	_, out, _ = command(t, "version")
	for _, want := range []string{"eyelet", v["libllama"], v["libggml"], v["go"]} {
		if !strings.Contains(out, want) {
			t.Errorf("the table lacks %q", want)
		}
	}
}

func TestEveryExitCodeIsInTheHelp(t *testing.T) {
	for _, code := range []int{cli.ExitOK, cli.ExitFailure, cli.ExitUsage, cli.ExitInput,
		cli.ExitMismatch,
		cli.ExitCapacity, cli.ExitInterrupted} {
		if !strings.Contains(rootLong, fmt.Sprintf("\n%5d  ", code)) {
			t.Errorf("exit code %d is not in the help", code)
		}
	}
}
