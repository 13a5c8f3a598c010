package nn

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// threadSeconds is the processor time that the calling thread has used. Other work on the machine
// disturbs it far less than the clock.
func threadSeconds(tb testing.TB) float64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		tb.Fatal(err)
	}
	return float64(at.Nano()) / 1e9
}

// BenchmarkTowers runs blocks of towers in use on one thread, loop by loop: what stands before
// attention, attention, and what follows. It reports billions of operations a second of processor
// time.
func BenchmarkTowers(b *testing.B) {
	windows := slices.Repeat([]int{64}, 56)
	for _, tower := range []struct {
		name              string
		hidden, heads, ff int
		gated             bool
		lengths           []int
	}{
		{"vit-l", 1024, 16, 4096, false, []int{577}},
		{"smolvlm2", 768, 12, 3072, false, []int{1024}},
		{"gemma3", 1152, 16, 4304, false, []int{4096}},
		{"qwen2.5-vl windows", 1280, 16, 3420, true, windows},
		{"qwen2.5-vl full", 1280, 16, 3420, true, []int{3600}},
	} {
		for _, precision := range []Precision{F32, BF16, Int8, Int16} {
			c := Config{Precision: precision, Threads: 1, Hidden: tower.hidden, Heads: tower.heads,
				FF: tower.ff, Gated: tower.gated, Eps: 1e-6, Activation: onednn.GELUTanh}
			if len(tower.lengths) == 1 && tower.lengths[0] < 2000 {
				c.Rows = tower.lengths[0]
			}
			p := open(b, c)
			block := newBlock(b, p, randomBlock(rand.New(rand.NewPCG(1, 2)), c))
			a := newAttention(b, p, tower.lengths...)
			s := newState(b, p, a.Rows())
			b.Run(tower.name+"/"+precision.String(), func(b *testing.B) {
				benchmarkLoops(b, p, block, s, a)
			})
		}
	}
}

// benchmarkLoops runs a block in so many parts that hardly one of them belongs to two loops.
func benchmarkLoops(b *testing.B, p *Plan, block *Block, s *State, a *Attention) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const parts = 400
	before, heads, after := p.work(a)
	work := [3]float64{before, heads, after}
	var seconds [3]float64
	for b.Loop() {
		for part := range parts {
			loop, done := 0, (float64(part)+0.5)/parts*(before+heads+after)
			for ; loop < 2 && done >= work[loop]; loop++ {
				done -= work[loop]
			}
			begin := threadSeconds(b)
			if err := p.RunBlockPart(block, s, a, nil, part, parts); err != nil {
				b.Fatal(err)
			}
			seconds[loop] += threadSeconds(b) - begin
		}
	}
	all := 0.0
	for loop, name := range []string{"before", "attention", "after"} {
		b.ReportMetric(work[loop]*float64(b.N)/seconds[loop]/1e9, name+"-GFLOP/s")
		all += seconds[loop]
	}
	b.ReportMetric((before+heads+after)*float64(b.N)/all/1e9, "GFLOP/s")
	b.ReportMetric(0, "ns/op")
}
