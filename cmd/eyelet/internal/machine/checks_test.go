package machine

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

func TestCalibrationText(t *testing.T) {
	now := time.Now()
	m := ggml.Calibrated{Type: ggml.Q4_K, When: now.Add(-3 * time.Hour),
		Choices: []ggml.Choice{{Rows: 1, Path: "ggml", Of: 1, AtMost: 1},
			{Rows: 16, Path: "integers", Of: 0.9, AtMost: 0.97}, {Rows: 128, Path: "integers",
				Of:     0.42,
				AtMost: 0.45}}}
	if got, want := calibrationText(m, now),
		"q4_K: integers from 16 rows (at 128 rows 0.42 of ggml's time, at most 0.45), 3 h ago"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	single := m
	single.Choices = []ggml.Choice{{Rows: 1, Path: "integers", Of: 0.8, AtMost: 0.9}}
	if got := calibrationText(single, now); !strings.HasPrefix(got,
		"q4_K: integers from 1 row (") {
		t.Errorf("got %q", got)
	}
	m.Doubted = true
	if got := calibrationText(m, now); !strings.HasSuffix(got,
		", 3 h ago, doubted since tokens take another time") {
		t.Errorf("got %q", got)
	}
	m.Doubted = false
	m.Choices, m.Busy, m.When = m.Choices[:1], true, now.Add(-time.Second)
	if got, want := calibrationText(m, now), "q4_K: ggml, moments ago, on a busy machine"; got !=
		want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAFailedCheckMakesTheDiagnosisBad(t *testing.T) {
	var out strings.Builder
	d := &Diagnosis{OK: true, progress: &out}
	d.add(Check{Name: "a", Status: "note", Detail: "x", Remedy: "do y"})
	if !d.OK || !strings.Contains(out.String(), "→ do y") {
		t.Errorf("after a note: %v, %q", d.OK, out.String())
	}
	d.add(Check{Name: "b", Status: "failed", Detail: "z"})
	d.add(Check{Name: "c", Status: "ok", Detail: "z"})
	if d.OK {
		t.Error("a failed check left the diagnosis good")
	}
}

func TestSameRelease(t *testing.T) {
	for _, test := range []struct {
		version, release string
		want             bool
	}{{"0.7.0", "0.7", true}, {"0.7", "0.7", true}, {"0.7.12", "0.7", true},
		{"0.70.0", "0.7", false}, {"1.0.7", "0.7", false}, {"", "0.7", false}} {
		if got := sameRelease(test.version, test.release); got != test.want {
			t.Errorf("sameRelease(%q, %q) = %v", test.version, test.release, got)
		}
	}
}

func TestTheTestedVersionsAreThoseOfTheSetUp(t *testing.T) {
	list, err := os.ReadFile("../../../../scripts/versions.txt")
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{`(?m)^libllama-dev (?:\d+:)?(\d+\.\d+)\.`: testedLlama,
		`(?m)^libggml-dev (?:\d+:)?(\d+\.\d+)\.`: testedGGML} {
		found := regexp.MustCompile(pattern).FindSubmatch(list)
		if found == nil || string(found[1]) != want {
			t.Errorf("scripts/versions.txt has %q, the doctor was told %q", found, want)
		}
	}
}
