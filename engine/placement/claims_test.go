package placement

import (
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
)

// Drivers do not know of loads under way, which must not be promised the same memory.
func TestLoadsAtOnceAreNotPromisedTheSameMemory(t *testing.T) {
	spec := modelspec.Spec{Model: seedModel}
	device := func(free int64) []ggml.Device {
		return []ggml.Device{{Name: "A", Type: ggml.GPU, MemoryFree: uint64(free),
			MemoryTotal: 1 << 40}}
	}
	whole, err := placeOn(&spec, device(1<<40)...)
	if err != nil {
		t.Fatal(err)
	}
	one := whole.takes[0]
	free := one * 2 // for one and most of another, since some is left over
	var c claims
	first, endFirst, err := c.place(&spec, device(free))
	if err != nil || first.layers != first.all {
		t.Fatalf("%+v, %v", first, err)
	}
	second, endSecond, err := c.place(&spec, device(free))
	if err != nil || second.layers == 0 || second.layers == second.all ||
		second.takes[0] > free-one {
		t.Errorf("%+v, %v beside one of %d bytes in %d", second, err, one, free)
	}
	third, endThird, err := c.place(&spec, device(free))
	if err != nil || third.layers >= second.layers ||
		first.takes[0]+second.takes[0]+third.takes[0] > free {
		t.Errorf("%+v, %v beside two", third, err)
	}
	endThird(false)
	endSecond(false)
	if got := c.now(device(free))[0].MemoryFree; got != uint64(free-one) {
		t.Errorf("%d bytes are left by the first, want %d", got, free-one)
	}
	c.freed([]Share{{Device: "A", Bytes: 5}, {Device: "B", Bytes: 7}})
	if got := c.now(device(free))[0].MemoryFree; got != uint64(free-one+5) {
		t.Errorf("%d bytes, want 5 more than %d", got, free-one)
	}
	endFirst(true) // and the driver knows of it
	if got := c.now(device(free - one))[0].MemoryFree; got != uint64(free-one) || len(c.on) != 0 {
		t.Errorf("%d bytes, %d devices", got, len(c.on))
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	total := int64(0)
	var ends []func(bool)
	for range 20 {
		work.Go(func() {
			p, end, err := c.place(&spec, device(5*one))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			total += p.takes[0]
			ends = append(ends, end)
		})
	}
	work.Wait()
	if total > 5*one || total < 4*one {
		t.Errorf("20 loads at once are promised %d bytes of %d", total, 5*one)
	}
	for i, end := range ends {
		end(i%2 == 0)
	}
	if len(c.on) != 0 {
		t.Errorf("%d devices have loads", len(c.on))
	}
}
