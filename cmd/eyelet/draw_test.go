package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/draw"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/models"
	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/diffusion/diffusiontest"
)

// drawer is an environment with a store of its own that holds the model "tiny", which draws, and
// with a program that stands in for the one that computes: it writes a picture of one pixel. The
// real one is the matter of engine/draw's tests.
func drawer(t *testing.T, program string) (env []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "tiny.safetensors")
	if err := diffusiontest.WriteTiny(path); err != nil {
		t.Fatal(err)
	}
	env = append(environment(), "EYELET_MODELS="+filepath.Join(dir, "models"))
	if program != "" {
		name := filepath.Join(dir, "program")
		script := "#!/bin/sh\nif [ \"$1\" = --version ]; then echo stable-diffusion.cpp version test; exit; fi\n" + program + "\n"
		if err := os.WriteFile(name, []byte(script), 0o700); err != nil { //nolint:gosec // a program is executable
			t.Fatal(err)
		}
		env = append(env, "EYELET_DRAW="+name)
	}
	if o := (invocation{args: []string{"import", path, "--quiet"}, env: env}).run(t); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	return env, dir
}

// paints writes PNG files of one pixel, behind the first of which stands what was asked for.
var paints = func() string {
	var pixel bytes.Buffer
	if err := png.Encode(&pixel, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		panic(err)
	}
	escaped := ""
	for _, b := range pixel.Bytes() {
		escaped += fmt.Sprintf(`\%03o`, b)
	}
	return `for n in 0 1; do printf '` + escaped + `' >out-$n.png; done; printf '%s ' "$@" >>out-0.png`
}()

func TestDrawWritesPictures(t *testing.T) {
	t.Parallel()
	env, dir := drawer(t, paints)
	out := filepath.Join(dir, "house.png")
	o := invocation{args: []string{"draw", "a red house", "-o", out, "--size", "128x64", "--steps",
		"2", "--seed", "7", "--count", "2", "--json"}, env: env}.run(t)
	var d draw.DrawnPictures
	if err := json.Unmarshal([]byte(o.stdout), &d); err != nil || o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v, %v", o, err)
	}
	want := []draw.DrawnPicture{
		{File: filepath.Join(dir, "house-1.png"), Seed: 7},
		{File: filepath.Join(dir, "house-2.png"), Seed: 8},
	}
	if !slices.Equal(d.Pictures, want) || d.Width != 128 || d.Height != 64 || d.Model != "tiny" ||
		d.Family != "sd1" {
		t.Errorf("%+v", d)
	}
	data, err := os.ReadFile(want[0].File)
	if err != nil || !strings.Contains(string(data),
		"-m tiny.safetensors -p a red house -n  -W 128 -H 64 --steps 2 -s 7 -b 2 ") {
		t.Errorf("%q, %v", data, err)
	}
	o = invocation{args: []string{"draw", "a red house", "-o", "-", "--size", "64x64"},
		env: env}.run(t)
	if o.code != 0 || !strings.HasPrefix(o.stdout, "\x89PNG") {
		t.Errorf("%+v", o)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestDrawSaysWhatIsWrong(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	env, dir := drawer(t, "echo '[ERROR] x.cpp:1    - out of luck' >&2; exit 1")
	out := filepath.Join(dir, "x.png")
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"x", "-o", out}, cli.ExitFailure, "out of luck"},
		{[]string{" ", "-o", out}, cli.ExitUsage, "no text"},
		{[]string{}, cli.ExitUsage, "TEXT is missing"},
		{[]string{"x", "y"}, cli.ExitUsage, "unexpected argument"},
		{[]string{"x", "-o", "x.jpg"}, cli.ExitUsage, ".png"},
		{[]string{"x", "-o", filepath.Join(dir, "none", "x.png")}, cli.ExitInput, "no folder"},
		{[]string{"x", "--size", "64"}, cli.ExitUsage, "512x512"},
		{[]string{"x", "--size", "0x64"}, cli.ExitUsage, "cannot be"},
		{[]string{"x", "--size", "100000x100000"}, cli.ExitUsage, "sides go from 64 to 4096"},
		{[]string{"x", "--size", "64x99999999999999999999"}, cli.ExitUsage, "sides go to 4096"},
		{[]string{"x", "--size", "70x64"}, cli.ExitUsage, "multiples of 64"},
		{[]string{"x", "--width", "64"}, cli.ExitUsage, "go together"},
		{[]string{"x", "--width", "64", "--height", "64", "--size", "64x64"}, cli.ExitUsage,
			"one or the others"},
		{[]string{"x", "--width", "-64", "--height", "64"}, cli.ExitUsage, "cannot be"},
		{[]string{"x", "--steps", "0"}, cli.ExitUsage, "1 or more"},
		{[]string{"x", "--steps", "9999"}, cli.ExitUsage, "steps"},
		{[]string{"x", "--count", "99"}, cli.ExitUsage, "pictures"},
		{[]string{"x", "--seed", "-1"}, cli.ExitUsage, "seed"},
		{[]string{"x", "--guidance", "NaN"}, cli.ExitUsage, "guidance"},
		{[]string{"x", "--strength", "0.5"}, cli.ExitUsage, "begin with"},
		{[]string{"x", "--mask", orange}, cli.ExitUsage, "mask"},
		{[]string{"x", "--init", orange, "--strength", "0"}, cli.ExitUsage, "strength"},
		{[]string{"x", "--init", filepath.Join(dir, "none.png")}, cli.ExitInput, "none.png"},
		{[]string{"x", "--threads", "-1"}, cli.ExitUsage, "threads"},
		{[]string{"x", "--model", "none"}, cli.ExitInput, "no model"},
		{[]string{"x", "--model", dir}, cli.ExitInput, "is a folder; a model that draws is one file"},
		{[]string{"x", "--model", "builtin"}, cli.ExitMismatch,
			"answers questions and draws no pictures"},
		{[]string{"x", "--model", seedModel}, cli.ExitMismatch, "no model that draws"},
		{[]string{"x", "--json", "-o", "-"}, cli.ExitUsage, "stdout"},
	} {
		o := invocation{args: append([]string{"draw"}, c.args...), env: env}.run(t)
		o.mustFail(t, c.code, c.text)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a picture is left")
	}
}

func TestDrawWithoutAProgramSaysWhatToDo(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	env, _ := drawer(t, "")
	env = append(env, "PATH="+t.TempDir())
	invocation{args: []string{"draw", "x", "--model", "none"}, env: env}.run(t).mustFail(t,
		cli.ExitFailure, "scripts/setup --draw")
	invocation{args: []string{"draw", "x"}, env: env}.run(t).mustFail(t, cli.ExitFailure,
		"scripts/setup --draw", "EYELET_DRAW")
	env = append(env, "EYELET_DRAW=/nonexistent/sd-cli")
	invocation{args: []string{"draw", "x"}, env: env}.run(t).mustFail(t, cli.ExitInput,
		"EYELET_DRAW names no program that draws: /nonexistent/sd-cli: no such file or directory")
	if _, err := exec.LookPath("true"); err == nil {
		env = append(env, "EYELET_DRAW=true", "PATH="+os.Getenv("PATH"))
		invocation{args: []string{"draw", "x"}, env: env}.run(t).mustFail(t, cli.ExitInput,
			"not stable-diffusion.cpp")
	}
}

func TestModelsThatDrawAreShownAndRefused(t *testing.T) {
	peers.WithoutRaceDetector(t)
	if testing.Short() {
		t.Skip("a command a process, and slow under the race detector")
	}
	t.Parallel()
	env, dir := drawer(t, "")
	run := func(args ...string) outcome { return invocation{args: args, env: env}.run(t) }
	var list []models.ListedModel
	if o := run("list", "--json"); json.Unmarshal([]byte(o.stdout), &list) != nil ||
		!slices.ContainsFunc(list, func(m models.ListedModel) bool {
			return m.Name == "tiny:latest" && m.Kind == "draw" && m.Family == "sd1" && !m.Vision
		}) {
		t.Errorf("%+v", o)
	}
	if o := run("list"); !strings.Contains(o.stdout, "draws") {
		t.Errorf("%+v", o)
	}
	var s models.DrawingSummary
	if o := run("show", "tiny", "--json"); json.Unmarshal([]byte(o.stdout), &s) != nil ||
		s.Kind != "draw" || s.Side != 512 || s.Stored == nil {
		t.Errorf("%+v", o)
	}
	if o := run("show", filepath.Join(dir, "tiny.safetensors")); o.code != 0 ||
		!strings.Contains(o.stdout, "draws pictures") {
		t.Errorf("%+v", o)
	}
	for _, args := range [][]string{{"run", "tiny", "hello"}, {"run", "--model", "tiny", "hello"},
		{"encode", "--mmproj", "tiny", orange}} {
		run(args...).mustFail(t, cli.ExitMismatch, "draws pictures", "eyelet draw")
	}
	file := filepath.Join(dir, "tiny.safetensors")
	run("run", "--model", file, "hello").mustFail(t, cli.ExitMismatch, file, "draws pictures",
		"eyelet draw --model "+file)
	weights := writeFile(t, filepath.Join(dir, "hf", "model.safetensors"),
		"\x02\x00\x00\x00\x00\x00\x00\x00{}")
	run("run", "--model", weights, "hello").mustFail(t, cli.ExitInput, weights,
		"eyelet convert "+filepath.Dir(weights))
	run("run", "--model", filepath.Dir(weights), "hello").mustFail(t, cli.ExitInput,
		"eyelet convert "+filepath.Dir(weights))
	bundle := filepath.Join(dir, "x.eyb")
	if o := run("export", "tiny", "-o", bundle, "--quiet"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	env = append(env, "EYELET_MODELS="+filepath.Join(dir, "others"))
	if o := run("import", bundle, "--quiet"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if o := run("list", "--json"); !strings.Contains(o.stdout, `"kind": "draw"`) {
		t.Errorf("%+v", o)
	}
}

// TestPartsOfAModelThatDraws: given with the file, or imported with it and carried in a bundle.
func TestPartsOfAModelThatDraws(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	env, dir := drawer(t, paints)
	model, parts, err := diffusiontest.WriteTinyParts(dir)
	if err != nil {
		t.Fatal(err)
	}
	flags := []string{"--vae", parts[diffusion.VAE], "--clip_l", parts[diffusion.ClipL], "--t5xxl",
		parts[diffusion.T5XXL]}
	out := filepath.Join(dir, "x.png")
	draw := func(env []string, model string, flags ...string) string {
		t.Helper()
		o := invocation{args: append([]string{"draw", "x", "-o", out, "--model", model}, flags...),
			env: env}.run(t)
		if o.code != 0 {
			t.Fatalf("%+v", o)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	const want = "--diffusion-model flux.safetensors --vae vae.part --clip_l clip_l.part --t5xxl t5xxl.part -p x"
	if asked := draw(env, model, flags...); !strings.Contains(asked, want) {
		t.Errorf("asked for %q", asked)
	}
	bundle := filepath.Join(dir, "flux.eyb")
	for _, args := range [][]string{append([]string{"import", model, "--name", "flux"}, flags...),
		{"export", "flux", "-o", bundle}} {
		if o := (invocation{args: args, env: env}).run(t); o.code != 0 {
			t.Fatalf("%v: %+v", args, o)
		}
	}
	other := append(slices.Clone(env), "EYELET_MODELS="+filepath.Join(dir, "other"))
	if o := (invocation{args: []string{"import", bundle}, env: other}).run(t); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if asked := draw(other, "flux"); !strings.Contains(asked, want) {
		t.Errorf("asked for %q", asked)
	}
	if o := (invocation{args: []string{"show", "flux"}, env: other}).run(t); o.code != 0 ||
		!strings.Contains(o.stdout, "t5xxl") {
		t.Errorf("%+v", o)
	}
	diffusers := filepath.Dir(writeFile(t, filepath.Join(dir, "diffusers", "model_index.json"),
		"{}"))
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"draw", "x", "--model", model}, cli.ExitInput, "--clip_l and --t5xxl and --vae"},
		{[]string{"draw", "x", "--model", "flux", "--vae", parts[diffusion.VAE]}, cli.ExitUsage,
			"eyelet import"},
		{[]string{"draw", "x", "--model", model, "--vae", "none"}, cli.ExitInput, "none"},
		{[]string{"import", model}, cli.ExitInput, "--clip_l and --t5xxl and --vae"},
		{[]string{"import", seedModel, "--vae", parts[diffusion.VAE]}, cli.ExitMismatch,
			"does not draw"},
		{[]string{"import", bundle, "--vae", parts[diffusion.VAE]}, cli.ExitUsage, "is none"},
		{[]string{"import", parts[diffusion.VAE]}, cli.ExitInput, "a VAE alone"},
		{[]string{"import", diffusers}, cli.ExitInput, "is a folder of diffusers"},
		{[]string{"run", "--model", model, "x"}, cli.ExitMismatch, "draws pictures"},
	} {
		invocation{args: c.args, env: env}.run(t).mustFail(t, c.code, c.text)
	}
}
