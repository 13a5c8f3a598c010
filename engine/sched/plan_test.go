package sched

import (
	"reflect"
	"testing"
	"time"
)

// measured is a machine on which a decode of n entries takes base + n * each.
func measured(base, each time.Duration) *cost {
	var c cost
	for n := 1; n <= 64; n++ {
		c.add(n, base+time.Duration(n)*each)
	}
	return &c
}

func TestPlans(t *testing.T) {
	const gap = 250 * time.Millisecond
	quick, slow := measured(20*time.Millisecond, 5*time.Millisecond), measured(200*time.Millisecond,
		50*time.Millisecond)
	answer := need{kind: token}
	prompt := need{kind: text, items: 600, ends: true, beside: true, cells: 700}
	picture := need{kind: rows, items: 576, beside: true, cells: 700}
	whole := need{kind: rows, items: 256, whole: true, beside: true, cells: 300}
	short := need{kind: text, items: 10, ends: true, beside: true, cells: 10}
	unseen := need{kind: encoding, items: 576, beside: true, cells: 700}
	served := need{kind: nothing, beside: true, cells: 700} // whom the reader works for
	idle := readerState{cells: 1024}
	left := gap*9/10 - 25*time.Millisecond // beside one answer on the quick machine
	for _, c := range []struct {
		name string
		view view
		want step
	}{
		{"nothing to do", view{}, step{}},
		{"answers alone may guess", view{tasks: []need{answer, answer}, guesses: true},
			step{guess: true}},
		{"answers of a model that does not guess", view{tasks: []need{answer}}, step{}},

		{"a prompt alone is read in a large portion", view{tasks: []need{prompt}},
			step{prompt: []portion{{0, 512}}}},
		{"a short prompt alone is read at once", view{tasks: []need{short}},
			step{prompt: []portion{{0, 10}}}},
		{"two prompts share a decode", view{tasks: []need{short, prompt}},
			step{prompt: []portion{{0, 10}, {1, 36}}}},
		{"a picture alone: the tower and what is encoded already",
			view{tasks: []need{unseen, picture}, ready: true},
			step{encode: encodeTime, rows: 495, rowsOf: 1}},
		{"a fresh prompt alone takes all of a batch",
			view{tasks: []need{{kind: text, items: 2000, fresh: true}}},
			step{prompt: []portion{{0, 512}}}},

		{"what will be given up is copied before its cells are taken",
			view{tasks: []need{prompt, answer}, reader: idle, keep: amount{1e8, 50}},
			step{keep: true}},
		{"but not in more time than the gap leaves", view{tasks: []need{short, answer},
			reader: idle, keep: amount{3e8, 50}}, step{prompt: []portion{{0, 10}}}},
		{"with nobody waiting for tokens it is done beside",
			view{tasks: []need{prompt}, keep: amount{1e9, 50}},
			step{keep: true, prompt: []portion{{0, 256}}}},
		{"unless it takes for ever", view{tasks: []need{short}, keep: amount{1e10, 50}},
			step{prompt: []portion{{0, 10}}}},
		{"for nobody nothing is copied", view{keep: amount{1e6, 50}}, step{}},

		{"a short prompt goes through beside the answer", view{tasks: []need{short, answer},
			reader: idle}, step{prompt: []portion{{0, 10}}}},
		{"a long one goes to the reader", view{tasks: []need{prompt, answer}, reader: idle},
			step{reader: readerReads, task: 0, items: firstBeside, time: left}},
		{"a reader that is closed is opened first", view{tasks: []need{answer, prompt}},
			step{reader: readerOpens, task: 1}},
		{"one that is too small is opened anew", view{tasks: []need{prompt, answer},
			reader: readerState{cells: 512}}, step{reader: readerOpens, task: 0}},
		{"as much as can be interrupted in time", view{tasks: []need{prompt, answer},
			reader: readerState{cells: 1024, each: time.Millisecond}},
			step{reader: readerReads, task: 0, items: 200, time: left}},
		{"no less than pays", view{tasks: []need{prompt, answer}, reader: readerState{cells: 1024,
			each: time.Second}},
			step{reader: readerReads, task: 0, items: leastBeside, time: left}},
		{"the last item of a prompt is left to the answers' context",
			view{tasks: []need{{kind: text, items: 100, ends: true, beside: true, cells: 700},
				answer}, reader: idle},
			step{reader: readerReads, task: 0, items: 99, time: left}},
		{"rows of a picture go to the reader", view{tasks: []need{picture, answer}, reader: idle},
			step{reader: readerReads, task: 0, items: firstBeside, time: left}},
		{"a picture that cannot be cut goes there whole", view{tasks: []need{whole, answer},
			reader: idle},
			step{reader: readerReads, task: 0, items: 256, time: left}},
		{"a decode of the reader goes on", view{tasks: []need{served, answer},
			reader: readerState{cells: 1024, busy: true}},
			step{reader: readerReads, time: left}},
		{"what it has read is handed over", view{tasks: []need{served, answer},
			reader: readerState{cells: 1024, unmoved: 300}},
			step{reader: readerMoves, items: firstBeside}},
		{"in pieces that fit the gap", view{tasks: []need{served, answer},
			reader: readerState{cells: 1024, unmoved: 300, bytes: 2e6}},
			step{reader: readerMoves, items: 100}},
		{"a short prompt does not wait for the reader",
			view{tasks: []need{{kind: text, items: 10, ends: true}, served, answer},
				reader: readerState{cells: 1024, busy: true}}, step{prompt: []portion{{0, 10}}}},
		{"a second long one does", view{tasks: []need{prompt, served, answer},
			reader: readerState{cells: 1024, busy: true}},
			step{reader: readerReads, time: left}},
		{"a decode for somebody who is gone is given up", view{tasks: []need{answer},
			reader: readerState{cells: 1024, busy: true, dropped: true}},
			step{reader: readerStops}},
		{"when the answers have ended, the reader ends what it has begun",
			view{tasks: []need{served}, reader: readerState{cells: 1024, busy: true}},
			step{reader: readerReads, time: aloneTime}},
		{"and hands it over", view{tasks: []need{served}, reader: readerState{cells: 1024,
			unmoved: 9}}, step{reader: readerMoves, items: 9}},

		{"without a reader a prompt is cut small",
			view{tasks: []need{{kind: text, items: 600}, answer}},
			step{prompt: []portion{{0, 40}}}},
		{"and a picture's rows", view{tasks: []need{{kind: rows, items: 576}, answer}},
			step{rows: 36}},
		{"but not one that cannot be cut", view{tasks: []need{{kind: rows, items: 256, whole: true},
			answer}}, step{rows: 256}},

		{"the tower gets what an answer leaves", view{tasks: []need{unseen, answer}, ready: true},
			step{encode: left}},
		{"whoever comes first gets the turn", view{tasks: []need{prompt, unseen, answer},
			ready: true, reader: idle},
			step{reader: readerReads, task: 0, items: firstBeside, time: left}},
		{"a picture that is read from disk keeps nobody waiting",
			view{tasks: []need{unseen, prompt, answer}, reader: idle},
			step{reader: readerReads, task: 1, items: firstBeside, time: left}},
		{"on a machine where a token takes all of the gap, newcomers get their share",
			view{tokens: slow, tasks: []need{unseen, answer}, ready: true},
			step{encode: time.Duration(newcomersShare * float64(250*time.Millisecond))}},

		{"prompts wait while the cells are enough for answers alone",
			view{tasks: []need{{kind: text, items: 600}, answer}, cells: 39}, step{}},
		{"of two prompts the last one waits first",
			view{tasks: []need{short, {kind: text, items: 600}}, cells: 30},
			step{prompt: []portion{{0, 10}}}},
		{"the youngest gives its cells for a token, and keeps a copy that is cheap",
			view{tasks: []need{have(0, 500, 1e6), have(2, 100, 1e6), have(1, 300, 1e6)}, cells: 2},
			step{room: roomSaves, task: 1}},
		{"and none that takes longer than to compute it again",
			view{tasks: []need{have(0, 500, 1e6), have(1, 10, 1e8)}, cells: 1},
			step{room: roomDrops, task: 1}},
		{"nor one that the gap has no time for",
			view{tasks: []need{have(0, 500, 1e6), have(1, 900, 5e8)}, cells: 1},
			step{room: roomDrops, task: 1}},
		{"nor one for which there is no memory", view{tasks: []need{have(0, 500, 1e6),
			have(1, 300, 1e6)}, cells: 1, copied: amount{1 << 30, 10}},
			step{room: roomDrops, task: 1}},
		{"nor one beyond the part of the cells that may be copied", view{tasks: []need{
			have(0, 500, 1e6), have(1, 300, 1e6)}, cells: 1, copied: amount{1e6, 800}},
			step{room: roomDrops, task: 1}},
		{"while no answer is running a copy may take its time",
			view{tasks: []need{{kind: text, items: 50, held: 900, bytes: 5e8, age: 1},
				{kind: text, items: 40, held: 200, bytes: 1e6}}, cells: 9},
			step{room: roomSaves, task: 0}},
		{"a shifted one is saved whatever time that takes", view{tasks: []need{
			have(0, 500, 1e6), {kind: token, held: 10, bytes: 9e8, age: 1, shifted: true}},
			cells: 1}, step{room: roomSaves, task: 1}},
		{"and runs on where there is no memory for it", view{tasks: []need{
			have(0, 500, 1e6), {kind: token, held: 10, bytes: 9e8, age: 1, shifted: true}},
			cells: 1, copied: amount{1 << 29, 10}}, step{room: roomSaves, task: 0}},
		{"what was moved and not computed since stays", view{tasks: []need{
			have(0, 500, 1e6), {kind: token, held: 10, bytes: 1e5, age: 1, moved: true}},
			cells: 1}, step{room: roomSaves, task: 0}},
		{"who is alone has filled the context", view{tasks: []need{have(0, 2000, 1e6)}, cells: -1},
			step{room: roomEnds, task: 0}},
		{"a picture that finds no room, and holds nothing, waits for an end",
			view{tasks: []need{{kind: rows, items: 256, whole: true, age: 1}, have(0, 900, 1e6)},
				cells: 100}, step{room: roomDrops, task: 0}},
		{"what the reader has read needs room, too", view{tasks: []need{
			{kind: nothing, beside: true, age: 1, held: 20, bytes: 1e8}, have(0, 900, 1e6)},
			reader: readerState{cells: 1024, unmoved: 300}, cells: 100},
			step{room: roomDrops, task: 0}},
		{"items that cannot be cut are handed over together", view{tasks: []need{served, answer},
			reader: readerState{cells: 1024, unmoved: 300, least: 256, bytes: 2e6}},
			step{reader: readerMoves, items: 256}},
		{"a memory without room makes some before all else", view{tasks: []need{prompt,
			have(0, 500, 1e6), have(1, 300, 1e6)}, crowded: true, wanted: amount{1e6, 10}},
			step{room: roomDrops, task: 0}},
		{"and among those that hold something", view{tasks: []need{have(0, 500, 1e6),
			have(1, 300, 1e6)}, crowded: true}, step{room: roomSaves, task: 1}},

		{"a snapshot that was asked for takes a turn", view{tasks: []need{prompt, answer},
			wanted: amount{5e8, 900}}, step{snapshot: true}},
		{"while nobody else runs as well", view{wanted: amount{1e6, 10}}, step{snapshot: true}},
		{"it waits for the memory", view{tasks: []need{answer}, wanted: amount{5e8, 900},
			copied: amount{6e8, 10}}, step{}},
		{"and a larger one until there is no other copy", view{tasks: []need{answer},
			wanted: amount{2e9, 1900}}, step{snapshot: true}},
		{"nothing is written to disk while there is no memory for the copy",
			view{tasks: []need{short, answer}, keep: amount{1e6, 50}, copied: amount{0, 960}},
			step{prompt: []portion{{0, 10}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := c.view
			v.gap, v.batch, v.rows, v.context = gap, 512, &cost{}, 2000
			if v.cells == 0 {
				v.cells = 2000
			}
			if v.tokens == nil {
				v.tokens = quick
			}
			got := v.plan()
			if near(got.encode, c.want.encode) && near(got.time, c.want.time) {
				got.encode, got.time = c.want.encode, c.want.time
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if again := v.plan(); !reflect.DeepEqual(again.prompt, got.prompt) ||
				again.reader != got.reader {
				t.Error("the second plan of the same view is another one")
			}
		})
	}
}

// have is a running answer that holds so many items, of which a copy takes so many bytes.
func have(age, held, bytes int) need {
	return need{kind: token, age: age, held: held, bytes: bytes}
}

// near reports whether two durations are equal but for the rounding of a fit.
func near(a, b time.Duration) bool { return (a - b).Abs() < 2*time.Millisecond }
