package ggml

import (
	"testing"
	"time"
)

// A token's products take what was measured of its weights' types, by the layout that they have.
func TestATokenIsPromisedWhatItsWeightsTook(t *testing.T) {
	const rows = 1000
	row, err := Q4_0.RowSize(measureWidth)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]measured{Q4_0.String(): {Times: timingOf(2, 1, 0, 0, 0, 1.5)}} // ms a row
	weights := map[Type]int64{Q4_0: rows * int64(row)}
	for _, c := range []struct {
		name    string
		plain   bool
		weights map[Type]int64
		want    time.Duration
	}{
		{"as in the file", true, weights, 2 * time.Second},
		{"repacked", false, weights, 1500 * time.Millisecond},
		{"half of it not measured", true, map[Type]int64{Q4_0: 1 << 30, F16: 1 << 30}, 0},
		{"nothing measured", true, map[Type]int64{F16: 1 << 30}, 0},
	} {
		if got := promised(c.plain, c.weights, types); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	types[Q4_0.String()] = measured{Times: timingOf(2, 0, 0, 0, 0, 0)}
	if got := promised(false, weights, types); got != 2*time.Second {
		t.Errorf("ggml does not repack it: %v", got)
	}
}

// What is doubted is due a while after it was measured, later each time, and good for nothing else
// that it says.
func TestWhatIsDoubtedIsMeasuredAgain(t *testing.T) {
	start := time.Unix(1e9, 0)
	clear := timingOf(1, 0.5, 0, 0, 0, 0)
	c := &calibration{Types: map[string]measured{Q4_0.String(): {Times: clear, When: start},
		F16.String(): {Times: clear, When: start}}}
	if m := c.Types[Q4_0.String()]; !m.current(start.Add(1000 * time.Hour)) {
		t.Error("measured again without a doubt")
	}
	model := map[Type]int64{Q4_0: leastToMeasure, F16: leastToMeasure - 1, Q8_0: 1 << 30}
	if !c.doubt(model) || c.doubt(model) || len(c.Types) != 2 || c.Types[F16.String()].Doubted {
		t.Fatalf("doubted: %+v", c.Types)
	}
	now := start
	for looks := range 12 {
		m := c.Types[Q4_0.String()]
		wait := again << min(looks, rarest)
		if due, wanted := m.due(); !wanted || due.Sub(now) != wait || m.Looks != looks {
			t.Fatalf("look %d: due after %v, %v", looks, due.Sub(now), wanted)
		}
		if m.current(now.Add(wait)) || !m.current(now.Add(wait-1)) {
			t.Errorf("look %d: good enough at the wrong time", looks)
		}
		now = now.Add(wait)
		if c.repeated(Q4_0, &clear, now); c.Types[Q4_0.String()].Doubted {
			t.Fatal("a new measurement is doubted from the start")
		}
		c.doubt(model)
	}
}

func TestAMeasurementThatFailsLeavesTheOldOne(t *testing.T) {
	clear, none := timingOf(1, 0.5, 0, 0, 0, 0), timing{}
	start := time.Unix(1e9, 0)
	c := &calibration{Types: map[string]measured{Q4_0.String(): {Times: clear, When: start,
		Doubted: true}}}
	for _, times := range []*timing{nil, &none} {
		if c.repeated(Q4_0, times, start.Add(time.Hour)) ||
			c.Types[Q4_0.String()].Times != clear {
			t.Errorf("%v was taken", times)
		}
	}
}

// The whole of it over the machine's own figures: a doubt, and parts until nothing is due.
func TestRecheckMeasuresWhatIsDueInParts(t *testing.T) {
	mustHaveAccelerator(t)
	t.Setenv("EYELET_CACHE", t.TempDir())
	accel.mu.Lock()
	c, before := accel.calibration(0), accel.calibrations
	old := measured{Times: timingOf(1, 0.5, 0, 0, 0, 0), When: time.Now().Add(-time.Hour)}
	accel.calibrations = map[int]*calibration{
		c.Key.Threads: {Key: c.Key, Types: map[string]measured{Q8_0.String(): old}}}
	accel.noteDue()
	accel.mu.Unlock()
	defer func() {
		accel.mu.Lock()
		defer accel.mu.Unlock()
		accel.calibrations = before
		accel.noteDue()
	}()
	if _, wanted := RecheckDue(); wanted {
		t.Fatal("something is due")
	}
	(&Weights{all: map[Type]int64{Q8_0: 1 << 30}}).Doubt()
	if due, wanted := RecheckDue(); !wanted || time.Until(due) > 0 {
		t.Fatalf("due in %v, %v", time.Until(due), wanted)
	}
	parts := 1
	for Recheck() {
		parts++
	}
	if parts != len(measuredSteps) {
		t.Errorf("%d parts", parts)
	}
	m := accel.calibrations[c.Key.Threads].Types[Q8_0.String()]
	if m.Doubted || m.Looks != 1 || time.Since(m.When) > time.Minute || !m.Times.sane() ||
		m.Times.typical(0, pathGGML) == 1e6 {
		t.Errorf("measured %+v", m)
	}
	t.Logf("a row of weights takes %.1f ns of 128 rows, %.1f of 8", m.Times.typical(7, pathGGML),
		m.Times.typical(3, pathGGML))
	if kept := readCalibration(c.Key); kept.Types[Q8_0.String()].Looks != 1 {
		t.Error("it is not kept")
	}
}
