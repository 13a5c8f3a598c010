package kv

// cells counts how many sequences hold each cell of the context. The numbers of cells are our own:
// libllama places items where it likes, but takes one cell for each, and frees it once no sequence
// holds it.
type cells struct {
	refs []uint16 // sequences that hold a cell
	busy []uint16 // of them, those that are running
	free []int32  // numbers of cells that nobody holds
	idle int      // cells that no running sequence holds, free ones included
}

func newCells(n int) cells {
	c := cells{refs: make([]uint16, n), busy: make([]uint16, n), free: make([]int32, n), idle: n}
	for i := range c.free {
		c.free[i] = int32(n - 1 - i)
	}
	return c
}

// occupy appends n cells, each held once by a running sequence, to list. There must be as many free
// ones.
func (c *cells) occupy(list []int32, n int) []int32 {
	from := len(list)
	for range n {
		last := len(c.free) - 1
		list = append(list, c.free[last])
		c.free = c.free[:last]
	}
	c.share(list[from:])
	return list
}

// share counts one more holder of each cell, a running one.
func (c *cells) share(list []int32) {
	for _, cell := range list {
		c.refs[cell]++
	}
	c.start(list)
}

// release counts one holder less of each cell; those without one are free.
func (c *cells) release(list []int32, running bool) {
	if running {
		c.stop(list)
	}
	for _, cell := range list {
		if c.refs[cell]--; c.refs[cell] == 0 {
			c.free = append(c.free, cell)
		}
	}
}

// start notes that a holder of each cell has begun to run.
func (c *cells) start(list []int32) {
	for _, cell := range list {
		if c.busy[cell]++; c.busy[cell] == 1 {
			c.idle--
		}
	}
}

// stop notes that a holder of each cell has ended.
func (c *cells) stop(list []int32) {
	for _, cell := range list {
		if c.busy[cell]--; c.busy[cell] == 0 {
			c.idle++
		}
	}
}

// alone is the number of cells in list that nobody else holds.
func (c *cells) alone(list []int32) (n int) {
	for _, cell := range list {
		if c.refs[cell] == 1 {
			n++
		}
	}
	return n
}
