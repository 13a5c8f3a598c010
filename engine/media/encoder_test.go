package media

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestAPictureIsEncodedOnceForAllWhoWantIt(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	s := &script{name: "a", steps: 5, values: 12}
	first := e.Want(s.picture())
	advance(t, e, 2)
	others := &script{name: "a", steps: 5, values: 12} // the same picture of another client
	second := e.Want(others.picture())
	wantClean(t, others)
	advance(t, e, 2)
	if first.Done() || second.Done() || e.Pending() != 1 || first.Rows() != nil ||
		first.Err() != nil {
		t.Fatal("done before the last step")
	}
	advance(t, e, 1)
	wantRows(t, first, s)
	wantRows(t, second, s)
	if &first.Rows()[0] != &second.Rows()[0] {
		t.Error("the rows are not shared")
	}
	third := e.Want(others.picture())
	wantRows(t, third, s)
	wantClean(t, s)
	wantClean(t, others)
	if s.begun != 1 || others.begun != 0 || e.Pending() != 0 || e.Ready() {
		t.Errorf("begun %d and %d times, %d pending, ready %v", s.begun, others.begun, e.Pending(),
			e.Ready())
	}
	st := e.Stats()
	st.Encoding = 0
	if want := (EncoderStats{Begun: 1, Finished: 1, Steps: 5, SavedMemory: 1,
		SavedInFlight: 1}); st != want {
		t.Errorf("%+v, want %+v", st, want)
	}
	for i, ticket := range []*Ticket{first, second, third} {
		if held := e.opts.Cache.Stats().HeldBytes; held != 48 {
			t.Errorf("%d bytes are held before release %d", held, i)
		}
		ticket.Release()
		ticket.Release()
		if ticket.Rows() != nil || ticket.Err() != nil || !ticket.Done() {
			t.Error("a released ticket has rows or an error")
		}
	}
	if s := e.opts.Cache.Stats(); s.HeldBytes != 0 || s.Bytes != 48 {
		t.Errorf("%+v", s)
	}
}

func TestPicturesAreEncodedInTheOrderTheyWereWanted(t *testing.T) {
	var events []string
	e := newEncoder(t, EncoderOptions{})
	for _, name := range []string{"a", "b", "c"} {
		s := &script{name: name, steps: 2, values: 1, stamp: func(event string) {
			events = append(events, event)
		}}
		e.Want(s.picture())
	}
	advance(t, e, 1)
	if want := []string{"begin a", "step a"}; !slices.Equal(events, want) {
		t.Fatalf("%v, want %v: what waits must not take memory", events, want)
	}
	ran, _, err := e.Advance(context.Background(), 100)
	if ran != 5 || err != nil {
		t.Errorf("%d steps, %v", ran, err)
	}
	want := []string{"begin a", "step a", "step a", "close a", "begin b", "step b", "step b",
		"close b", "begin c", "step c", "step c", "close c"}
	if !slices.Equal(events, want) {
		t.Errorf("%v, want %v", events, want)
	}
	if ran, _, err := e.Advance(context.Background(), 100); ran != 0 || err != nil {
		t.Errorf("with nothing to do: %d steps, %v", ran, err)
	}
}

func TestWhatGoesWrongWithAPictureIsToldToThoseWhoWantIt(t *testing.T) {
	for name, s := range map[string]*script{
		"begin":       {beginErr: errScript},
		"first step":  {stepErr: errScript, failAt: 1},
		"later step":  {stepErr: errScript, failAt: 3},
		"rows":        {rowsErr: errScript},
		"fewer rows":  {short: true},
		"no progress": {stuck: true},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEncoder(t, EncoderOptions{})
			s.name, s.steps, s.values = "bad", 4, 3
			good := &script{name: "good", steps: 4, values: 3}
			bad, also, fine := e.Want(s.picture()), e.Want(s.picture()), e.Want(good.picture())
			if _, _, err := e.Advance(context.Background(), 100); err != nil {
				t.Fatal(err)
			}
			for _, ticket := range []*Ticket{bad, also} {
				if !ticket.Done() || ticket.Err() == nil || ticket.Rows() != nil {
					t.Errorf("done %v, %v, %d numbers", ticket.Done(), ticket.Err(),
						len(ticket.Rows()))
				}
				if !s.short && !s.stuck {
					wantErr(t, ticket, errScript)
				}
				ticket.Release()
			}
			wantRows(t, fine, good)
			wantClean(t, s)
			wantClean(t, good)
			if st := e.Stats(); st.Begun != 2 || st.Failed != 1 || st.Finished != 1 ||
				e.Pending() != 0 {
				t.Errorf("%+v, %d pending", st, e.Pending())
			}
			// A failure is not remembered: the next may have more luck.
			*s = script{name: "bad", steps: 4, values: 3}
			again := e.Want(s.picture())
			advance(t, e, 4)
			wantRows(t, again, s)
		})
	}
}

func TestAJobIsDroppedWhenNobodyWantsItAnyMore(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	a, b := &script{name: "a", steps: 5, values: 1}, &script{name: "b", steps: 5, values: 1}
	first, second, waiting := e.Want(a.picture()), e.Want(a.picture()), e.Want(b.picture())
	advance(t, e, 3)
	first.Release()
	wantErr(t, first, context.Canceled)
	if e.Pending() != 2 || a.jobs != 1 {
		t.Fatal("dropped while somebody wants it")
	}
	waiting.Release()
	wantClean(t, b)
	second.Release()
	wantClean(t, a)
	if e.Pending() != 0 || e.Ready() || b.begun != 0 {
		t.Errorf("%d pending, ready %v, b begun %d times", e.Pending(), e.Ready(), b.begun)
	}
	if st := e.Stats(); st.Begun != 1 || st.Cancelled != 1 || st.Finished+st.Failed != 0 {
		t.Errorf("%+v", st)
	}
	again := e.Want((&script{name: "a", steps: 5, values: 1}).picture())
	advance(t, e, 5)
	wantRows(t, again, a)
}

func TestAnInterruptedJobGoesOnWhereItStopped(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	s := &script{name: "a", steps: 5, values: 1, onStep: func(n int) {
		if n == 2 {
			cancel()
		}
	}}
	ticket := e.Want(s.picture())
	for _, want := range []int{2, 0} {
		if ran, _, err := e.Advance(ctx, 5); ran != want || !errors.Is(err, context.Canceled) {
			t.Fatalf("%d steps, %v; want %d", ran, err, want)
		}
	}
	if ticket.Done() {
		t.Fatal("the picture failed with the context of Advance")
	}
	advance(t, e, 3)
	wantRows(t, ticket, s)
	if s.begun != 1 {
		t.Errorf("begun %d times", s.begun)
	}
}

func TestAJobWithoutStepsIsDoneAtOnce(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	s := &script{name: "a", values: 1}
	ticket := e.Want(s.picture())
	if ran, _, err := e.Advance(context.Background(), 1); ran != 0 || err != nil {
		t.Errorf("%d steps, %v", ran, err)
	}
	wantRows(t, ticket, s)
}

func TestWantsThatMakeNoSenseFail(t *testing.T) {
	if _, err := NewEncoder(EncoderOptions{}); err == nil {
		t.Error("an encoder without a cache")
	}
	e := newEncoder(t, EncoderOptions{})
	s := &script{name: "a", steps: 1, values: 4}
	other := &script{name: "a", steps: 1, values: 5}
	nothing := &script{name: "n", values: 0}
	if e.Want(nothing.picture()).Err() == nil {
		t.Error("a picture of no numbers")
	}
	wantClean(t, nothing)
	if unknown := e.Want(known("u", 4)); !errors.Is(unknown.Err(), ErrUnknown) {
		t.Errorf("a picture that can only be found: %v", unknown.Err())
	}
	ticket := e.Want(s.picture())
	if e.Want(other.picture()).Err() == nil {
		t.Error("a picture in flight of another size")
	}
	advance(t, e, 1)
	wantRows(t, ticket, s)
	if e.Want(other.picture()).Err() == nil {
		t.Error("a known picture of another size")
	}
	wantClean(t, other)
	if found := e.Want(known("a", 4)); !slices.Equal(found.Rows(), s.rows()) {
		t.Errorf("a known picture: %v", found.Err())
	}
}

func TestRowsStayWhileATicketHoldsThem(t *testing.T) {
	c := newCache(t, Options{Bytes: -1})
	e := newEncoder(t, EncoderOptions{Cache: c})
	s := &script{name: "a", steps: 1, values: 10}
	ticket := e.Want(s.picture())
	advance(t, e, 1)
	wantRows(t, ticket, s)
	wantRows(t, e.Want(s.picture()), s)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	wantRows(t, ticket, s)
	if s := c.Stats(); s.HeldBytes != 40 {
		t.Errorf("%+v", s)
	}
}

func TestEncodersOfOneTowerShareTheirCache(t *testing.T) {
	c := newCache(t, Options{})
	a, b := newEncoder(t, EncoderOptions{Cache: c}), newEncoder(t, EncoderOptions{Cache: c})
	s, other := &script{name: "a", steps: 3, values: 10}, &script{name: "a", steps: 3, values: 10}
	// at the same time: neither knows of the other
	first, second := a.Want(s.picture()), b.Want(other.picture())
	advance(t, a, 3)
	if ran, _, err := b.Advance(context.Background(), 3); ran != 0 || err != nil {
		t.Errorf("%d steps, %v", ran, err)
	}
	wantRows(t, first, s)
	wantRows(t, second, s)
	wantClean(t, other)
	if other.begun != 0 || b.Stats().SavedMemory != 1 {
		t.Errorf("begun %d times, %+v", other.begun, b.Stats())
	}
}

func TestClosingFailsWhatIsWanted(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	a, b := &script{name: "a", steps: 5, values: 1, closeErr: errScript},
		&script{name: "b", steps: 5, values: 1}
	first, second, third := e.Want(a.picture()), e.Want(b.picture()), e.Want(b.picture())
	advance(t, e, 3)
	if err := e.Close(); !errors.Is(err, errScript) {
		t.Errorf("%v", err)
	}
	late := &script{name: "l", steps: 1, values: 1}
	for _, ticket := range []*Ticket{first, second, third, e.Want(late.picture())} {
		wantErr(t, ticket, ErrClosed)
		ticket.Release()
		wantErr(t, ticket, ErrClosed)
	}
	wantClean(t, a)
	wantClean(t, b)
	wantClean(t, late)
	if ran, _, err := e.Advance(context.Background(), 1); ran != 0 || err != nil ||
		e.Pending() != 0 {
		t.Errorf("%d steps, %v, %d pending", ran, err, e.Pending())
	}
	if err := e.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestPanicsOfJobsAreNotSwallowed(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	s := &script{name: "a", steps: 1, values: 1, onStep: func(int) { panic(errScript) }}
	e.Want(s.picture())
	defer func() {
		if r := recover(); r != errScript {
			t.Errorf("recovered %v", r)
		}
	}()
	e.Advance(context.Background(), 1)
}

func TestTheCostOfAStepFollowsWhatWasMeasured(t *testing.T) {
	var together, single average
	together.add(time.Second, 0)
	if together.known {
		t.Error("no steps tell nothing")
	}
	together.add(40*time.Millisecond, 4)
	if together.value != 10*time.Millisecond {
		t.Errorf("after the first: %v", together.value)
	}
	single = together
	together.add(200*time.Millisecond, 10)
	for range 10 {
		single.add(20*time.Millisecond, 1)
	}
	if d := together.value - single.value; d.Abs() > time.Microsecond ||
		together.value < 16*time.Millisecond || together.value > 17*time.Millisecond {
		t.Errorf("ten steps at once %v, one by one %v", together.value, single.value)
	}
	e := newEncoder(t, EncoderOptions{})
	if e.StepCost() != 0 {
		t.Errorf("before the first step: %v", e.StepCost())
	}
	s := &script{name: "a", steps: 4, values: 1, onStep: func(int) {
		time.Sleep(2 * time.Millisecond)
	}}
	e.Want(s.picture())
	_, took, err := e.Advance(context.Background(), 4)
	if err != nil || e.StepCost() < 2*time.Millisecond || e.StepCost() > took/4 ||
		e.Stats().Encoding != took {
		t.Errorf("a step costs %v, four took %v, %+v, %v", e.StepCost(), took, e.Stats(), err)
	}
}
