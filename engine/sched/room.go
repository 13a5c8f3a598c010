package sched

import (
	"cmp"
	"slices"
	"time"
)

// amount is how much of the cache a copy of cells holds.
type amount struct{ bytes, items int }

const (
	// MostCopies bounds the bytes of cells that are held outside the cache: of preempted tasks, on
	// their way to disk, and in snapshots that somebody asked for.
	MostCopies = 1 << 30
	// CopiedShare is the part of the cells of which there may be copies.
	CopiedShare = 0.5
	// copySpeed is about how fast cells are copied to memory and back, in bytes a second.
	copySpeed = 1e9
)

// copyingOut is about how long it takes to copy so many bytes of cells out of the cache, or in.
func copyingOut(bytes int) time.Duration {
	return time.Duration(float64(bytes) / copySpeed * float64(time.Second))
}

// mayCopy reports whether the memory for copies has room for one more.
func (v *view) mayCopy(a amount) bool {
	return v.copied.bytes+a.bytes <= MostCopies &&
		v.copied.items+a.items <= int(CopiedShare*float64(v.context))
}

// roomStep is what a turn does where cells are short.
type roomStep int

const (
	roomEnough roomStep = iota
	roomSaves           // step.task is preempted, and its cells are copied out of the cache
	roomDrops           // step.task is preempted, and computes again what others take of its cells
	roomEnds            // step.task goes on without its oldest items, or ends: it has all there is
)

// inRoom fits a step to the cells that can be had. Prompts give way to running answers, the last
// ones first. Where what is left still takes too much, the turn makes room instead.
func (v *view) inRoom(st step) step {
	answers := v.answers()
	want := answers + st.rows
	if st.reader == readerMoves {
		want += st.items
	}
	for _, p := range st.prompt {
		want += p.items
	}
	for want > v.cells && len(st.prompt) > 0 && want > st.prompt[0].items {
		last := len(st.prompt) - 1
		want -= st.prompt[last].items
		if st.prompt = st.prompt[:last]; last == 0 {
			st.prompt = nil
		}
	}
	if want <= v.cells {
		return st
	}
	is := func(of func(*need) bool) int {
		return slices.IndexFunc(v.tasks, func(n need) bool { return of(&n) })
	}
	switch {
	case answers > v.cells:
		return v.makeRoom(is(func(n *need) bool { return n.kind == token }))
	case st.rows > 0:
		return v.makeRoom(st.rowsOf)
	case st.reader == readerMoves:
		return v.makeRoom(is(func(n *need) bool { return n.kind == nothing && n.beside }))
	}
	return v.makeRoom(st.prompt[0].task)
}

// makeRoom says who gives cells back for the sake of task i: the youngest of those that hold some.
// A task without any waits for others to end, and one that is alone has filled the context. Cells
// that were moved and not computed since cannot be copied, and those of a shifted task cannot be
// computed again, so that it is preempted only where they can be saved.
func (v *view) makeRoom(i int) step {
	var holders []int
	for k := range v.tasks {
		if v.tasks[k].held > 0 {
			holders = append(holders, k)
		}
	}
	if v.tasks[i].held == 0 && len(holders) > 0 {
		return step{room: roomDrops, task: i}
	}
	slices.SortFunc(holders, func(a, b int) int {
		return cmp.Compare(v.tasks[b].age, v.tasks[a].age)
	})
	for _, k := range holders {
		switch n := &v.tasks[k]; {
		case n.moved || len(holders) == 1:
		case v.saves(n):
			return step{room: roomSaves, task: k}
		case !n.shifted:
			return step{room: roomDrops, task: k}
		}
	}
	return step{room: roomEnds, task: i}
}

// saves reports whether the cells of a task are worth a copy, and whether there are memory and, in
// the gap between two tokens of running answers, time for it.
func (v *view) saves(n *need) bool {
	out := copyingOut(n.bytes)
	switch {
	case n.bytes == 0 || !v.mayCopy(amount{n.bytes, n.held}):
		return false
	case n.shifted: // nothing but the copy brings it back
		return true
	}
	answers := v.answers()
	return 2*out < v.tokens.of(n.held) && (answers == 0 || out <= v.left(answers))
}
