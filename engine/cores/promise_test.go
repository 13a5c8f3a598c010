package cores

import (
	"testing"
	"time"
)

// windows feeds a promise of 20 ms a token with windows of tokens, and returns how often it was
// broken.
func windows(p *Promise, n int, token time.Duration, position int, others float64) (broken int) {
	for range n {
		for i := range 10 {
			p.token(position+i, token)
		}
		if p.broken(others) {
			broken++
		}
	}
	return broken
}

func TestAPromiseIsBrokenByQuietWindowsAlone(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name     string
		token    time.Duration
		position int
		others   float64
		want     int // of three times as many windows as are judged at a time
	}{
		{"as promised", 22 * ms, 0, 0, 0},
		{"a little later", 30 * ms, 0, 0.05, 0},
		{"far later", 34 * ms, 0, 0.05, 3},
		{"far earlier", 12 * ms, 0, 0, 3},
		{"later beside others", 60 * ms, 0, 0.5, 0},
		{"later behind a long text", 60 * ms, promiseKeys, 0, 0},
	} {
		p := NewPromise(func() time.Duration { return 20 * ms })
		if got := windows(p, 3*promiseWindows, c.token, c.position, c.others); got != c.want {
			t.Errorf("%s: broken %d times, want %d", c.name, got, c.want)
		}
	}
}

func TestAPromiseNeedsQuietWindowsInARow(t *testing.T) {
	const late = time.Second
	p := NewPromise(func() time.Duration { return 20 * time.Millisecond })
	for range 5 {
		if windows(p, promiseWindows-1, late, 0, 0) > 0 || windows(p, 1, late, 0, 1) > 0 {
			t.Fatal("broken though others came between")
		}
	}
	if windows(p, promiseWindows, late, 0, 0) != 1 {
		t.Error("kept")
	}
	// Windows without answers say nothing, and break no row.
	p.broken(0)
	if windows(p, promiseWindows-1, late, 0, 0) > 0 {
		t.Error("broken too early")
	}
	if p.broken(0) || windows(p, 1, late, 0, 0) != 1 {
		t.Error("an empty window counts")
	}
}

func TestWhatIsNotPromisedIsNotBroken(t *testing.T) {
	each := time.Duration(0)
	p := NewPromise(func() time.Duration { return each })
	if windows(p, promiseWindows, time.Second, 0, 0) > 0 {
		t.Error("broken without a promise")
	}
	each = 20 * time.Millisecond // as after a measurement
	if windows(p, promiseWindows, time.Second, 0, 0) != 1 {
		t.Error("a promise that came later is not kept")
	}
	var none *Promise
	if none.token(0, time.Second); none.broken(0) {
		t.Error("a promise of nobody is broken")
	}
}
