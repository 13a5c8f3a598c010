package sched

import (
	"testing"
	"time"
)

func TestTheSizeOfADecodeIsTheOneThatMakesMostOfTheTime(t *testing.T) {
	ms := func(n int) time.Duration { // rows go through the kernels eight at a time
		return time.Duration(20+40*((n+7)/8)) * time.Millisecond
	}
	var c cost
	if got := c.within(time.Second, 0, 4, 100); got != 4 {
		t.Errorf("%d entries before anything was measured", got)
	}
	for range 3 {
		for n := 1; n <= 24; n++ {
			c.add(n, ms(n))
		}
	}
	for _, want := range []struct {
		budget                 time.Duration
		others, least, most, n int
	}{
		{110 * time.Millisecond, 0, 1, 100, 16},
		{110 * time.Millisecond, 4, 1, 100, 12},
		{110 * time.Millisecond, 4, 1, 9, 9},
		{70 * time.Millisecond, 4, 1, 100, 4},
		{time.Millisecond, 4, 3, 100, 3},
		{time.Millisecond, 4, 3, 2, 2},
	} {
		if got := c.within(want.budget, want.others, want.least, want.most); got != want.n {
			t.Errorf("within %v beside %d, %d to %d: %d, want %d", want.budget, want.others,
				want.least, want.most, got, want.n)
		}
	}
	if got := c.within(10*time.Second, 4, 1, 1000); got < 500 {
		t.Errorf("%d entries in ten seconds", got)
	}
}
