package media

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
)

// computer is a thread that runs long jobs, as a scheduler has one.
type computer struct {
	runs chan func()
	woke chan struct{}
}

// newComputer starts one that ends with the test.
func newComputer(t testing.TB) *computer {
	c := &computer{runs: make(chan func(), 100), woke: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for run := range c.runs {
			run()
		}
	}()
	t.Cleanup(func() { close(c.runs); <-ended })
	return c
}

func (c *computer) options(cache *Cache) EncoderOptions {
	return EncoderOptions{Cache: cache, Start: func(run func()) { c.runs <- run }, Wake: c.wake}
}

func (c *computer) wake() {
	select {
	case c.woke <- struct{}{}:
	default:
	}
}

// kick is an Advance that has no steps to do.
func kick(t testing.TB, e *Encoder) {
	t.Helper()
	if ran, _, err := e.Advance(context.Background(), 10); ran != 0 || err != nil {
		t.Fatalf("%d steps, %v", ran, err)
	}
}

func released() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func TestLongJobsRunElsewhereOneAtATime(t *testing.T) {
	c := newComputer(t)
	e := newEncoder(t, c.options(nil))
	a := &script{name: "a", steps: 1, values: 4, long: make(chan struct{})}
	b := &script{name: "b", steps: 1, values: 4, long: make(chan struct{})}
	first, second := e.Want(a.picture()), e.Want(b.picture())
	if !e.Ready() {
		t.Fatal("not ready to start one")
	}
	kick(t, e)
	kick(t, e)
	e.Collect()
	if e.Ready() || first.Done() || b.begun != 0 || e.Pending() != 2 {
		t.Fatalf("ready %v, done %v, b begun %d times, %d pending", e.Ready(), first.Done(), b.begun, e.Pending())
	}
	joined := e.Want(a.picture())
	close(a.long)
	<-c.woke
	if first.Done() {
		t.Fatal("done before Collect")
	}
	e.Collect()
	wantRows(t, first, a)
	wantRows(t, joined, a)
	wantClean(t, a)
	close(b.long)
	kick(t, e)
	<-c.woke
	e.Collect()
	wantRows(t, second, b)
	st := e.Stats()
	if st.Begun != 2 || st.Finished != 2 || st.SavedInFlight != 1 || st.Steps != 0 || st.Encoding <= 0 || e.StepCost() != 0 {
		t.Errorf("%+v, a step costs %v", st, e.StepCost())
	}
}

func TestWithoutStartLongJobsAreLikeOthers(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	s := &script{name: "a", steps: 1, values: 4, long: released()}
	ticket := e.Want(s.picture())
	advance(t, e, 1)
	wantRows(t, ticket, s)
}

func TestLongJobsFailTheirTicketsAlone(t *testing.T) {
	c := newComputer(t)
	e := newEncoder(t, c.options(nil))
	for _, s := range []*script{{stepErr: errScript}, {rowsErr: errScript}, {short: true}} {
		s.name, s.steps, s.values, s.long = "a", 1, 4, released()
		b := &script{name: "b", steps: 2, values: 4}
		bad, good := e.Want(s.picture()), e.Want(b.picture())
		kick(t, e)
		<-c.woke
		e.Collect()
		if !s.short {
			wantErr(t, bad, errScript)
		} else if bad.Err() == nil {
			t.Error("rows of another length were taken")
		}
		wantClean(t, s)
		if !good.Done() { // known from the second round on
			advance(t, e, 2)
		}
		wantRows(t, good, b)
	}
	if st := e.Stats(); st.Failed != 3 || st.Finished != 1 {
		t.Errorf("%+v", st)
	}
}

// A job that is running is freed when it has ended, not before; meanwhile its picture can be wanted again.
func TestACancelledLongJobIsFreedWhenItHasEnded(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		c := newComputer(t)
		e := newEncoder(t, c.options(nil))
		s := &script{name: "a", steps: 1, values: 4, long: make(chan struct{}), deaf: deaf}
		ticket := e.Want(s.picture())
		kick(t, e)
		for s.running.Load() == 0 {
			runtime.Gosched()
		}
		ticket.Release()
		wantErr(t, ticket, context.Canceled)
		if s.jobs != 1 || e.Pending() != 0 {
			t.Fatalf("%d jobs, %d pending", s.jobs, e.Pending())
		}
		again := &script{name: "a", steps: 3, values: 4}
		second := e.Want(again.picture())
		kick(t, e)
		if again.begun != 0 || e.Pending() != 1 || e.Ready() {
			t.Fatal("the second began while the first runs")
		}
		if deaf {
			close(s.long)
		}
		<-c.woke
		e.Collect()
		wantClean(t, s)
		if deaf { // it was done all the same: nothing is left to do
			kick(t, e)
		} else {
			advance(t, e, 3)
		}
		wantRows(t, second, again)
		wantClean(t, again)
		st := e.Stats()
		if st.Cancelled != 1 || st.Begun != st.Finished+st.Failed+st.Cancelled || (st.SavedMemory == 1) != deaf {
			t.Errorf("%+v", st)
		}
	}
}

func TestALongJobThatWasCancelledBeforeItRanDoesNotRun(t *testing.T) {
	var run func()
	woke := 0
	e := newEncoder(t, EncoderOptions{Start: func(f func()) { run = f }, Wake: func() { woke++ }})
	s := &script{name: "a", steps: 1, values: 4, long: released()}
	ticket := e.Want(s.picture())
	kick(t, e)
	ticket.Release()
	run()
	e.Collect()
	wantClean(t, s)
	if _, ok := e.opts.Cache.Get(keyOf("a")); ok || woke != 1 {
		t.Errorf("it ran: %v; woken %d times", ok, woke)
	}
}

func TestClosingWaitsForALongJob(t *testing.T) {
	for _, dropped := range []bool{false, true} {
		c := newComputer(t)
		e := newEncoder(t, c.options(nil))
		a := &script{name: "a", steps: 1, values: 4, long: make(chan struct{})}
		b := &script{name: "b", steps: 1, values: 4, long: make(chan struct{})}
		first, second := e.Want(a.picture()), e.Want(b.picture())
		kick(t, e)
		if dropped {
			first.Release()
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if !dropped {
			wantErr(t, first, ErrClosed)
		}
		wantErr(t, second, ErrClosed)
		wantClean(t, a)
		wantClean(t, b)
		if st := e.Stats(); st.Begun != 1 || st.Cancelled != 1 {
			t.Errorf("%+v", st)
		}
	}
}

func TestPicturesComeFromDisk(t *testing.T) {
	dir := t.TempDir()
	a, b, d := &script{name: "a", steps: 2, values: 50}, &script{name: "b", steps: 2, values: 50}, &script{name: "d", steps: 2, values: 50}
	old := newCache(t, Options{Dir: dir})
	first := newEncoder(t, EncoderOptions{Cache: old})
	for _, s := range []*script{a, b, d} {
		first.Want(s.picture())
	}
	advance(t, first, 6)
	if err := errors.Join(first.Close(), old.Close()); err != nil {
		t.Fatal(err)
	}
	damage(t, pathOf(dir, "b"))
	damage(t, pathOf(dir, "d"))
	fill(t, dir, 50, "z")

	c := newComputer(t)
	cache := newCache(t, Options{Dir: dir})
	e := newEncoder(t, c.options(cache))
	slow, answered := make(chan struct{}), make(chan struct{})
	cache.load(keyOf("z"), 50, func(rows *Embeddings) { close(answered); <-slow; rows.Release() })
	<-answered // from here on the disk is slow
	var events []string
	stamp := func(event string) { events = append(events, event) }
	*a, *b = script{name: "a", steps: 2, values: 50, stamp: stamp}, script{name: "b", steps: 2, values: 50, stamp: stamp}
	n := &script{name: "new", steps: 2, values: 50, stamp: stamp}
	later := &script{name: "later", steps: 2, values: 50, stamp: stamp}
	found := e.Want(known("d", 50)) // can only be found
	tickets := []*Ticket{e.Want(b.picture()), e.Want(n.picture()), e.Want(a.picture()), e.Want(later.picture())}
	if e.Pending() != 5 {
		t.Fatalf("%d pending", e.Pending())
	}
	advance(t, e, 1) // of the new one: nobody waits for the disk
	close(slow)
	for found.Err() == nil || !e.arrived("a") {
		<-c.woke
		e.Collect()
	}
	wantErr(t, found, ErrUnknown)
	if ran, _, err := e.Advance(context.Background(), 100); ran != 5 || err != nil {
		t.Errorf("%d steps, %v", ran, err)
	}
	for i, s := range []*script{b, n, a, later} {
		wantRows(t, tickets[i], s)
		wantClean(t, s)
	}
	want := []string{"begin new", "step new", "step new", "close new", "begin b", "step b", "step b", "close b", "begin later", "step later", "step later", "close later"}
	if !slices.Equal(events, want) {
		t.Errorf("%v, want %v", events, want)
	}
	if st := e.Stats(); st.Begun != 3 || st.Finished != 3 || cache.Stats().Disk.Damaged != 2 {
		t.Errorf("%+v, %+v", st, cache.Stats())
	}
}

// arrived reports whether a picture is not in flight.
func (e *Encoder) arrived(name string) bool { return e.jobs[keyOf(name)] == nil }

func TestAPictureThatTheDiskLostIsEncodedForWhoCanEncodeIt(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 50, "a")
	damage(t, pathOf(dir, "a"))
	c := newComputer(t)
	e := newEncoder(t, c.options(newCache(t, Options{Dir: dir})))
	s := &script{name: "a", steps: 2, values: 50}
	finds, encodes := e.Want(known("a", 50)), e.Want(s.picture())
	for !e.Ready() {
		<-c.woke
		e.Collect()
	}
	advance(t, e, 2)
	wantRows(t, finds, s)
	wantRows(t, encodes, s)
	wantClean(t, s)
}

func TestWhatIsReadFromDiskCanBeDroppedAndClosed(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 50, "a", "b")
	cache := newCache(t, Options{Dir: dir})
	e := newEncoder(t, EncoderOptions{Cache: cache})
	a, b := &script{name: "a", steps: 2, values: 50}, &script{name: "b", steps: 2, values: 50}
	dropped, closed := e.Want(a.picture()), e.Want(b.picture())
	dropped.Release()
	wantErr(t, dropped, context.Canceled)
	wantClean(t, a)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	wantErr(t, closed, ErrClosed)
	wantClean(t, b)
	if s := cache.Stats(); s.HeldBytes != 0 || s.DiskHits != 2 {
		t.Errorf("%+v", s)
	}
}
