package cores

import "time"

// A token of an answer is hundreds of small products one after the other, and after each of them
// all threads wait for the last one. A thread that has lost its core to another program keeps the
// others waiting for the whole of that program's time slice: two threads on two cores, one of which
// is wanted by somebody else, were seen to write at a tenth of their speed, where one thread writes
// at half of it. So answers are computed by as many threads as have a core for themselves, which is
// watched while they run. Prompts and pictures are made of few and large products; they keep all
// threads.

const (
	// paceWindow is how long the machine is watched before anything is decided, paceStale the age
	// from which on what was seen says nothing.
	paceWindow = 400 * time.Millisecond
	paceStale  = 2 * time.Second
	// paceSpare is the part of a core that others may use without a thread being given up for it.
	paceSpare = 0.3
	// paceGain is how much shorter a step with fewer threads must be for it to stay with these.
	paceGain = 0.95
	// paceAgain is how many windows pass before fewer threads are tried again where they did not
	// help, at first and at most.
	paceAgain, paceMost = 8, 128
)

// AnswerRows is the most entries of a decode that is counted as a step of answers.
const AnswerRows = 16

// window is what was seen of the machine and of the steps of answers for a while.
type window struct {
	cores  float64 // that this process may use
	others float64 // of them, those that others kept busy
	step   time.Duration
}

// pacer decides how many threads compute a step, of at most most. It knows no clock and no machine.
type pacer struct {
	most    int
	threads int
	more    int // windows in a row that had room for more threads
	// threads before the last change to fewer, until it has proved right; 0 if it has
	from   int
	before time.Duration // a step then
	hold   int           // windows until fewer threads are tried again
	again  int           // what hold begins with next time
}

func newPacer(most int) *pacer { return &pacer{most: most, threads: most, again: paceAgain} }

// next takes what was seen and returns the number of threads from now on.
func (p *pacer) next(w window) int {
	if p.from > 0 { // fewer threads are on trial
		from := p.from
		p.from = 0
		if float64(w.step) > paceGain*float64(p.before) {
			p.threads, p.hold, p.more = from, p.again, 0
			p.again = min(2*p.again, paceMost)
			return p.threads
		}
		p.again = paceAgain
	}
	p.hold = max(p.hold-1, 0)
	fits := min(max(int(w.cores-w.others+paceSpare), 1), p.most)
	switch {
	case fits < p.threads && p.hold == 0:
		p.from, p.before = p.threads, w.step
		p.threads, p.more = fits, 0
	case fits > p.threads:
		if p.more++; p.more == 2 { // one window may have been a pause of theirs
			p.threads, p.more = fits, 0
		}
	default:
		p.more = 0
	}
	return p.threads
}

// Pace decides how many threads compute answers, by watching the machine as long as they are
// computed. It belongs to the compute thread. A nil Pace leaves the number alone.
type Pace struct {
	pacer
	watch   func() (busy, bool)
	last    busy
	spent   time.Duration // on steps in this window
	steps   float64       // of one row
	promise *Promise      // nil for none
	broken  func()
}

// busy is the time for which cores were busy, since the machine was started.
type busy struct {
	at     time.Time
	cores  int
	others time.Duration // by other programs, those of low priority counted little
}

// othersSince returns how many cores others used since an earlier time.
func (b busy) othersSince(earlier busy) float64 {
	return max((b.others-earlier.others).Seconds(), 0) / b.at.Sub(earlier.at).Seconds()
}

// Watch tells how much of the machine others use. The zero value has seen nothing.
type Watch struct{ last busy }

// Others returns how many cores others used since it was last called; false for the first time, and
// on systems that do not tell.
func (w *Watch) Others() (cores float64, ok bool) {
	seen, ok := watchCores()
	if ok && !w.last.at.IsZero() {
		cores = seen.othersSince(w.last)
	} else {
		ok = false
	}
	w.last = seen
	return cores, ok
}

// NewPace begins with the most threads that there are.
func NewPace(most int) *Pace { return &Pace{pacer: *newPacer(most), watch: watchCores} }

// Keep compares the time of tokens with a promise, and calls broken, on the compute thread, each
// time that some seconds of them show it broken.
func (p *Pace) Keep(promise *Promise, broken func()) { p.promise, p.broken = promise, broken }

// Threads is how many threads are to compute a decode of so many entries; 0 of a nil Pace.
func (p *Pace) Threads(entries int) int {
	switch {
	case p == nil:
		return 0
	case entries > AnswerRows:
		return p.most
	}
	return p.threads
}

// Computed tells of a step that has been computed, whose first entry stands at a position, and
// decides anew where the window is over.
func (p *Pace) Computed(entries, position int, took time.Duration) {
	if p == nil || p.most < 2 && p.promise == nil || entries > AnswerRows {
		return
	}
	if entries == 1 && p.threads == p.most {
		p.promise.token(position, took)
	}
	p.spent += took
	p.steps += 1 + float64(entries-1)/2
	now := time.Now()
	age := now.Sub(p.last.at)
	if age < paceWindow {
		return
	}
	seen, ok := p.watch()
	if !ok {
		return
	}
	if age <= paceStale && p.steps > 0 {
		others := seen.othersSince(p.last)
		p.next(window{cores: float64(seen.cores), others: others,
			step: time.Duration(float64(p.spent) / p.steps)})
		if p.promise.broken(others) {
			p.broken()
		}
	}
	p.last, p.spent, p.steps = seen, 0, 0
}
