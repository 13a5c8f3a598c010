package cores

import (
	"slices"
	"testing"
	"time"
)

func TestThreadsFollowTheCoresThatOthersLeave(t *testing.T) {
	// What a step takes, by threads: alone, and beside a program that wants a core of two.
	calm := map[int]time.Duration{1: 50, 2: 26, 3: 18, 4: 14}
	for _, c := range []struct {
		name   string
		most   int
		cores  float64
		others []float64
		steps  map[int]time.Duration
		want   []int
	}{
		{"a quiet machine", 2, 2, []float64{0, 0.1, 0.3, 0}, calm, []int{2, 2, 2, 2}},
		{"a program that wants a core", 2, 2, []float64{0, 0.7, 1, 1, 1},
			map[int]time.Duration{1: 50, 2: 300}, []int{2, 1, 1, 1, 1}},
		{"it ends", 2, 2, []float64{0.7, 1, 0, 0, 0}, map[int]time.Duration{1: 50, 2: 300},
			[]int{1, 1, 1, 2, 2}},
		{"it pauses", 2, 2, []float64{0.7, 1, 0, 1, 0, 1}, map[int]time.Duration{1: 50, 2: 300},
			[]int{1, 1, 1, 1, 1, 1}},
		{"fewer threads do not help", 2, 2, []float64{0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5,
			0.5, 0.5}, map[int]time.Duration{1: 50, 2: 40},
			[]int{1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 2}},
		{"more cores than threads", 4, 8, []float64{0, 3, 4.2, 4.5}, calm, []int{4, 4, 4, 3}},
		{"all cores are wanted", 4, 4, []float64{4, 4}, map[int]time.Duration{1: 60, 4: 400},
			[]int{1, 1}},
		{"more threads than cores", 4, 2, []float64{0, 0, 0}, map[int]time.Duration{2: 26, 4: 500},
			[]int{2, 2, 2}},
		{"one thread", 1, 2, []float64{0, 2, 0}, calm, []int{1, 1, 1}},
	} {
		p := newPacer(c.most)
		var got []int
		for _, others := range c.others {
			got = append(got, p.next(window{cores: c.cores, others: others,
				step: c.steps[p.threads]}))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v threads, want %v", c.name, got, c.want)
		}
	}
}

func TestFewerThreadsAreTriedSeldomWhereTheyDoNotHelp(t *testing.T) {
	p := newPacer(2)
	tries := 0
	for range 1000 {
		if p.next(window{cores: 2, others: 1, step: time.Second}) == 1 {
			tries++
		}
	}
	if tries < 2 || tries > 15 {
		t.Errorf("%d of 1000 windows with fewer threads", tries)
	}
}

func TestCoreTimes(t *testing.T) {
	stat := []byte(`cpu  600 300 60 9000 90 0 30 15 0 0
cpu0 200 100 20 3000 30 0 10 5 0 0
cpu1 300 100 20 3000 30 0 10 5 0 0
cpu2 100 100 20 3000 30 0 10 5 0 0
cpux 1 2 3 4 5 6 7 8
cpu3 1 2
cpu4 -1 2 x 4 5 6 7 8
intr 1 2 3 4 5 6 7 8 9 10
`)
	all, niced, cores := coreTimes(stat, func(cpu int) bool { return cpu != 2 })
	if cores != 3 || all != (570+21)*10*time.Millisecond || niced != 2020*time.Millisecond {
		t.Errorf("%v %v %d", all, niced, cores)
	}
}
