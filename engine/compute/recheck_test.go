package compute

import (
	"testing"
	"time"
)

// pauses is a recheck of a machine that a test makes up, with three parts to measure.
type pauses struct {
	recheck
	now    time.Time
	used   float64 // by others
	left   int     // parts
	begins time.Time
}

func newPauses() *pauses {
	p := &pauses{now: time.Unix(1e9, 0), left: 3}
	p.begins = p.now.Add(time.Minute)
	p.recheck = recheck{
		due:    func() (time.Time, bool) { return p.begins, p.left > 0 },
		part:   func() bool { p.left--; return p.left > 0 },
		others: func() (float64, bool) { return p.used, true },
	}
	return p
}

// idle lets the thread rest for so many ticks, and returns what passed before each.
func (p *pauses) idle(ticks int) (waited []time.Duration) {
	for range ticks {
		d, wanted := p.wait(p.now)
		if !wanted {
			return waited
		}
		p.now = p.now.Add(d)
		waited = append(waited, d)
		p.tick(p.now)
	}
	return waited
}

func TestWhatIsDueIsMeasuredInAPauseOfAQuietMachine(t *testing.T) {
	p := newPauses()
	waited := p.idle(10)
	want := []time.Duration{time.Minute, recheckRest, 0, 0}
	if len(waited) != len(want) || p.left != 0 {
		t.Fatalf("waited %v, %d parts are left", waited, p.left)
	}
	for i := range want {
		if waited[i] != want[i] {
			t.Errorf("waited %v, want %v", waited, want)
		}
	}
}

func TestNothingIsMeasuredBesideOthers(t *testing.T) {
	p := newPauses()
	p.used = 1
	if waited := p.idle(4); p.left != 3 || waited[2] < recheckLater {
		t.Errorf("waited %v, %d parts are left", waited, p.left)
	}
	p.used = 0
	if p.idle(8); p.left != 0 {
		t.Errorf("%d parts are left on a quiet machine", p.left)
	}
}

// A job ends the pause. What was measured stands, and the next pause is watched anew.
func TestJobsGoBeforeMeasurements(t *testing.T) {
	p := newPauses()
	p.idle(2)
	p.interrupted()
	if waited := p.idle(2); p.left != 1 || waited[0] != recheckRest {
		t.Errorf("waited %v, %d parts are left", waited, p.left)
	}
	var none *recheck
	none.interrupted()
	if _, wanted := none.wait(p.now); wanted {
		t.Error("a thread without measurements wants one")
	}
}

// The compute thread does its jobs, and what is due in the pauses between them.
func TestTheComputeThreadMeasuresInItsPauses(t *testing.T) {
	measured := make(chan struct{})
	th := &Thread{jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	left := 2
	th.recheck = &recheck{under: true,
		due:  func() (time.Time, bool) { return time.Time{}, left > 0 },
		part: func() bool { left--; measured <- struct{}{}; return left > 0 }}
	go th.loop()
	<-measured
	<-measured
	if err := th.Do(t.Context(), func() error { return nil }); err != nil {
		t.Error(err)
	}
	close(th.quit)
	<-th.done
}
