package main

import (
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

func TestBenchVisionPrintsTheContestants(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	o := eyelet(t, "bench", "vision", "--rounds", "1", "--tiles", "1,2", "--precision", "f32,int8",
		"-t", "1")
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	for _, want := range []string{"clip: 112 x 112 pixels", "Limit f32", "Limit int8", "native f32",
		"native int8", "mtmd", "in libmtmd's layout", "A photo of 4000 x 3000",
		"5 of the 6 blocks"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in %s", want, o.stdout)
		}
	}
	if strings.Contains(o.stdout, "native bf16") || strings.Contains(o.stdout, "Limit bf16") {
		t.Errorf("bf16, which was not asked for, is in %s", o.stdout)
	}
}

func TestBenchVisionJSONIsTheReport(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	o := eyelet(t, "bench", "vision", "--quick", "--json", "--backend", "native", "--mmproj",
		seedProjector, "--image", demo+"/black-star.png")
	var r bench.VisionReport
	strictly(t, o.stdout, &r)
	if o.code != 0 || r.Rounds != 2 || len(r.Contestants) != 3 ||
		len(r.Contestants[0].Encodes) != 1 || r.Projector != seedProjector {
		t.Errorf("%+v", r)
	}
}
