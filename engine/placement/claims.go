package placement

import (
	"slices"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
)

// claims are what loads under way will take of the memory of devices. Drivers say what is free; of
// what a load has not allocated yet, they know nothing.
type claims struct {
	mu sync.Mutex
	on map[deviceKey]*claimed
}

// promised are the claims of the process, as devices are the process's.
var promised claims

// deviceKey tells devices apart.
type deviceKey struct{ server, name string }

func keyOf(d ggml.Device) deviceKey {
	k := deviceKey{name: d.Name}
	if d.Remote != nil {
		k.server = d.Remote.Address()
	}
	return k
}

// claimed is the memory of a device while models are loaded there.
type claimed struct {
	loads int
	// bytes that were free when the first of them began, with what was given back since, and
	// without what all of them take that have begun since
	left int64
}

// place decides where the layers of a model go, and counts what they take until end is called: with
// loaded, if it is allocated now, and was not given back. p is nil where none go to devices, or
// where the file does not say enough; end is never nil.
func (c *claims) place(spec *modelspec.Spec,
	devices []ggml.Device) (p *placed, end func(loaded bool), err error) {
	s, err := size(spec, devices)
	if err != nil || s == nil {
		return nil, func(bool) {}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	current := c.current(s.devices)
	p = s.place(spec, current)
	for i, d := range current {
		c.begin(d, p.takes[i])
	}
	return p, func(loaded bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, d := range current {
			c.end(keyOf(d), p.takes[i], loaded)
		}
	}, nil
}

// now returns devices with what of their memory is free and not claimed.
func (c *claims) now(devices []ggml.Device) []ggml.Device {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current(devices)
}

// current is now. c.mu is held.
func (c *claims) current(devices []ggml.Device) []ggml.Device {
	devices = slices.Clone(devices)
	local := ggml.GPUs()
	for i := range devices {
		d := &devices[i]
		if k := slices.IndexFunc(local, func(l ggml.Device) bool {
			return l.Pointer() == d.Pointer() && d.Pointer() != nil
		}); k >= 0 {
			d.MemoryFree = local[k].MemoryFree
		}
		if on := c.on[keyOf(*d)]; on != nil {
			d.MemoryFree = uint64(min(max(on.left, 0), int64(min(d.MemoryFree, 1<<62))))
		}
	}
	return devices
}

// begin counts a load that takes so much of a device. c.mu is held.
func (c *claims) begin(d ggml.Device, bytes int64) {
	if d.MemoryTotal == 0 && d.MemoryFree == 0 {
		return // nobody knows
	}
	on := c.on[keyOf(d)]
	if on == nil {
		on = &claimed{left: int64(min(d.MemoryFree, 1<<62))}
		if c.on == nil {
			c.on = map[deviceKey]*claimed{}
		}
		c.on[keyOf(d)] = on
	}
	on.loads, on.left = on.loads+1, on.left-bytes
}

// end takes a load back. c.mu is held.
func (c *claims) end(k deviceKey, bytes int64, loaded bool) {
	on := c.on[k]
	if on == nil {
		return
	}
	if !loaded {
		on.left += bytes
	}
	if on.loads--; on.loads == 0 {
		delete(c.on, k) // what is free says the driver
	}
}

// Release counts what a closed model had on devices as free.
func Release(shares []Share) { promised.freed(shares) }

func (c *claims) freed(shares []Share) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range shares {
		if on := c.on[deviceKey{s.Server, s.Device}]; on != nil {
			on.left += s.Bytes
		}
	}
}
