package page_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/models/diffusion/diffusiontest"
	"github.com/eyelet-engine/eyelet/models/store"
)

// drawingModel puts a model that draws into a store.
func drawingModel(t *testing.T, s *store.Store, path string) {
	t.Helper()
	name, err := store.ParseName("painter")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(t.Context(), name, store.Files{Model: path}, false, nil); err != nil {
		t.Fatal(err)
	}
}

// tinyModel writes a model that is taken for one that draws.
func tinyModel(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.safetensors")
	if err := diffusiontest.WriteTiny(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// standIn stands in for the program that draws: it says what it was asked for in a file, stops at
// the second of four steps until the file "go" is there, and draws a star. What the real one does
// is the matter of engine/draw's tests, and of the last one here.
func standIn(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	star, err := filepath.Abs(demo + "black-star.png")
	if err != nil {
		t.Fatal(err)
	}
	bar := strings.Repeat("=", 50)
	script := "#!/bin/sh\n" +
		"if [ \"$1\" = --version ]; then echo stable-diffusion.cpp version test; exit; fi\n" +
		"printf '%s\\n' \"$@\" >'" + folder + "/asked'\n" +
		"echo '[INFO ] stable-diffusion.cpp:1 - generating image: 1/1 - seed 7'\n" +
		"printf '\\r  |" + bar + "| 2/4 - 1.00it/s\\033[K'\n" +
		"while [ ! -e '" + folder + "/go' ]; do sleep 0.05; done\n" +
		"cp '" + star + "' out-0.png\n"
	program := filepath.Join(folder, "program")
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil { //nolint:gosec // a program is executable
		t.Fatal(err)
	}
	t.Setenv("EYELET_DRAW", program)
	return folder
}

func TestAPictureIsDrawnAndAskedAbout(t *testing.T) {
	folder := standIn(t)
	s := serve(t, "")
	drawingModel(t, s.store, tinyModel(t))
	v := visit(t, s.url)
	v.until(`!!document.querySelector('.composer select')?.value`, "a model")
	v.until(`![...document.querySelectorAll(".composer option")].some(o => o.value.startsWith("painter"))`, "only models that answer to choose from")
	v.press("Draw")
	v.write(`dialog [aria-label="What to draw"]`, "a black star")
	v.write(`dialog [aria-label="What shall not be seen"]`, "people")
	v.write(`dialog label:nth-of-type(1) input[type="number"]`, "128")
	v.write(`dialog label:nth-of-type(2) input[type="number"]`, "64")
	v.write(`dialog label:nth-of-type(4) input[type="number"]`, "7")
	v.press("Draw it")
	v.read("dialog [role=status]", "step 2 of 4")
	v.until(`document.querySelector("dialog progress").value === 2`, "a bar")
	v.press("Stop")
	v.read("dialog [role=status]", "Stopped")
	if err := os.WriteFile(filepath.Join(folder, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	v.press("Draw it")
	v.until(`document.querySelector("dialog .drawn img")?.naturalWidth > 0`, "the picture")
	v.read("dialog .drawn", "seed 7")
	asked, err := os.ReadFile(filepath.Join(folder, "asked"))
	if err != nil || !strings.Contains(string(asked),
		"\na black star\n-n\npeople\n-W\n128\n-H\n64\n--steps\n20\n-s\n7\n") {
		t.Errorf("asked for %q, %v", asked, err)
	}
	v.press("Save as a file")
	if !strings.HasPrefix(v.saved("a black star.png"), "\x89PNG") {
		t.Error("what is saved is no PNG file")
	}
	v.press("Ask about it")
	v.gone("dialog")
	v.read(".composer .thumbnail .name", "a black star.png")
	v.ask("What color is the background?")
	v.read("article.answer", "pink")

	// A picture can begin as another one.
	v.press("Draw")
	v.choose(`dialog input[type="file"]`, demo+"black-star.png")
	v.read("dialog label", "How much may change")
	v.press("Draw it")
	v.until(`document.querySelector("dialog .drawn img")?.naturalWidth > 0`, "the picture")
	if asked, _ := os.ReadFile(filepath.Join(folder, "asked")); !strings.Contains(string(asked),
		"\n-i\ninit.png\n--strength\n0.75\n") {
		t.Errorf("asked for %q", asked)
	}
}

// TestWhereNothingCanBeDrawn: the page says what to do.
func TestWhereNothingCanBeDrawn(t *testing.T) {
	t.Setenv("EYELET_DRAW", filepath.Join(t.TempDir(), "none"))
	s := serve(t, "")
	drawingModel(t, s.store, tinyModel(t))
	v := visit(t, s.url)
	v.press("Draw")
	v.read("dialog .error", "EYELET_DRAW")
	v.until(`[...document.querySelectorAll("dialog button")].find(b => b.textContent === "Draw it").disabled`, "a button that does nothing")
}

// TestARealPictureIsDrawn draws with the real program and a model of full shapes.
func TestARealPictureIsDrawn(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("set EYELET_SLOW=1: it draws for a minute")
	}
	const file = root + "/build/synth/sd15-f16.safetensors"
	if _, err := os.Stat(file); err != nil {
		t.Skip("go run ./scripts/synth -draw: ", err)
	}
	if os.Getenv("EYELET_DRAW") == "" {
		program, err := filepath.Abs(root + "/build/draw/sd-cli")
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("EYELET_DRAW", program)
	}
	if _, err := draw.Find(t.Context()); err != nil {
		t.Skip("run scripts/setup --draw: ", err)
	}
	s := serve(t, "")
	drawingModel(t, s.store, file)
	v := visit(t, s.url)
	v.press("Draw")
	v.write(`dialog [aria-label="What to draw"]`, "a red house")
	v.write(`dialog label:nth-of-type(1) input[type="number"]`, "64")
	v.write(`dialog label:nth-of-type(2) input[type="number"]`, "64")
	v.write(`dialog label:nth-of-type(3) input[type="number"]`, "2")
	v.press("Draw it")
	v.until(`document.querySelector("dialog .drawn img")?.naturalWidth === 64`, "the picture")
	v.press("Ask about it")
	v.ask("What is in this picture?")
}
