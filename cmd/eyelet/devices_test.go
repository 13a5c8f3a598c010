package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/machine"
)

// computed is what a run said and how it computed.
type computed struct {
	answer, accelerator, flash, offloaded string
	code                                  int
	errors                                string
}

var (
	timesOfCounters = regexp.MustCompile(` in [^;]*GFLOP/s`)
	flashLine       = regexp.MustCompile(`flash_attn += \w+`)
	offloadLine     = regexp.MustCompile(`offloaded \d+/\d+ layers`)
)

// computeWith asks one question with more of environment and flags.
func computeWith(t *testing.T, env []string, flags ...string) computed {
	t.Helper()
	args := append([]string{"run", "--verbose", "--stats", "--image", demo + "/black-star.png",
		"What is in this picture?"}, flags...)
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience) // software compiles shaders
	defer cancel()
	cmd := invocation{args: args, env: append(environment(), env...)}.command(ctx)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	o := outcome{exitStatus(t, cmd.Run()), stdout.String(), stderr.String()}
	c := computed{answer: strings.TrimSpace(o.stdout), code: o.code, errors: o.stderr,
		flash: flashLine.FindString(o.stderr), offloaded: offloadLine.FindString(o.stderr)}
	for line := range strings.Lines(o.stderr) {
		if strings.HasPrefix(line, "accelerator ") {
			c.accelerator = timesOfCounters.ReplaceAllString(strings.TrimSpace(line), "")
		}
	}
	if c.code != cli.ExitOK || c.answer == "" || c.accelerator == "" {
		t.Fatalf("%v %v: exit code %d: %s", env, flags, o.code,
			o.stderr[max(0, len(o.stderr)-4000):])
	}
	return c
}

// A backend for remote servers that has no server, and one for GPUs that finds none, must change
// nothing.
func TestBackendsWithoutDevicesChangeNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("a command a process, and slow under the race detector")
	}
	peers.RequireAccelerator(t)
	alone := computeWith(t, []string{"EYELET_BACKENDS=" + peers.BackendsWith(t)})
	if !strings.Contains(alone.flash, "enabled") || strings.Contains(alone.accelerator,
		" 0 operations") {
		t.Errorf("without other backends: %+v", alone)
	}
	for _, kind := range []string{"rpc", "vulkan", "rpc vulkan"} {
		t.Run(kind, func(t *testing.T) {
			kinds := strings.Fields(kind)
			env := []string{"EYELET_BACKENDS=" + peers.BackendsWith(t, kinds...),
				"VK_DRIVER_FILES=/nonexistent.json"}
			beside := computeWith(t, env)
			if beside.answer != alone.answer || beside.accelerator != alone.accelerator ||
				beside.flash != alone.flash {
				t.Errorf("%q, %q, %q; alone %q, %q, %q", beside.answer, beside.accelerator,
					beside.flash, alone.answer, alone.accelerator, alone.flash)
			}
			o := invocation{args: []string{"doctor", "--json"}, env: append(environment(),
				env...)}.run(t)
			var d machine.Diagnosis
			if err := json.Unmarshal([]byte(o.stdout), &d); err != nil || o.code != cli.ExitOK {
				t.Fatalf("exit code %d, %v: %s", o.code, err, o.stdout)
			}
			i := slices.IndexFunc(d.Checks, func(c machine.Check) bool { return c.Name == "gpu" })
			for _, k := range kinds {
				said := map[string]string{"rpc": "has no server", "vulkan": "no Vulkan driver"}[k]
				if i < 0 || !strings.Contains(d.Checks[i].Detail, said) || len(d.GPUs) > 0 {
					t.Errorf("the doctor does not say %q: %s", said, o.stdout)
				}
			}
		})
	}
}

func TestDevicesAreListedAndNamed(t *testing.T) {
	o := eyelet(t, "devices", "--json")
	var list []machine.Compute
	if err := json.Unmarshal([]byte(o.stdout), &list); err != nil || o.code != cli.ExitOK {
		t.Fatalf("exit code %d, %v: %s", o.code, err, o.stdout)
	}
	if !slices.ContainsFunc(list, func(c machine.Compute) bool {
		return c.Kind == "cpu" && c.Used && c.MemoryTotal > 0 && c.Description != ""
	}) {
		t.Errorf("no CPU in %s", o.stdout)
	}
	for _, c := range list {
		if c.Used == (c.Reason != "") {
			t.Errorf("%+v", c)
		}
	}
	if o := eyelet(t, "devices"); o.code != cli.ExitOK || !strings.HasPrefix(o.stdout, "NAME") ||
		!strings.Contains(o.stdout, "CPU") {
		t.Errorf("exit code %d: %s", o.code, o.stdout)
	}
	env := append(environment(), "EYELET_BACKENDS="+peers.BackendsWith(t))
	for _, args := range [][]string{{"run", "--device", "Vulkan7", "What is this?"},
		{"serve", "--listen", "unix:" + filepath.Join(t.TempDir(), "s"), "--device", "Vulkan7"}} {
		invocation{args: args, env: env}.run(t).mustFail(t, cli.ExitUsage, `no device "Vulkan7"`,
			"give none or cpu", "eyelet devices")
	}
}

// Mesa's software driver stands for a GPU: the text is the CPU's with all layers there, with some,
// and without any. It compiles its shaders for minutes.
func TestTheAnswerIsTheSameOnADevice(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("minutes: set EYELET_SLOW=1")
	}
	peers.RequireAccelerator(t)
	env := append(peers.Lavapipe(t), "EYELET_BACKENDS="+peers.BackendsWith(t, "vulkan"))
	want := computeWith(t, nil)
	t.Logf("on the CPU: %s", want.accelerator)
	for _, test := range []struct {
		flags     []string
		offloaded string
		idle      bool // the accelerator has nothing to do
	}{
		{[]string{"--device", "none"}, "offloaded 0/7 layers", false},
		{[]string{"--gpu-layers", "-1"}, "offloaded 0/7 layers", false},
		{[]string{"--gpu-layers", "0"}, "offloaded 0/7 layers", false},
		{[]string{"--gpu-layers", "2"}, "offloaded 2/7 layers", false},
		{[]string{"--device", "vulkan0"}, "offloaded 7/7 layers", true},
	} {
		got := computeWith(t, env, test.flags...)
		if got.answer != want.answer || got.offloaded != test.offloaded {
			t.Errorf("%v: %q with %s; want %q with %s", test.flags, got.answer, got.offloaded,
				want.answer, test.offloaded)
		}
		if idle := strings.Contains(got.accelerator, " 0 operations"); idle != test.idle {
			t.Errorf("%v: %s", test.flags, got.accelerator)
		}
		if test.offloaded == "offloaded 0/7 layers" && (got.accelerator != want.accelerator ||
			got.flash != want.flash) {
			t.Errorf("%v: %s, %s; on the CPU %s, %s", test.flags, got.accelerator, got.flash,
				want.accelerator, want.flash)
		}
		if test.offloaded == "offloaded 0/7 layers" && strings.Contains(got.errors,
			"Vulkan0 compute buffer") {
			t.Errorf("%v: the device has buffers", test.flags)
		}
	}
	software := invocation{args: []string{"doctor"}, env: append(environment(), env[0],
		env[2])}.run(t)
	if software.code != cli.ExitOK || !strings.Contains(software.stdout,
		"it is a program on the CPU") || strings.Contains(software.stdout, "no Vulkan driver") {
		t.Errorf("doctor: %d: %s", software.code, software.stdout)
	}
	left := invocation{args: []string{"devices"}, env: append(environment(), env[0], env[2])}.run(t)
	if !strings.Contains(left.stdout, "not used: llvmpipe") || !strings.Contains(left.stdout,
		"GGML_VK_VISIBLE_DEVICES=0") {
		t.Errorf("%s", left.stdout)
	}
	env = append(environment(), env...)
	invocation{args: []string{"run", "--device", "gpu", "Hello?"}, env: env}.run(t).mustFail(t,
		cli.ExitUsage, `no device "gpu"`, "Vulkan0")
}
