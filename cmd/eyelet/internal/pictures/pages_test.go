package pictures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document/documenttest"
)

func TestPagesAndTimesAreRead(t *testing.T) {
	for text, want := range map[string]string{"3": "[{3 3}]", "3-5": "[{3 5}]", "8-": "[{8 0}]",
		"-2": "[{1 2}]", "1, 4-6": "[{1 1} {4 6}]"} {
		if got, err := parsePages(text); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-", "5-3", "1,,2", "a", "1-b", "99999999999999999999",
		"1--2"} {
		if got, err := parsePages(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	for text, want := range map[string]time.Duration{"": 0, "12.5": 12500 * time.Millisecond,
		"1:02": 62 * time.Second, "1:02:03.5": 3723500 * time.Millisecond,
		"1h2m": 62 * time.Minute} {
		if got, err := clock("--from", text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "-1", "1:60", "9999999:00:00", "1:2:3:4", "NaN", "1e99",
		"-1s"} {
		if got, err := clock("--from", text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	dir := t.TempDir()
	odd := dir + "/a#2"
	if err := os.WriteFile(odd, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][2]string{odd: {odd, ""}, dir + "/b.pdf#2": {dir + "/b.pdf",
		"2"}, dir + "/b#c.pdf": {dir + "/b#c.pdf", ""}, "#2": {"#2", ""},
		"b.pdf#": {"b.pdf#", ""}} {
		if file, pages, err := SplitPages(path); file != want[0] || pages != want[1] || err != nil {
			t.Errorf("%q: %q, %q, %v", path, file, pages, err)
		}
	}
	if got := fmt.Sprint(Spread(3, 9), Spread(2, 2), Spread(1, 5)); got != "[1 4 7] [0 1] [2]" {
		t.Error(got)
	}
}

// Ctrl-C is told as such, whatever was being read.
func TestInterruptionsOfReadingAreNoFaultsOfFiles(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	const orange = "../../../../models/builtin/demo/orange-circle.png"
	doc := filepath.Join(t.TempDir(), "doc.pdf")
	if err := os.WriteFile(doc, documenttest.PDF(imaging.NewRGB(8, 8)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{orange, doc} {
		_, err := ReadFile(ctx, path)
		picture, readError := imageFile(path)
		if readError != nil {
			t.Fatal(readError)
		}
		_, openError := openDocument(ctx, picture)
		for _, err := range []error{err, openError} {
			if cli.ExitCode(err) != cli.ExitInterrupted || cli.Describe(err) != "interrupted" {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// Whatever is written for pages and times is a choice within bounds, or a mistake of the user's.
func FuzzChoices(f *testing.F) {
	for _, s := range []string{"3", "3-5", "8-", "-2", "1,4-6", "12.5", "1:02", "1h2m",
		"999999999999999999999", "1:2:3.5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		usage := func(err error) bool {
			_, ok := errors.AsType[*cli.UsageError](err)
			return ok
		}
		ranges, err := parsePages(text)
		if err != nil && !usage(err) {
			t.Errorf("pages %q: %v", text, err)
		}
		for _, r := range ranges {
			if r.from < 1 || r.to != 0 && r.to < r.from {
				t.Errorf("pages %q: %+v", text, r)
			}
		}
		if d, err := clock("--from", text); err != nil && !usage(err) || d < 0 {
			t.Errorf("time %q: %v, %v", text, d, err)
		}
	})
}
