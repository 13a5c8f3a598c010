package main

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document/documenttest"
)

// pdfOf makes a PDF file of pictures, one a page.
func pdfOf(t *testing.T, pictures ...string) string {
	t.Helper()
	var pages []*imaging.RGB
	for _, name := range pictures {
		m, err := imaging.Decode([]byte(readFile(t, name)), imaging.Options{})
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, m)
	}
	path := filepath.Join(t.TempDir(), "doc.pdf")
	if err := os.WriteFile(path, documenttest.PDF(pages...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunAnswersAboutTheChosenPages(t *testing.T) {
	if testing.Short() {
		t.Skip("a command a process, and slow under the race detector")
	}
	t.Parallel()
	doc := pdfOf(t, orange, pinkStar, orange)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--image", doc + "#1"}, "cyan\n"},
		{[]string{"--image", doc + "#2"}, "pink\n"},
		{[]string{"--image", doc, "--pages", "2"}, "pink\n"},
	} {
		eyelet(t, append(append([]string{"run"}, c.args...), background)...).mustSay(t,
			strings.TrimSpace(c.want))
	}
	var whole wholeReport
	strictly(t, eyelet(t, "run", "--json", "--image", doc, background).stdout, &whole)
	if len(whole.Images) != 3 || whole.Images[2] != doc+"#3" {
		t.Errorf("all pages: %+v", whole)
	}
	eyelet(t, "run", "--image", doc+"#2-4", background).mustFail(t, 3, doc, "has 3 pages",
		"no page 4")
	for _, own := range []string{"#0", "#5-3", "#3-x", "#"} {
		eyelet(t, "run", "--image", doc+own, background).mustFail(t, 2, doc+own, "1,4-6")
	}
	eyelet(t, "run", "--image", doc+"#3", "--pages", "2", background).mustFail(t, 2, "--pages",
		doc+"#3")
	eyelet(t, "run", "--image", filepath.Dir(doc)+"#2", "--jsonl", "x", background).mustFail(t, 2,
		"a folder has no pages", "--pages")
	eyelet(t, "run", "--image", doc, "--pages", "x", background).mustFail(t, 2, "1,4-6")
	eyelet(t, "run", "--image", orange, "--pages", "2", background).mustFail(t, 3, orange,
		"has 1 page", "no page 2")
	eyelet(t, "run", "--image", doc, "--frames", "2", background).mustFail(t, 2,
		"no video and no animation")
	eyelet(t, "run", "--pages", "2", background).mustFail(t, 2, "--image")
	many := make([]string, 20+1)
	for i := range many {
		many[i] = orange
	}
	eyelet(t, "run", "--image", pdfOf(t, many...), background).mustFail(t, 3, "has 21 pages",
		"--pages 1-20", "--jsonl")
	cut := writeFile(t, filepath.Join(t.TempDir(), "cut.pdf"), readFile(t, doc)[:2000])
	eyelet(t, "run", "--image", cut, background).mustFail(t, 3, cut, "corrupt or truncated PDF")
}

func TestEachPageIsAnAnswerOfItsOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("a command a process, and slow under the race detector")
	}
	t.Parallel()
	doc, out := pdfOf(t, orange, pinkStar, orange), filepath.Join(t.TempDir(), "out.jsonl")
	check := func(got []answered, names ...string) {
		t.Helper()
		if len(got) != len(names) {
			t.Fatalf("%d lines: %+v", len(got), got)
		}
		for i, want := range []string{"cyan", "pink", "cyan"}[:len(names)] {
			if got[i].Image != names[i] || got[i].Text != want {
				t.Errorf("line %d: %+v, want %s", i+1, got[i], want)
			}
		}
	}
	mustRun := func(args ...string) {
		t.Helper()
		if o := eyelet(t, append([]string{"run"}, args...)...); o.code != 0 || o.stderr != "" {
			t.Fatalf("%+v", o)
		}
	}
	mustRun("--image", doc, "--pages", "1-2", "--jsonl", out, background)
	check(lines(t, out), doc+"#1", doc+"#2")
	mustRun("--image", doc, "--jsonl", out, background)
	check(lines(t, out), doc+"#1", doc+"#2", doc+"#3")

	dir := t.TempDir()
	writeFile(t, dir+"/a.pdf", readFile(t, doc))
	writeFile(t, dir+"/b.png", readFile(t, orange))
	writeFile(t, dir+"/c.pdf", "%PDF-1.7\nnothing")
	writeFile(t, dir+"/d.jpg", readFile(t, doc))
	out = filepath.Join(t.TempDir(), "folder.jsonl")
	eyelet(t, "run", "--image", dir, "--jsonl", out, background).mustFail(t, 3, "1 of 8 pictures")
	got := lines(t, out)
	check(got[:3], "a.pdf#1", "a.pdf#2", "a.pdf#3")
	if len(got) != 8 || got[7].Image != "d.jpg#3" || got[3].Image != "b.png" ||
		got[3].Text != "cyan" || got[4].Image != "c.pdf" || !strings.Contains(got[4].Error,
		"corrupt or truncated PDF") {
		t.Errorf("%+v", got[3:])
	}

	nameless := writeFile(t, filepath.Join(t.TempDir(), "scan"), readFile(t, doc))
	out = filepath.Join(t.TempDir(), "nameless.jsonl")
	mustRun("--image", nameless, "--jsonl", out, background)
	check(lines(t, out), nameless+"#1", nameless+"#2", nameless+"#3")
}

// The pages that are asked for are looked for in files of one page too, and a file without them
// does not keep others from their answers.
func TestPagesThatAreNotThereAreNoAnswers(t *testing.T) {
	t.Parallel()
	one, out := pdfOf(t, orange), filepath.Join(t.TempDir(), "out.jsonl")
	eyelet(t, "run", "--image", one, "--pages", "5", "--jsonl", out, background).mustFail(t, 3,
		"has 1 page", "no page 5")
	eyelet(t, "run", "--image", one, "--pages", "abc", "--jsonl", out, background).mustFail(t, 2,
		"abc", "1,4-6")
	dir := t.TempDir()
	writeFile(t, dir+"/a.pdf", readFile(t, one))
	writeFile(t, dir+"/b.pdf", readFile(t, pdfOf(t, orange, pinkStar)))
	eyelet(t, "run", "--image", dir, "--pages", "2", "--jsonl", out, background).mustFail(t, 3,
		"1 of 2 pictures")
	got := lines(t, out)
	if len(got) != 2 || got[0].Image != "a.pdf" || !strings.Contains(got[0].Error, "no page 2") ||
		got[1].Image != "b.pdf#2" || got[1].Text != "pink" {
		t.Errorf("%+v", got)
	}
}

// What is said of videos is checked and refused where it would change nothing.
func TestFlagsOfVideosAreNotIgnored(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	var film bytes.Buffer
	frame := image.NewPaletted(image.Rect(0, 0, 8, 8), color.Palette{color.White, color.Black})
	if err := gif.EncodeAll(&film, &gif.GIF{Image: []*image.Paletted{frame, frame, frame},
		Delay: []int{10, 10, 10}}); err != nil {
		t.Fatal(err)
	}
	moving := writeFile(t, filepath.Join(t.TempDir(), "a.gif"), film.String())
	for _, c := range []struct{ flags, want string }{
		{"--from xyz", "--from"},
		{"--from 5 --to 2", "not after --from 5"},
		{"--frames -1", "give 1 to"},
		{"--frames 0", "give 1 to"},
		{"--fps 0", "above 0"},
		{"--fps 5", "is an animation"},
		{"--scenes", "is an animation"},
		{"--to 2", "is an animation"},
		{"--pages 2 --frames 3", "leave it out, or --frames"},
	} {
		args := append([]string{"run", "--image", moving}, strings.Fields(c.flags)...)
		eyelet(t, append(args, background)...).mustFail(t, 2, c.want)
	}
	eyelet(t, "run", "--image", moving+"#2", "--frames", "2", background).mustFail(t, 2,
		"by number")
}

// A model that gives every picture the same number of tokens says that bounds change nothing.
func TestABudgetWithoutEffectIsTold(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	o := eyelet(t, "run", "--image", orange, "--image-tokens", "8", background)
	if o.code != 0 || !strings.Contains(o.stderr, "--image-tokens has no effect") ||
		strings.TrimSpace(o.stdout) != "cyan" {
		t.Errorf("%+v", o)
	}
}

// What is wrong with a PDF file has a remedy that mends PDF files, and commands for single pictures
// say what it is.
func TestPDFFilesHaveRemediesOfTheirOwn(t *testing.T) {
	peers.WithoutRaceDetector(t)
	if testing.Short() {
		t.Skip("a command a process, and slow under the race detector")
	}
	t.Parallel()
	dir := t.TempDir()
	cut := writeFile(t, filepath.Join(dir, "cut.pdf"), "%PDF-1.7\nnothing")
	o := eyelet(t, "run", "--image", cut, background)
	o.mustFail(t, 3, cut, "print it to a new PDF file")
	locked := "../../kernels/imaging/document/testdata/locked.pdf"
	o = eyelet(t, "run", "--image", locked, background)
	o.mustFail(t, 3, locked, "needs a password; save it without one")
	if strings.Contains(o.stderr, "copy it again") {
		t.Errorf("%q", o.stderr)
	}
	text := writeFile(t, filepath.Join(dir, "a.jpg"), "words")
	eyelet(t, "run", "--image", text, background).mustFail(t, 3, "JPEG XL, PDF")
	doc := pdfOf(t, orange)
	for _, args := range [][]string{
		{"encode", doc},
		{"draw", "a house", "--init", doc, "-o", filepath.Join(dir, "x.png")},
	} {
		eyelet(t, args...).mustFail(t, 3, doc, "is a PDF file", "make a picture of the page")
	}
	large := filepath.Join(dir, "large.pdf")
	if err := os.WriteFile(large, append([]byte("%PDF-1.7\n"),
		make([]byte, imaging.DefaultMaxBytes)...), 0o600); err != nil {
		t.Fatal(err)
	}
	eyelet(t, "run", "--image", large, background).mustFail(t, 3, large, "64 MB", "split it")
}
