package media

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/models/vision"
)

// scan is a picture file for tests, of some parts with five numbers each.
type scan struct {
	name    string
	bytes   int64         // that decoding takes
	fault   error         // of decoding
	panics  bool          // in place of that
	hold    chan struct{} // decoding waits for it, or for its context
	source  *Source
	scripts []*script

	opened, closed, running atomic.Int32
}

func newScan(name string, bytes int64, parts int) *scan {
	f := &scan{name: name, bytes: bytes}
	for i := range parts {
		f.scripts = append(f.scripts, &script{name: name + string(rune('0'+i)), steps: 2,
			values: 5})
	}
	f.source = &Source{Name: name, Bytes: bytes, Open: f.open, Begin: func(in *vision.Input,
		part int) (vision.Job, error) {
		if in.Foreign != f || f.opened.Load() == f.closed.Load() {
			panic("begun with another picture, or after Close")
		}
		return f.scripts[part].begin()
	}}
	return f
}

func (f *scan) open(ctx context.Context) (*vision.Input, error) {
	f.running.Add(1)
	defer f.running.Add(-1)
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if f.panics {
		panic("as scripted")
	}
	if f.fault != nil {
		return nil, f.fault
	}
	f.opened.Add(1)
	return &vision.Input{Parts: len(f.scripts), Foreign: f, ForeignBytes: f.bytes / 10}, nil
}

// Close is that of the Input's Foreign.
func (f *scan) Close() error { f.closed.Add(1); return nil }

// want wants all parts.
func (f *scan) want(e *Encoder) (tickets []*Ticket) {
	for i, s := range f.scripts {
		p := s.picture()
		p.Source, p.Index = f.source, i
		tickets = append(tickets, e.Want(p))
	}
	return tickets
}

// finish goes on until all tickets are done.
func finish(t testing.TB, c *waker, e *Encoder, tickets ...*Ticket) {
	t.Helper()
	for _, ticket := range tickets {
		for !ticket.Done() {
			if !e.Ready() {
				select {
				case <-c.woke:
				case <-time.After(time.Minute):
					t.Fatal("nothing happens")
				}
				e.Collect()
			}
			if _, _, err := e.Advance(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// wantFreed wants an encoder to hold no pictures, and all of the files' to be closed.
func wantFreed(t testing.TB, e *Encoder, files ...*scan) {
	t.Helper()
	if e.held != 0 || e.decoding != (running{}) || len(e.openings) != 0 {
		t.Errorf("%d bytes are held, %+v decoders run, %d pictures are open", e.held, e.decoding,
			len(e.openings))
	}
	for _, f := range files {
		if f.opened.Load() != f.closed.Load() || f.running.Load() != 0 {
			t.Errorf("%s: decoded %d times, closed %d times", f.name, f.opened.Load(),
				f.closed.Load())
		}
	}
}

func TestAPictureIsDecodedOnceForAllItsPartsAndNotIfTheyAreKnown(t *testing.T) {
	c := newWaker()
	e := newEncoder(t, c.options(nil))
	f := newScan("f", 1000, 13)
	tickets := f.want(e)
	if e.Ready() {
		t.Error("ready before it is decoded")
	}
	finish(t, c, e, tickets...)
	for i, ticket := range tickets {
		wantRows(t, ticket, f.scripts[i])
	}
	finish(t, c, e, newScan("f", 1000, 13).want(e)...)
	if st := e.Stats(); st.Decoded != 1 || f.opened.Load() != 1 || st.Decoding <= 0 ||
		st.SavedMemory != 13 {
		t.Errorf("%+v", st)
	}
	wantFreed(t, e, f)
	// What of a picture is lost alone is made again alone, from a picture that is decoded again.
	e.opts.Cache = newCache(t, Options{})
	p := f.scripts[4].picture()
	p.Source, p.Index = f.source, 4
	lost := e.Want(p)
	finish(t, c, e, lost)
	wantRows(t, lost, f.scripts[4])
	wantFreed(t, e, f)
}

func TestPicturesAreDecodedWithinTheBudgetInOrder(t *testing.T) {
	c := newWaker()
	o := c.options(nil)
	o.DecodeBytes = 100
	e := newEncoder(t, o)
	var tickets []*Ticket
	var files []*scan
	for i, bytes := range []int64{60, 60, 1000, 30, 30} { // the third is larger than the budget
		f := newScan(string(rune('a'+i)), bytes, 1)
		f.hold = make(chan struct{})
		files = append(files, f)
		tickets = append(tickets, f.want(e)...)
	}
	if e.held != 60 || e.decoding != (running{others: 1}) {
		t.Fatalf("%d bytes in %+v decoders", e.held, e.decoding)
	}
	most := int64(0)
	for i, f := range files {
		close(f.hold)
		finish(t, c, e, tickets[i])
		wantRows(t, tickets[i], f.scripts[0])
		most = max(most, e.held)
	}
	if most > 1000+10 {
		t.Errorf("%d bytes were held", most)
	}
	wantFreed(t, e, files...)
}

func TestNobodyWaitsForPagesOfDocumentsButOtherPages(t *testing.T) {
	c := newWaker()
	o := c.options(nil)
	o.DecodeBytes = 1000
	e := newEncoder(t, o)
	var tickets []*Ticket
	var pages []*scan
	for i := range 2 * decoders() {
		f := newScan("page"+string(rune('a'+i)), 10, 1)
		f.source.Slow, f.hold = true, make(chan struct{})
		pages = append(pages, f)
		tickets = append(tickets, f.want(e)...)
	}
	if e.decoding != (running{slow: decoders()}) {
		t.Fatalf("%+v decoders run for %d pages", e.decoding, len(pages))
	}
	photo := newScan("photo", 10, 1)
	finish(t, c, e, photo.want(e)...)
	for _, f := range pages {
		close(f.hold)
	}
	finish(t, c, e, tickets...)
	wantFreed(t, e, append(pages, photo)...)
}

func TestADamagedPictureFailsThoseWhoWantItAlone(t *testing.T) {
	c := newWaker()
	e := newEncoder(t, c.options(nil))
	bad, worse, good := newScan("b", 10, 3), newScan("w", 10, 1), newScan("g", 10, 2)
	bad.fault, worse.panics = errScript, true
	tickets := append(append(bad.want(e), worse.want(e)...), good.want(e)...)
	finish(t, c, e, tickets...)
	for _, ticket := range tickets[:3] {
		wantErr(t, ticket, errScript)
	}
	if tickets[3].Err() == nil {
		t.Error("no error of a decoder that panicked")
	}
	wantRows(t, tickets[4], good.scripts[0])
	wantRows(t, tickets[5], good.scripts[1])
	wantFreed(t, e, bad, worse, good)
	bad.fault = nil
	again := bad.want(e)
	finish(t, c, e, again...)
	wantRows(t, again[2], bad.scripts[2])
	wantFreed(t, e, bad)
}

func TestDecodingStopsWhenNobodyWantsThePictureAnyMore(t *testing.T) {
	c := newWaker()
	e := newEncoder(t, c.options(nil))
	f, next := newScan("f", 10, 2), newScan("n", 10, 1)
	f.hold = make(chan struct{})
	for range 2 { // the second time while the first decoder may still run
		tickets := f.want(e)
		for _, ticket := range tickets {
			ticket.Release()
			wantErr(t, ticket, context.Canceled)
		}
	}
	more := next.want(e)
	finish(t, c, e, more...)
	wantRows(t, more[0], next.scripts[0])
	for e.decoding != (running{}) {
		<-c.woke
		e.Collect()
	}
	wantFreed(t, e, f, next)
	// One that is decoded and waits is freed as well, and one that was begun.
	f.hold = nil
	tickets := f.want(e)
	for !e.Ready() {
		<-c.woke
		e.Collect()
	}
	advance(t, e, 1)
	for _, ticket := range tickets {
		ticket.Release()
	}
	wantFreed(t, e, f)
}

func TestClosingStopsDecoders(t *testing.T) {
	c := newWaker()
	e := newEncoder(t, c.options(nil))
	f, waits := newScan("f", 10, 2), newScan("w", DefaultDecodeBytes, 1)
	f.hold = make(chan struct{})
	tickets := append(f.want(e), waits.want(e)...)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for _, ticket := range tickets {
		wantErr(t, ticket, ErrClosed)
	}
	if wantFreed(t, e, f, waits); waits.opened.Load() != 0 {
		t.Error("a picture was decoded after Close")
	}
	if errors.Is(f.want(e)[0].Err(), nil) {
		t.Error("wanted after Close")
	}
}
