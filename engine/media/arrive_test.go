package media

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestPicturesComeFromDisk(t *testing.T) {
	dir := t.TempDir()
	a, b, d := &script{name: "a", steps: 2, values: 50}, &script{name: "b", steps: 2, values: 50},
		&script{name: "d", steps: 2, values: 50}
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

	c := newWaker()
	cache := newCache(t, Options{Dir: dir})
	e := newEncoder(t, c.options(cache))
	slow, answered := make(chan struct{}), make(chan struct{})
	cache.load(keyOf("z"), 50, func(rows *Embeddings) { close(answered); <-slow; rows.Release() })
	<-answered // from here on the disk is slow
	var events []string
	stamp := func(event string) { events = append(events, event) }
	*a, *b = script{name: "a", steps: 2, values: 50, stamp: stamp}, script{name: "b", steps: 2,
		values: 50, stamp: stamp}
	n := &script{name: "new", steps: 2, values: 50, stamp: stamp}
	later := &script{name: "later", steps: 2, values: 50, stamp: stamp}
	found := e.Want(known("d", 50)) // can only be found
	tickets := []*Ticket{e.Want(b.picture()), e.Want(n.picture()), e.Want(a.picture()),
		e.Want(later.picture())}
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
	want := []string{"begin new", "step new", "step new", "close new", "begin b", "step b",
		"step b", "close b", "begin later", "step later", "step later", "close later"}
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
	c := newWaker()
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
