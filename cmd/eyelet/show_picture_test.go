package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/models"
	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
)

// familyFiles writes the files of a family of the bench, and a picture of that many pixels.
func familyFiles(t *testing.T, name string) (model, projector string) {
	t.Helper()
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if g.Name == name {
			if model, projector, err = g.Write(t.TempDir()); err != nil {
				t.Fatal(err)
			}
			return model, projector
		}
	}
	t.Fatal("no family ", name)
	return "", ""
}

func TestShowSaysWhatAPictureCosts(t *testing.T) {
	peers.WithoutRaceDetector(t)
	star := filepath.Join(demo, "black-star.png")
	for name, fewest := range map[string]int{"qwen2-5-vl": 2, "smolvlm": 2, "internvl3": 1} {
		model, projector := familyFiles(t, name)
		code, out, errs := command(t, "show", model, "--mmproj", projector, "--picture", star,
			"--json")
		var got models.PictureCosts
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
			t.Fatalf("%s: %d, %v, %q", name, code, err, errs)
		}
		if len(got.Budgets) < fewest || got.Fixed != (len(got.Budgets) == 1) || got.Width == 0 ||
			got.Budgets[0].MaxTokens != 0 {
			t.Errorf("%s: %+v", name, got)
		}
		for i, b := range got.Budgets[1:] {
			if b.ImageTokens >= got.Budgets[i].ImageTokens || b.EncodeMS <= 0 {
				t.Errorf("%s: %+v", name, got.Budgets)
			}
		}
	}
	code, out, errs := command(t, "show", seedProjector, "--picture", star)
	if code != 0 || !strings.Contains(out, "64") || !strings.Contains(out, "No budget changes") {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
	bad := filepath.Join(t.TempDir(), "bad.png")
	if err := os.WriteFile(bad, []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"--mmproj": {"show", seedModel, "--picture", star}, "bad.png": {"show", seedProjector,
			"--picture", bad}, "no such file": {"show", seedProjector, "--picture", bad + "x"},
	} {
		if code, out, errs := command(t, args...); code == 0 || out != "" ||
			!strings.Contains(errs, want) {
			t.Errorf("%v: %d, %q, %q", args, code, out, errs)
		}
	}
}
