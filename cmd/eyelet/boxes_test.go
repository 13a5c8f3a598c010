package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

func TestRunDrawsWhatTheAnswerLocates(t *testing.T) {
	peers.WithoutRaceDetector(t)
	if testing.Short() {
		t.Skip("a command a process, and slow under the race detector")
	}
	t.Parallel()
	star := filepath.Join(demo, "black-star.png")
	before, err := imaging.Decode([]byte(readFile(t, star)), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const schema = `{"const": [{"bbox_2d": [80, 46, 102, 68], "label": "star"}]}`
	for _, name := range []string{"found.png", "found.JPG"} {
		out := filepath.Join(t.TempDir(), name)
		var r struct{ Boxes []boxes.Mark }
		read := func(text string) {
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatalf("%v in %q", err, text)
			}
		}
		read(eyelet(t, "run", "--image", star, "--boxes", out, "--schema", schema, "--json",
			"Where is the star?").stdout)
		if len(r.Boxes) != 1 || r.Boxes[0] != (boxes.Mark{X: 80, Y: 46, Width: 22, Height: 22,
			Label: "star"}) {
			t.Errorf("%+v", r)
		}
		after, err := imaging.Decode([]byte(readFile(t, out)), imaging.Options{})
		if err != nil || after.W != before.W || after.H != before.H {
			t.Fatal(after, err)
		}
		edge, middle := 3*(57*before.W+80), 3*(57*before.W+95)
		if p := after.Pix[edge : edge+3]; int(p[0])-int(p[2]) < 60 {
			t.Errorf("%s: no line on the box: %v", name, p)
		}
		for c := range 3 {
			if d := int(after.Pix[middle+c]) - int(before.Pix[middle+c]); d > 40 || d < -40 {
				t.Errorf("%s: the picture itself is changed: %v, was %v", name,
					after.Pix[middle:middle+3], before.Pix[middle:middle+3])
				break
			}
		}
	}
	none := filepath.Join(t.TempDir(), "none.png")
	run := eyelet(t, "run", "--image", star, "--boxes", none, background)
	if run.code != 0 || run.stdout != "pink\n" {
		t.Errorf("%+v", run)
	}
	if _, err := os.Stat(none); err == nil || !strings.Contains(run.stderr, "locates nothing") {
		t.Errorf("%v, %q", err, run.stderr)
	}
	eyelet(t, "run", "--image", star, "--boxes", "found.webp", background).mustFail(t, 2,
		"found.webp", ".png")
	eyelet(t, "run", "--image", star, "--image", star, "--boxes", none, background).mustFail(t, 2,
		"--boxes", "one --image")
	eyelet(t, "run", "--boxes", none, background).mustFail(t, 2, "--boxes", "one --image")
	eyelet(t, "run", "--image", star, "--boxes", filepath.Join(none, "x.png"), "--schema", schema,
		"Where?").mustFail(t, 3, "x.png", "no such file")
}
