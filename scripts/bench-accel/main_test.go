package main

import (
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

func TestBarsAreThoseOfTheTestAndTheModel(t *testing.T) {
	tests, err := parseTests("pp512,pp3,pp4,pp32,pp33,tg128")
	if err != nil {
		t.Fatal(err)
	}
	for kind, bars := range map[string][]float64{
		"llama 1B F16":           {5, 0.98, 0.98, 0.98, 0.98, 0.98},
		"llama 1B Q8_0":          {3.2, 0.98, 1.8, 1.8, 0.98, 0.98},
		"llama 1B Q4_K - Medium": {1.45, 0.98, 1.8, 1.8, 0.98, 0.98},
		"llama 1B Q6_K":          {0, 0.98, 0.98, 0.98, 0.98, 0.98},
	} {
		for i, want := range bars {
			if got := tests[i].bar(kind); got != want {
				t.Errorf("%v of %s: %v, want %v", tests[i], kind, got, want)
			}
		}
	}
	for _, names := range []string{"", "pp", "pp0", "pp4097", "pg4", "pp4,", "pp-1"} {
		if tests, err := parseTests(names); err == nil {
			t.Errorf("%q: %v", names, tests)
		}
	}
}

func TestMissedBarsAreThoseOfTheMedians(t *testing.T) {
	reached := &result{name: "pp512", ours: []float64{1, 20, 21}, theirs: []float64{10, 11, 9},
		bar: 2}
	missed := &result{name: "tg128", ours: []float64{30, 5, 6}, theirs: []float64{10, 10},
		bar: 0.98}
	free := &result{name: "pp64", ours: []float64{1}, theirs: []float64{2}}
	if short := (results{reached, missed, free}).print("m.gguf"); len(short) != 1 ||
		short[0] != "m.gguf tg128" {
		t.Errorf("missed: %q", short)
	}
}

func TestSharesOfTimeAndRate(t *testing.T) {
	n := ggml.AcceleratorCounters{Calls: 3, Operations: 4e9, Time: 20 * time.Millisecond}
	got := counted(n, 80*time.Millisecond, 400)
	if want := "3 operations, 25 % of the time at 200 GFLOP/s, 50 % of oneDNN's"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := counted(ggml.AcceleratorCounters{}, time.Second, 400); strings.Contains(got,
		"GFLOP") {
		t.Errorf("of nothing: %s", got)
	}
}
