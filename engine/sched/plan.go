package sched

import (
	"slices"
	"time"
)

const (
	// aloneTime bounds a decode while no answer is running: what somebody who comes meanwhile waits
	// for it.
	aloneTime = 3 * time.Second
	// encodeTime bounds the steps of the tower at a time while no answer is running.
	encodeTime = 500 * time.Millisecond
	// smallChunk and largeChunk are the fewest items of a prompt that are computed at a time, while
	// answers are running and while none is: below, weights are read from memory for too little.
	smallChunk, largeChunk = 4, 64
	// firstBeside is how many items are computed beside answers at a time before it was measured
	// how finely that can be interrupted, leastBeside the fewest afterwards.
	firstBeside, leastBeside = 128, 32
)

const (
	// gapShare is the part of Config.MaxGap that is planned for; the rest is for what plans do not
	// see.
	gapShare = 0.9
	// newcomersShare is what newcomers get at least, as a part of the time that the running
	// answers' tokens take: where one token alone takes as long as the gap, waiting would have no
	// end else. With 1 they wait about twice as long as alone.
	newcomersShare = 1.0
)

// kind is what a task needs next.
type kind int

const (
	nothing  kind = iota // it waits: for its beginning from disk, or for what another task reads
	token                // the next token of a running answer
	text                 // tokens of its prompt
	rows                 // rows of a picture that is encoded
	encoding             // a picture that is not encoded yet
)

// need is what the planner knows of a task.
type need struct {
	kind kind
	// that can be computed next: up to a picture, the end of a picture, or the end of the prompt
	items int
	whole bool // they cannot be cut
	ends  bool // the prompt ends with them
	fresh bool // Task.Fresh
	// beside says that a reader may take them, which then needs cells for so many items.
	beside bool
	cells  int

	// What it has, for the case that cells are short.
	held    int  // items that stand in the cache
	bytes   int  // of a copy of them; 0 while cells are not short
	age     int  // its place in the order of arrival; the youngest has the highest
	shifted bool // its oldest items were dropped: what is left cannot be computed again
	moved   bool // Task.moved
}

// readerState is what the planner knows of the reader.
type readerState struct {
	cells   int  // that it has; 0 while it is closed
	busy    bool // a decode of it is under way
	unmoved int  // items that it has computed and not handed over
	least   int  // of them, those that must be handed over together
	dropped bool // the task that it worked for is gone
	// longest time between two places where a decode can pause, for each item of it; 0 before the
	// first
	each  time.Duration
	bytes int // of an item's cells; 0 before any were copied
}

// view is what a turn is planned by: numbers alone, so that plans are tested without a model and
// without a clock.
type view struct {
	gap     time.Duration // Config.MaxGap
	tasks   []need        // by rank
	ready   bool          // the tower has steps to do
	reader  readerState
	tokens  *cost
	rows    *cost
	batch   int  // most entries of a decode
	guesses bool // tokens may be guessed ahead

	context int    // cells of the cache
	cells   int    // of them, those that hold nothing, or what nobody uses and may be evicted
	crowded bool   // a decode found no room where the books have some
	copied  amount // what is held outside the cache
	keep    amount // cells that are to be written to disk before they are evicted
	wanted  amount // a snapshot that somebody waits for; of no items if nobody does
}

// readerStep is what the reader does in a turn.
type readerStep int

const (
	readerRests readerStep = iota
	readerStops            // it gives up the decode that is under way, which nobody waits for
	readerOpens            // memory is taken for it
	// it goes on with a decode, or begins one of step.items items of step.task
	readerReads
	readerMoves // it hands over step.items items
)

// step is a turn: what is computed, in this order. The next token of each running answer comes
// last, so that the time between two is that of one turn.
type step struct {
	// room, if it is not roomEnough, is all that the turn does, for task; snapshot likewise
	room     roomStep
	snapshot bool // a copy is made that somebody waits for

	keep   bool          // cells are copied, to be written to disk
	encode time.Duration // of the tower; 0 for none
	reader readerStep
	task   int           // whom the reader begins to read for, or who gives cells back
	items  int           // that it begins to read, or hands over
	time   time.Duration // for the reader
	rows   int           // rows of a picture, of task rowsOf
	rowsOf int
	prompt []portion // items of prompts, in the decode of the answers' tokens
	guess  bool      // answers may guess ahead
}

// portion is how many items of a task's prompt a decode takes.
type portion struct{ task, items int }

// answers is the number of running answers.
func (v *view) answers() (n int) {
	for i := range v.tasks {
		if v.tasks[i].kind == token {
			n++
		}
	}
	return n
}

// left is the time that a turn has for other work than the next tokens of the running answers.
func (v *view) left(answers int) time.Duration {
	cost := v.tokens.of(answers)
	return max(time.Duration(gapShare*float64(v.gap))-cost,
		time.Duration(newcomersShare*float64(cost)))
}

// plan says what a turn computes. See the package comment for the rules.
func (v *view) plan() step {
	if v.crowded {
		busy := func(n need) bool { return n.kind != nothing }
		if i := slices.IndexFunc(v.tasks, busy); i >= 0 {
			return v.makeRoom(i)
		}
	}
	// Whoever waits for a snapshot has asked for it, so that it is not put off for want of time;
	// one that is larger than the memory for copies is made when there is no other.
	if v.wanted.items > 0 && (v.mayCopy(v.wanted) || v.copied == amount{}) {
		return step{snapshot: true}
	}
	if v.reader.dropped {
		return step{reader: readerStops}
	}
	if n := v.answers(); n > 0 {
		return v.inRoom(v.planBeside(n))
	}
	return v.inRoom(v.planAlone())
}

// planBeside is plan while answers are running, before it is known whether there are cells for it.
func (v *view) planBeside(answers int) step {
	cost, left := v.tokens.of(answers), v.left(answers)
	if v.keep.items > 0 && v.mayCopy(v.keep) && copyingOut(v.keep.bytes) <= left {
		return step{keep: true} // before those who will take the cells
	}
	for i := range v.tasks {
		switch n := &v.tasks[i]; {
		case n.kind == encoding && v.ready:
			return step{encode: left}
		case n.kind == text || n.kind == rows || (n.kind == nothing && n.beside):
			if st, ok := v.beside(i, left, answers); ok {
				return st
			}
			if n.kind == rows {
				return step{rows: v.rowsAtOnce(n, left, smallChunk), rowsOf: i}
			}
			if n.kind == text {
				return step{prompt: v.prompts(v.portion(v.tokens, cost+left, answers, smallChunk,
					v.batch-answers), answers)}
			}
		}
	}
	if v.ready { // for somebody who has something else to compute, and whose turn would have come
		return step{encode: left}
	}
	return step{guess: v.guesses}
}

// planAlone is plan while no answer is running: nobody notices how long decodes take.
func (v *view) planAlone() (st step) {
	if v.reader.busy || v.reader.unmoved > 0 {
		st, _ = v.goOn(aloneTime)
		return st
	}
	left := aloneTime
	if out := copyingOut(v.keep.bytes); len(v.tasks) > 0 && v.keep.items > 0 &&
		v.mayCopy(v.keep) && out < left/2 {
		st.keep = true
		left -= out
	}
	if v.ready {
		st.encode = encodeTime
		left -= encodeTime
	}
	for i := range v.tasks {
		if n := &v.tasks[i]; n.kind == rows {
			st.rows, st.rowsOf = v.rowsAtOnce(n, left, largeChunk), i
			left -= v.costOfRows().of(st.rows)
			break
		}
	}
	for i := range v.tasks {
		if v.tasks[i].kind == text {
			st.prompt = v.prompts(v.portion(v.tokens, left, 0, largeChunk, v.batch), 0)
			break
		}
	}
	return st
}

// beside lets the reader work for task i, if it may, and if that is worth it.
func (v *view) beside(i int, left time.Duration, answers int) (step, bool) {
	n, r := &v.tasks[i], &v.reader
	if r.busy || r.unmoved > 0 {
		if n.kind == text && !n.beside && n.items <= v.fits(n, left, answers) {
			return step{}, false // a short one does not wait for a long one
		}
		return v.goOn(left)
	}
	if !n.beside || n.kind == nothing || (n.kind == text && n.items <= v.fits(n, left, answers)) {
		return step{}, false
	}
	if r.cells < n.cells {
		return step{reader: readerOpens, task: i}, true
	}
	k := n.items
	if n.ends {
		k-- // the last one's output is drawn from in the answers' context
	}
	if !n.whole {
		most := firstBeside
		if r.each > 0 {
			most = max(int(left/r.each), leastBeside)
		}
		k = min(k, most, v.batch)
	}
	return step{reader: readerReads, task: i, items: k, time: left}, k > 0
}

// fits is how many tokens of a prompt can be computed in this turn beside the answers.
func (v *view) fits(n *need, left time.Duration, answers int) int {
	return v.tokens.within(left+v.tokens.of(answers), answers, smallChunk, max(n.items, smallChunk))
}

// goOn is the next step of what the reader has begun.
func (v *view) goOn(left time.Duration) (step, bool) {
	r := &v.reader
	if r.busy {
		return step{reader: readerReads, time: left}, true
	}
	k := firstBeside
	if r.bytes > 0 {
		k = int(left.Seconds() * copySpeed / float64(r.bytes))
	}
	k = min(r.unmoved, max(k, r.least, 1))
	return step{reader: readerMoves, items: k}, true
}

func (v *view) costOfRows() *cost {
	if v.rows.w == 0 {
		return v.tokens // rows cost about as much
	}
	return v.rows
}

// rowsAtOnce is how many rows of a picture are computed now: all of one that cannot be cut.
func (v *view) rowsAtOnce(n *need, budget time.Duration, least int) int {
	if n.whole {
		return n.items
	}
	return min(v.portion(v.costOfRows(), budget, 0, least, v.batch), n.items)
}

// portion is how many entries a decode may have beside n others. While there is only one task it is
// a power of two, or all that a batch holds for a fresh one: portions change the last bits of
// logits, and the same question should find the same answer.
func (v *view) portion(c *cost, budget time.Duration, n, least, most int) int {
	if len(v.tasks) > 1 {
		return c.within(budget, n, least, most)
	}
	if v.tasks[0].fresh {
		return most
	}
	k := least
	for limit := c.within(budget, n, least, most); 2*k <= limit; {
		k *= 2
	}
	return min(k, most)
}

// prompts shares n items among prompts, by rank.
func (v *view) prompts(n, answers int) (list []portion) {
	total := answers
	for i := range v.tasks {
		t := &v.tasks[i]
		if n <= 0 {
			break
		}
		if t.kind != text {
			continue
		}
		k := min(t.items, n)
		list = append(list, portion{i, k})
		n -= k
		if total += k; t.ends && k == t.items {
			// Its answer begins with this decode, and should not wait for those behind.
			n = min(n, v.tokens.within(v.gap, total, 0, n))
		}
	}
	return list
}
