package draw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/diffusion/diffusiontest"
)

// realChild is the program that scripts/draw built, or the one that EYELET_DRAW names, and a model
// of the shapes of Stable Diffusion 1.5.
func realChild(t *testing.T) (*Program, *Model) {
	t.Helper()
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("set EYELET_SLOW=1: it writes a model of 2 GB and draws for minutes")
	}
	const root = "../../build/"
	if os.Getenv(variable) == "" {
		built, err := filepath.Abs(root + "draw/sd-cli")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(built); err != nil {
			t.Skip("run scripts/setup --draw: ", err)
		}
		t.Setenv(variable, built)
	}
	p, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := root + "synth/sd15-f16.safetensors"
	if _, err := os.Stat(path); err != nil {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := diffusiontest.WriteSD15(path+".new", 1); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Open(path, "sd15", nil)
	if err != nil {
		t.Fatal(err)
	}
	return p, m
}

// TestRealChild compares with the program that is called by hand: the same files, byte for byte,
// settings included, of five seeds, with and without a picture to begin with; from a child for each
// picture, and from one that draws them all, where that was built.
func TestRealChild(t *testing.T) {
	p, m := realChild(t)
	var stays *Child
	if p.Resident != "" {
		var err error
		if stays, err = p.Start(m); err != nil {
			t.Fatal(err)
		}
		defer stays.Close()
	}
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("OMP_WAIT_POLICY", "passive") // a busy machine would not come to an end otherwise
	var begin bytes.Buffer
	for i := range 5 {
		seed := int64(1000 + i)
		r := Request{Prompt: "a red house", Negative: "people", Width: 64, Height: 64, Steps: 2,
			Seed: &seed}
		byHand := []string{"-m", "sd15.safetensors", "-p", "a red house", "-n", "people", "-W",
			"64", "-H", "64", "--steps", "2", "-s", strconv.FormatInt(seed, 10), "-o", "hand.png"}
		dir := t.TempDir()
		if i == 4 {
			r.Init, r.Strength = begin.Bytes(), 0.5
			if _, _, err := writePNG(t.Context(), filepath.Join(dir, "begin.png"),
				begin.Bytes()); err != nil {
				t.Fatal(err)
			}
			byHand = append(byHand, "-i", "begin.png", "--strength", "0.5")
		}
		if err := os.Symlink(m.Path, filepath.Join(dir, "sd15.safetensors")); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), p.Path, byHand...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want, err := os.ReadFile(filepath.Join(dir, "hand.png"))
		if err != nil {
			t.Fatal(err)
		}
		var last Progress
		got, err := p.Draw(t.Context(), m, &r, func(x Progress) { last = x })
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Pictures[0].PNG, want) {
			t.Errorf("seed %d: another file than the program's own, of %d bytes and not %d", seed,
				len(got.Pictures[0].PNG), len(want))
		}
		if last.Stage != Decoding {
			t.Errorf("told last: %+v", last)
		}
		if stays != nil {
			began := time.Now()
			got, err := stays.Draw(t.Context(), &r, func(x Progress) { last = x })
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Pictures[0].PNG, want) {
				t.Errorf("seed %d: another file of a child that stays, of %d bytes and not %d",
					seed, len(got.Pictures[0].PNG), len(want))
			}
			t.Logf("picture %d of the child that stays: %v", i+1, time.Since(began))
		}
		checkNoise(t, want)
		if !bytes.Contains(want, []byte("Seed: "+strconv.FormatInt(seed, 10))) ||
			!bytes.Contains(want, []byte("tEXt")) {
			t.Error("the file does not name its settings")
		}
		begin.Reset()
		begin.Write(want)
	}
}

// TestRealChildTakesParts compares with the program that is called by hand with the files of a
// model's parts: another VAE for Stable Diffusion 1.5, and FLUX, whose parts are all files of their
// own.
func TestRealChildTakesParts(t *testing.T) {
	p, sd := realChild(t)
	t.Setenv("OMP_WAIT_POLICY", "passive")
	dir := t.TempDir()
	vae := filepath.Join(dir, "vae.safetensors")
	if err := diffusiontest.WriteVAE(vae, 2); err != nil {
		t.Fatal(err)
	}
	flux, parts, err := diffusiontest.WriteFluxParts(dir, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	var pictures [][]byte
	for _, c := range []struct {
		flag, path string
		parts      diffusion.Parts
	}{
		{"-m", sd.Path, nil},
		{"-m", sd.Path, diffusion.Parts{diffusion.VAE: vae}},
		{"--diffusion-model", flux, parts},
	} {
		m, err := Open(c.path, "drawn", c.parts)
		if err != nil {
			t.Fatal(err)
		}
		seed, guidance := int64(7), 1.0
		got, err := p.Draw(t.Context(), m, &Request{Prompt: "a red house", Width: 64, Height: 64,
			Steps: 1, Seed: &seed, Guidance: &guidance}, nil)
		if err != nil {
			t.Fatalf("%s: %v", m.Family, err)
		}
		// The settings in the file name the model's files, so they are called alike.
		work := t.TempDir()
		byHand := []string{c.flag, "drawn.safetensors", "-p", "a red house", "-W", "64", "-H", "64",
			"--steps", "1", "-s", "7", "--cfg-scale", "1", "-o", "hand.png"}
		links := map[string]string{"drawn.safetensors": m.Path}
		for part, path := range m.Parts {
			byHand = append(byHand, "--"+string(part), string(part)+".part")
			links[string(part)+".part"] = path
		}
		for name, path := range links {
			if err := os.Symlink(path, filepath.Join(work, name)); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), p.Path, byHand...)
		cmd.Dir = work
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want, err := os.ReadFile(filepath.Join(work, "hand.png"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Pictures[0].PNG, want) {
			t.Errorf("%s with %d parts: another file than the program's own", m.Family,
				len(m.Parts))
		}
		checkNoise(t, want)
		for _, other := range pictures {
			if samePixels(t, other, want) {
				t.Errorf("%s with %d parts: the picture of another model", m.Family, len(m.Parts))
			}
		}
		pictures = append(pictures, want)
	}
}

// samePixels reports whether two PNG files show the same.
func samePixels(t *testing.T, a, b []byte) bool {
	t.Helper()
	var pixels [2]string
	for i, file := range [][]byte{a, b} {
		img, err := png.Decode(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		pixels[i] = fmt.Sprint(img)
	}
	return pixels[0] == pixels[1]
}

// checkNoise fails for a picture of one colour, which any two programs would make alike.
func checkNoise(t *testing.T, file []byte) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string]bool{}
	for y := range 64 {
		for x := range 64 {
			colours[fmt.Sprint(img.At(x, y))] = true
		}
	}
	if len(colours) < 100 {
		t.Errorf("%d colours", len(colours))
	}
}

// TestRealChildIsKilled: by somebody in the middle of a picture, which is an error of that request,
// and by its context.
func TestRealChildIsKilled(t *testing.T) {
	p, m := realChild(t)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("OMP_WAIT_POLICY", "passive")
	seed := int64(1)
	r := Request{Prompt: "a red house", Width: 64, Height: 64, Steps: 20, Seed: &seed}
	middle := func(f func()) func(Progress) {
		done := false
		return func(x Progress) {
			if x.Stage == Sampling && x.Step >= 1 && !done {
				done = true
				f()
			}
		}
	}
	_, err := p.Draw(t.Context(), m, &r, middle(func() { killChildren(t, p.Path) }))
	if !errors.Is(err, ErrChild) || !strings.Contains(err.Error(), "killed in the stage sampling") {
		t.Errorf("killed: %v", err)
	}
	leftNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var began time.Time
	_, err = p.Draw(ctx, m, &r, middle(func() { began = time.Now(); cancel() }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	t.Logf("the child was gone %v after it was to end", time.Since(began))
	leftNothing(t)
	r.Steps = 1
	if _, err := p.Draw(t.Context(), m, &r, nil); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// TestRealChildThatStays is killed in the middle of a picture, which is an error of that request;
// ends with its context, and takes the next model's requests from a new child.
func TestRealChildThatStays(t *testing.T) {
	p, m := realChild(t)
	if p.Resident == "" {
		t.Skip("there is no ", residentName, " beside ", p.Path)
	}
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("OMP_WAIT_POLICY", "passive")
	seed := int64(1)
	r := Request{Prompt: "a red house", Width: 64, Height: 64, Steps: 20, Seed: &seed}
	for name, end := range map[string]func(cancel func()){
		"killed":    func(func()) { killChildren(t, p.Resident) },
		"cancelled": func(cancel func()) { cancel() },
	} {
		c, err := p.Start(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Draw(t.Context(), &Request{Prompt: "x", Init: []byte("no picture")},
			nil); !errors.Is(err, ErrImage) || !c.Alive() {
			t.Errorf("a request that is refused: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err = c.Draw(ctx, &r, func(x Progress) {
			if x.Stage == Sampling && x.Step == 1 {
				end(cancel)
			}
		})
		cancel()
		if name == "killed" && (!errors.Is(err, ErrChild) || !strings.Contains(err.Error(),
			"killed in the stage sampling")) || name == "cancelled" && !errors.Is(err,
			context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		<-c.Ended()
		if _, err := c.Draw(t.Context(), &r, nil); !errors.Is(err, ErrChild) {
			t.Errorf("%s: a request after that: %v", name, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		leftNothing(t)
	}
}

// killChildren kills this process's children that run a program.
func killChildren(t *testing.T, program string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(processes) == 0 {
		t.Skip("this system does not list processes")
	}
	for _, dir := range processes {
		status, _ := os.ReadFile(filepath.Join(dir, "status"))
		exe, _ := os.Readlink(filepath.Join(dir, "exe"))
		if exe == program && strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n",
			os.Getpid())) {
			pid, err := strconv.Atoi(filepath.Base(dir))
			if err == nil {
				err = syscall.Kill(pid, syscall.SIGKILL)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
}
