package llama

// #include "shim.h"
import "C"

import (
	"errors"
	"unsafe"
)

// A Collector adds up, for an importance matrix, the squares of the inputs of each matrix of a
// model's layers, column by column, while contexts that were made with it compute. Of a stack
// (experts, or a matrix for each head) each matrix has sums of its own. It belongs to the goroutine
// that computes.
//
// The last layer computes only what outputs need: ask for the output of every entry.
type Collector struct{ c *C.shim_collector }

// Sums are those of one matrix, or of a stack.
type Sums struct {
	Squares []float32 // of each column, matrix after matrix
	Values  []float32 // sums of the inputs themselves, in the same order
	Counts  []float32 // rows seen, one for each matrix
}

// NewCollector makes an empty Collector for a language model.
func NewCollector() (*Collector, error) { return newCollector(false) }

// NewTowerCollector makes an empty Collector for a vision tower with its projector, which libmtmd
// computes: see [Collector.Observer].
func NewTowerCollector() (*Collector, error) { return newCollector(true) }

func newCollector(tower bool) (*Collector, error) {
	c := C.shim_collector_new(C.bool(tower))
	if c == nil {
		return nil, errors.New("llama: out of memory")
	}
	return &Collector{c}, nil
}

// pointer is what C takes; nil of a nil Collector.
func (c *Collector) pointer() *C.shim_collector {
	if c == nil {
		return nil
	}
	return c.c
}

// Observer returns the C function and its data that a scheduler of ggml calls at each node. The
// Collector must outlive the scheduler.
func (c *Collector) Observer() (function, data unsafe.Pointer) {
	return C.shim_collector_callback(), unsafe.Pointer(c.c)
}

// Sums returns copies of what was added up so far, by name of the weight. It fails if an input
// could not be read, and with ErrClosed after Close.
func (c *Collector) Sums() (map[string]Sums, error) {
	if c.c == nil {
		return nil, ErrClosed
	}
	var failed C.bool
	n := C.shim_collector_size(c.c, &failed)
	if failed {
		return nil, errors.New("llama: not all inputs of the model's matrices could be read: out of memory, or models of other shapes took turns")
	}
	all := make(map[string]Sums, int(n))
	for i := range n {
		var name *C.char
		var squares, values, counts *C.float
		var nSquares, nCounts C.size_t
		C.shim_collector_entry(c.c, i, &name, &squares, &values, &nSquares, &counts, &nCounts)
		all[C.GoString(name)] = Sums{Squares: copyFloats(squares, nSquares),
			Values: copyFloats(values, nSquares), Counts: copyFloats(counts, nCounts)}
	}
	return all, nil
}

func copyFloats(p *C.float, n C.size_t) []float32 {
	return append([]float32(nil), unsafe.Slice((*float32)(unsafe.Pointer(p)), int(n))...)
}

// Close frees the sums. The contexts that were made with the Collector must be closed before.
func (c *Collector) Close() {
	C.shim_collector_free(c.c)
	c.c = nil
}
