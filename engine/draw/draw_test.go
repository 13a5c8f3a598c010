package draw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/models/diffusion/diffusiontest"
)

// behaviour is the variable by which this test program is started as a child that behaves so. What
// a real child does is the matter of TestRealChild.
const behaviour = "EYELET_DRAW_TEST_CHILD"

func TestMain(m *testing.M) {
	if b := os.Getenv(behaviour); b != "" && len(os.Args) == 1 {
		os.Exit(childThatStays(b))
	} else if b != "" {
		os.Exit(child(b, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// child does what the program does as far as its caller can tell, with a picture of one colour.
func child(b string, args []string) int {
	value := func(flag string) string {
		if i := slices.Index(args, flag); i >= 0 {
			return args[i+1]
		}
		return ""
	}
	if note, mute := strings.CutPrefix(b, "mute "); mute {
		hang(note)
	}
	if b == "other" {
		fmt.Println("sd 1.0.0, find and replace")
		return 0
	}
	if slices.Contains(args, "--version") {
		fmt.Println("stable-diffusion.cpp version test, commit none")
		return 0
	}
	bar := func(i, n int) {
		fmt.Printf("\r  |%s| %d/%d - 1.00it/s\x1b[K", strings.Repeat("=", 50), i, n)
	}
	bar(7, 1130) // of loading
	fmt.Printf("\n[INFO ] stable-diffusion.cpp:3367 - generate_image\n")
	if b == "fail" {
		fmt.Fprintln(os.Stderr,
			"[ERROR] stable-diffusion.cpp:292  - get sd version from file failed: 'x'")
		return 1
	}
	count, _ := strconv.Atoi(value("-b"))
	steps, _ := strconv.Atoi(value("--steps"))
	for i := range count {
		fmt.Printf("[INFO ] stable-diffusion.cpp:3401 - generating image: %d/%d - seed 1\n", i+1,
			count)
		for step := range steps {
			if step > 0 {
				switch b {
				case "hang":
					hang(value("-n"))
				case "abort":
					fmt.Fprintln(os.Stderr, "ggml.c:1: GGML_ASSERT(x) failed")
					return 134
				case "killed":
					_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
					time.Sleep(time.Minute)
				}
			}
			bar(step+1, steps)
		}
		fmt.Println()
	}
	fmt.Printf("[INFO ] stable-diffusion.cpp:3192 - decoding %d latents\n", count)
	w, _ := strconv.Atoi(value("-W"))
	h, _ := strconv.Atoi(value("-H"))
	for i := range count {
		if b == "nothing" {
			return 0
		}
		f, err := os.Create(strings.ReplaceAll(value("-o"), "%d", strconv.Itoa(i)))
		if err != nil {
			return 1
		}
		_ = png.Encode(f, image.NewGray(image.Rect(0, 0, w, h)))
		if b == "half" {
			_ = f.Truncate(60)
		}
		f.Close()
	}
	return 0
}

// hang waits for another program, and notes its own number in a file unless that is "".
func hang(note string) {
	if note != "" {
		_ = os.WriteFile(note, []byte(strconv.Itoa(os.Getpid())), 0o600)
	}
	grandchild := exec.Command("sleep", "600")
	grandchild.Stdout = os.Stdout
	_ = grandchild.Run()
}

// groupGone fails unless the group of processes ends that hang has noted.
func groupGone(t *testing.T, note string) {
	t.Helper()
	data, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(-pid,
		0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("somebody of the child's group is alive")
		}
	}
}

// program is this test program as a child that behaves so.
func program(t *testing.T, b string) *Program {
	t.Helper()
	t.Setenv(behaviour, b)
	t.Setenv("TMPDIR", t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Program{Path: self}
}

// tiny is a model that nothing can be drawn with.
func tiny(t *testing.T) *Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.safetensors")
	if err := diffusiontest.WriteTiny(path); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path, "team/tiny:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// leftNothing fails if there is something in the folder for temporary files.
func leftNothing(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestPicturesComeWithProgress(t *testing.T) {
	p, m := program(t, "draw"), tiny(t)
	seed := int64(7)
	var told []Progress
	d, err := p.Draw(t.Context(), m, &Request{Prompt: "-a red house\n<lora:x:1>", Width: 128,
		Height: 64, Steps: 2, Seed: &seed, Count: 2}, func(x Progress) { told = append(told, x) })
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Pictures) != 2 || d.Pictures[1].Seed != 8 || d.Width != 128 || d.Height != 64 {
		t.Errorf("%d pictures of %d x %d", len(d.Pictures), d.Width, d.Height)
	}
	for _, picture := range d.Pictures {
		if c, err := png.DecodeConfig(bytes.NewReader(picture.PNG)); err != nil || c.Width != 128 ||
			c.Height != 64 {
			t.Errorf("%+v, %v", c, err)
		}
	}
	want := []Progress{
		{Stage: Loading},
		{Sampling, 1, 2, 0, 0}, {Sampling, 1, 2, 1, 2}, {Sampling, 1, 2, 2, 2},
		{Sampling, 2, 2, 0, 0}, {Sampling, 2, 2, 1, 2}, {Sampling, 2, 2, 2, 2},
		{Decoding, 2, 2, 0, 0},
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %v", told)
	}
	leftNothing(t)
}

// TestEndingsOfChildren: an error names the reason, and the next request works.
func TestEndingsOfChildren(t *testing.T) {
	m := tiny(t)
	for b, words := range map[string]string{
		"fail":    "get sd version from file failed",
		"abort":   "GGML_ASSERT",
		"killed":  "it was killed in the stage sampling",
		"nothing": "left no picture",
		"half":    "no whole PNG file",
		"hang":    "it hung in the stage sampling",
	} {
		p := program(t, b)
		if b == "hang" {
			p.idle = 100 * time.Millisecond
		}
		_, err := p.Draw(t.Context(), m, &Request{Prompt: "x", Steps: 2}, nil)
		if !errors.Is(err, ErrChild) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", b, err)
		}
		leftNothing(t)
		if _, err := program(t, "draw").Draw(t.Context(), m, &Request{Prompt: "x", Steps: 1},
			nil); err != nil {
			t.Errorf("after %s: %v", b, err)
		}
	}
	if _, err := (&Program{Path: filepath.Join(t.TempDir(), "none")}).Draw(t.Context(), m,
		&Request{Prompt: "x"}, nil); !errors.Is(err, ErrChild) {
		t.Errorf("a program that is not there: %v", err)
	}
}

// TestCancelledChildrenAreKilled: with what they started, and at once.
func TestCancelledChildrenAreKilled(t *testing.T) {
	p, m := program(t, "hang"), tiny(t)
	note := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if data, _ := os.ReadFile(note); len(data) > 0 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := p.Draw(ctx, m, &Request{Prompt: "x", Negative: note, Steps: 3}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	groupGone(t, note)
	leftNothing(t)
}

// TestWholePNG: a file that is cut short or changed anywhere is none.
func TestWholePNG(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	if !wholePNG(whole) || !wholePNG(append(slices.Clone(whole), "more"...)) {
		t.Error("a whole file is none")
	}
	for i := range whole {
		changed := slices.Clone(whole)
		if changed[i] ^= 1; wholePNG(whole[:i]) || wholePNG(changed) {
			t.Errorf("a file that is cut or changed at byte %d is one", i)
		}
	}
}

func TestRequestsAreChecked(t *testing.T) {
	p, m := program(t, "draw"), tiny(t)
	high, low, nan := int64(1)<<31, int64(-1), math.NaN()
	for name, r := range map[string]Request{
		"no text":           {Prompt: " \n"},
		"NUL":               {Prompt: "a\x00b"},
		"no UTF-8":          {Prompt: "a\xff"},
		"long":              {Prompt: strings.Repeat("x", MaxPrompt+1)},
		"one side":          {Prompt: "x", Width: 64},
		"negative side":     {Prompt: "x", Width: -64, Height: -64},
		"large":             {Prompt: "x", Width: 4096, Height: 4096},
		"huge":              {Prompt: "x", Width: 1 << 40, Height: 64},
		"no multiple":       {Prompt: "x", Width: 100, Height: 64},
		"steps":             {Prompt: "x", Steps: 1000},
		"count":             {Prompt: "x", Count: 11},
		"seed":              {Prompt: "x", Seed: &high},
		"negative seed":     {Prompt: "x", Seed: &low},
		"guidance":          {Prompt: "x", Guidance: &nan},
		"strength alone":    {Prompt: "x", Strength: 0.5},
		"strength":          {Prompt: "x", Init: []byte{1}, Strength: 1.5},
		"no strength":       {Prompt: "x", Init: []byte{1}, Strength: nan},
		"mask alone":        {Prompt: "x", Mask: []byte{1}},
		"threads":           {Prompt: "x", Threads: -1},
		"negative negative": {Prompt: "x", Negative: "\x00"},
	} {
		if _, err := p.Draw(t.Context(), m, &r, nil); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Draw(t.Context(), m, &Request{Prompt: "x", Init: []byte("no picture")},
		nil); !errors.Is(err, ErrImage) {
		t.Errorf("no picture to begin with: %v", err)
	}
	leftNothing(t)
}

func TestPicturesToBeginWithGiveTheirShape(t *testing.T) {
	p, m := program(t, "draw"), tiny(t)
	var file bytes.Buffer
	img := image.NewRGBA(image.Rect(0, 0, 300, 100))
	img.Set(1, 1, color.White)
	if err := png.Encode(&file, img); err != nil {
		t.Fatal(err)
	}
	d, err := p.Draw(t.Context(), m, &Request{Prompt: "x", Init: file.Bytes(), Steps: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d.Width != 896 || d.Height != 320 {
		t.Errorf("%d x %d", d.Width, d.Height)
	}
}

func TestFindPassesOthersOver(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv(behaviour, "other")
	if err := os.Symlink(self, filepath.Join(dir, "sd")); err != nil {
		t.Fatal(err)
	}
	if p, err := Find(t.Context()); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("found %v, %v", p, err)
	}
	t.Setenv(variable, self)
	if p, err := Find(t.Context()); err == nil || errors.Is(err, ErrNotSetUp) {
		t.Errorf("found %v, %v", p, err)
	}
	t.Setenv(behaviour, "draw")
	if p, err := Find(t.Context()); err != nil ||
		p.Version != "stable-diffusion.cpp version test, commit none" {
		t.Errorf("found %v, %v", p, err)
	}
	t.Setenv(variable, "")
	if p, err := Find(t.Context()); err != nil || filepath.Base(p.Path) != "sd" {
		t.Errorf("on PATH: %v, %v", p, err)
	}
}

// TestAProgramThatDoesNotAnswer: it is killed with what it started.
func TestAProgramThatDoesNotAnswer(t *testing.T) {
	note := filepath.Join(t.TempDir(), "pid")
	p := program(t, "mute "+note)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for data, _ := os.ReadFile(note); len(data) == 0; data, _ = os.ReadFile(note) {
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := ask(ctx, p.Path); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	groupGone(t, note)
}

func TestFileNames(t *testing.T) {
	for name, want := range map[string]string{"sd15:latest": "sd15-latest.gguf",
		"../x/y": "x-y.gguf", "": "model.gguf", "-p": "p.gguf"} {
		m := Model{Name: name}
		m.Format = "gguf"
		if got := m.fileName(); got != want {
			t.Errorf("%q gives %q", name, got)
		}
	}
}

func FuzzWatcher(f *testing.F) {
	f.Add([]byte("generating image: 1/2 - seed 3\n\r  |" + strings.Repeat("=", 50) +
		"| 1/4 - 2s/it"))
	f.Add([]byte("[ERROR] x.cpp:1 - y\nGGML_ASSERT\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &watcher{tell: func(p Progress) {
			if p.Step < 0 || p.Steps < 0 || p.Picture < 0 {
				t.Errorf("%+v", p)
			}
		}}
		for len(data) > 0 {
			n := min(len(data), 1000)
			if k, err := w.Write(data[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			data = data[n:]
		}
		if len(w.line) > maxLine || len(w.kept) > maxKept {
			t.Errorf("keeps %d bytes and %d lines", len(w.line), len(w.kept))
		}
	})
}
