package ggml

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// timingOf is one in which each path takes a multiple of the time of the first, whatever the rows.
func timingOf(multiples ...float64) timing {
	var t timing
	for _, step := range measuredSteps {
		for round := range rounds {
			for path, m := range multiples {
				t[step][round][path] = m * 1e6
			}
		}
	}
	return t
}

// disturbed is a timing while something else ran: some rounds take many times as long, all paths of
// a round alike; and one path was hit alone once.
func disturbed(t timing) timing {
	for step := range t {
		for round := range t[step] {
			for path := range t[step][round] {
				t[step][round][path] *= []float64{1, 7, 1.5, 4, 1}[round]
			}
		}
		t[step][2][pathIntegers] *= 9
	}
	return t
}

func TestABusyMachineChangesNoChoice(t *testing.T) {
	for _, clear := range []timing{timingOf(1, 0.5, 0.4, 0, 0, 0.6), timingOf(1, 2, 3, 0, 0, 0.3),
		timingOf(1, 0.3, 0, 0, 0, 1)} {
		noisy := disturbed(clear)
		if clear.busy() || !noisy.busy() {
			t.Errorf("busy: %v in a quiet moment, %v in a busy one", clear.busy(), noisy.busy())
		}
		for _, step := range measuredSteps {
			if got, want := noisy.choice(step), clear.choice(step); got != want {
				t.Errorf("step %d: path %d, in a quiet moment %d", step, got, want)
			}
			if got, want := noisy.choiceRepacked(step), clear.choiceRepacked(step); got != want {
				t.Errorf("step %d, repacked: path %d, in a quiet moment %d", step, got, want)
			}
		}
		weights := map[Type]int64{Q4_0: 1 << 30}
		if got, want := plainIsBest(weights, map[Type]timing{Q4_0: noisy}, nil),
			plainIsBest(weights, map[Type]timing{Q4_0: clear}, nil); got != want {
			t.Errorf("plain weights: %v, in a quiet moment %v", got, want)
		}
	}
}

func TestWhatIsNotClearStaysWithGGML(t *testing.T) {
	unclear := timingOf(1, 0.8, 0, 0, 0, 0.9)
	for step := range unclear {
		for round := range 2 { // faster as a rule, and slower in two rounds of five
			unclear[step][round][pathIntegers] = 3e6
		}
	}
	for _, step := range measuredSteps {
		if unclear.choice(step) != pathGGML || unclear.choiceRepacked(step) != pathGGML {
			t.Errorf("step %d: paths %d and %d", step, unclear.choice(step),
				unclear.choiceRepacked(step))
		}
	}
	decode := timingOf(1, 0, 0, 0, 0, 1)
	for round := range 2 { // repacked rows were faster in two rounds
		decode[0][round][pathRepacked] = 5e5
	}
	if plainIsBest(map[Type]int64{Q4_0: 1 << 30}, map[Type]timing{Q4_0: decode}, nil) {
		t.Error("the file's layout was chosen")
	}
}

func TestAMeasurementOfABusyMachineIsRepeated(t *testing.T) {
	clear := timingOf(1, 0.5, 0, 0, 0, 0)
	for _, test := range []struct {
		name string
		m    measured
		want bool
	}{
		{"quiet, old", measured{Times: clear, When: time.Now().Add(-1000 * time.Hour)}, true},
		{"busy, fresh", measured{Times: disturbed(clear), When: time.Now()}, true},
		{"busy, a while ago",
			measured{Times: disturbed(clear), When: time.Now().Add(-2 * again)}, false},
	} {
		if got := test.m.current(time.Now()); got != test.want {
			t.Errorf("%s: good enough: %v", test.name, got)
		}
	}
}

func TestOldCalibrationsAreDropped(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("EYELET_CACHE", dir)
	old := filepath.Join(dir, "accel-0123456789abcdef.json")
	if err := os.WriteFile(old, []byte(`{"key":{"cpu":"one","threads":2},"types":{}}`),
		0o600); err != nil {
		t.Fatal(err)
	}
	other := calibration{Key: calibrationKey{Version: calibrationVersion, CPU: "other"},
		Types: map[string]measured{}}
	kept := calibration{Key: calibrationKey{Version: calibrationVersion, CPU: "one"},
		Types: map[string]measured{}}
	for _, c := range []calibration{other, kept} {
		if err := c.save(); err != nil {
			t.Fatal(err)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "accel-*.json")); len(found) != 2 {
		t.Errorf("left: %v", found)
	}
}

// A split of the graph costs the short products of a single row more.
func TestASingleRowMustGainMore(t *testing.T) {
	for multiple, want := range map[float64][2]int{0.98: {pathGGML, pathGGML},
		0.9: {pathGGML, pathIntegers}, 0.8: {pathIntegers, pathIntegers}} {
		times := timingOf(1, multiple, 0, 0, 0, 1)
		if got := [2]int{times.choice(0), times.choice(1)}; got != want {
			t.Errorf("%v of ggml's time: paths %v, want %v", multiple, got, want)
		}
		if got := [2]int{times.choiceRepacked(0), times.choiceRepacked(1)}; got != want {
			t.Errorf("%v of ggml's time, repacked: paths %v, want %v", multiple, got, want)
		}
	}
}

func TestChoiceIsTheFastestPath(t *testing.T) {
	for _, test := range []struct {
		name string
		t    timing
		want int
	}{
		{"one is faster", timingOf(1, 0, 0.5, 0.4, 0, 0), 3},
		{"all are slower", timingOf(1, 2, 3, 4, 0, 0), pathGGML},
		{"too little is gained", timingOf(1, 0.97, 0, 0, 0, 0), pathGGML},
		{"repacking is no path", timingOf(1, 0, 0, 2, 0, 0.1), pathGGML},
	} {
		for _, step := range []int{3, 7} {
			if got := test.t.choice(step); got != test.want {
				t.Errorf("%s: step %d gets path %d, want %d", test.name, step, got, test.want)
			}
		}
	}
}

func TestRepackedWeightsAreReadWhereThatIsFaster(t *testing.T) {
	for _, test := range []struct {
		name string
		t    timing
		want int
	}{
		{"ours is faster", timingOf(1, 0.3, 0, 0, 0, 0.5), pathIntegers},
		{"too little is gained", timingOf(1, 0.49, 0, 0, 0, 0.5), pathGGML},
		{"other paths do not read them", timingOf(1, 0, 0.1, 0.1, 0, 0.5), pathGGML},
		{"ggml does not repack the type", timingOf(1, 0.3, 0, 0, 0, 0), pathGGML},
	} {
		if got := test.t.choiceRepacked(7); got != test.want {
			t.Errorf("%s: path %d, want %d", test.name, got, test.want)
		}
	}
}

func TestWeightsStayPlainUnlessThatIsSlower(t *testing.T) {
	slowDecode := timingOf(1, 0.1, 0, 0, 0, 0.2)
	for round := range rounds {
		slowDecode[0][round][1] = 0 // of a single row ours are not measured
	}
	for _, test := range []struct {
		name    string
		weights map[Type]int64
		times   map[Type]timing
		want    bool

		readable map[Type]bool
	}{
		{"nothing is known", map[Type]int64{F16: 1 << 30}, nil, false, nil},
		{"ggml does not repack the type", map[Type]int64{F16: 1 << 30},
			map[Type]timing{F16: timingOf(1, 0, 0.2, 0, 0, 0)}, true, nil},
		{"half of the weights were not measured", map[Type]int64{F16: 1 << 30, Q8_0: 1 << 30},
			map[Type]timing{F16: timingOf(1, 0, 0.2, 0, 0, 0)}, false, nil},
		{"repacked is faster", map[Type]int64{F16: 1 << 30},
			map[Type]timing{F16: timingOf(1, 0.5, 0, 0, 0, 0.3)}, false, nil},
		{"decoding would suffer", map[Type]int64{F16: 1 << 30}, map[Type]timing{F16: slowDecode},
			false, nil},
		{"the type is rare", map[Type]int64{F16: 1 << 30, F32: 1 << 10},
			map[Type]timing{F16: timingOf(1, 0.2, 0, 0, 0, 0), F32: slowDecode}, true, nil},
		{"repacked is as fast where it is read", map[Type]int64{F16: 1 << 30},
			map[Type]timing{F16: slowDecode}, false, map[Type]bool{F16: true}},
		{"what is read costs nothing", map[Type]int64{F16: 1 << 30},
			map[Type]timing{F16: timingOf(1, 0.1, 0, 0, 0, 1)}, true, map[Type]bool{F16: true}},
	} {
		if got := plainIsBest(test.weights, test.times, test.readable); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestCalibrationIsKept(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("EYELET_CACHE", filepath.Join(dir, "made"))
	key := calibrationKey{Version: calibrationVersion, CPU: "one", Threads: 2}
	if c := readCalibration(key); c.Key != key || len(c.Types) != 0 {
		t.Fatalf("without a file: %+v", c)
	}
	kept := calibration{Key: key,
		Types: map[string]measured{"f16": {Times: timingOf(1, 0, 0.5, 0, 0, 0)}}}
	if err := kept.save(); err != nil {
		t.Fatal(err)
	}
	if c := readCalibration(key); c.Types["f16"].Times != kept.Types["f16"].Times {
		t.Errorf("read back %+v", c)
	}
	if c := readCalibration(calibrationKey{Version: calibrationVersion, CPU: "one",
		Threads: 3}); len(c.Types) != 0 {
		t.Errorf("another key got %+v", c)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "made", ".accel-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDamagedCalibrationCountsAsNone(t *testing.T) {
	t.Setenv("EYELET_CACHE", t.TempDir())
	key := calibrationKey{Version: calibrationVersion, CPU: "one", Threads: 2}
	kept := calibration{Key: key,
		Types: map[string]measured{"f16": {Times: timingOf(1, 0, 0.5, 0, 0, 0)}}}
	text, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	path, err := key.file()
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string]string{
		"empty":          "",
		"cut off":        string(text[:len(text)/2]),
		"of another key": strings.Replace(string(text), "one", "two", 1),
		"without types": `{"key":{"version":5,"cpu":"one","isa":"","backend":"","ggml":"",` +
			`"library":"","threads":2}}`,
		"with a negative":  strings.Replace(string(text), "1000000,", "-1,", 1),
		"with no number":   strings.Replace(string(text), "1000000,", "1e999,", 1),
		"with a zero":      strings.Replace(string(text), "1000000,", "0,", 1),
		"not JSON":         "\x00\x01",
		"too large to be":  strings.Repeat(" ", maxCalibrationBytes) + string(text),
		"not of this kind": "[]",
	} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if c := readCalibration(key); c.Key != key || len(c.Types) != 0 {
			t.Errorf("%s: read %+v", name, c)
		}
	}
	if err := kept.save(); err != nil {
		t.Fatal(err)
	}
	if c := readCalibration(key); len(c.Types) != 1 {
		t.Errorf("after a save: %+v", c)
	}
}
