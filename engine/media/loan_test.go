package media

import (
	"context"
	"testing"
)

// lend lends the next job and does so many of its steps on another goroutine.
func lend(t *testing.T, e *Encoder, steps int) *Loan {
	t.Helper()
	l := e.Lend(t.Context())
	if l == nil {
		t.Fatal("nothing is lent")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range steps {
			l.Step()
		}
	}()
	<-done
	return l
}

func TestALentJobCompletesItsTickets(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	a, b := &script{name: "a", steps: 3, values: 4}, &script{name: "b", steps: 2, values: 4}
	first := e.Want(a.picture())
	l := lend(t, e, 2)
	second, other := e.Want(a.picture()), e.Want(b.picture()) // while it is lent
	if l.Return(); first.Done() {
		t.Error("done after two steps of three")
	}
	l = lend(t, e, 1)
	if l.Step() || first.Done() {
		t.Error("done before it was returned, or never")
	}
	l.Return()
	wantRows(t, first, a)
	wantRows(t, second, a)
	lend(t, e, 2).Return()
	wantRows(t, other, b)
	if e.Lend(t.Context()) != nil {
		t.Error("something is lent when all is done")
	}
	wantClean(t, a)
	wantClean(t, b)
	if st := e.Stats(); st.Begun != 2 || st.Finished != 2 || st.Steps != 5 {
		t.Errorf("%+v", st)
	}
}

func TestALentJobThatNobodyWantsIsClosedWhenItReturns(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	a, again := &script{name: "a", steps: 3, values: 4}, &script{name: "a", steps: 3, values: 4}
	ticket := e.Want(a.picture())
	l := lend(t, e, 1)
	ticket.Release()
	if a.closed != 0 {
		t.Fatal("closed while it is lent")
	}
	if l.Step() || l.job.run.(*fakeJob).done != 1 {
		t.Error("a step was done for nobody")
	}
	ticket = e.Want(again.picture()) // the same key anew
	l.Return()
	wantClean(t, a)
	advance(t, e, 3)
	wantRows(t, ticket, again)
	if st := e.Stats(); st.Cancelled != 1 || st.Finished != 1 || st.Failed != 0 {
		t.Errorf("%+v", st)
	}
}

func TestWhatGoesWrongWithALentJob(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	bad, worse := &script{name: "bad", steps: 3, values: 4, stepErr: errScript, failAt: 2},
		&script{name: "worse", steps: 3, values: 4, beginErr: errScript}
	good := &script{name: "good", steps: 3, values: 4}
	tickets := []*Ticket{e.Want(worse.picture()), e.Want(bad.picture()), e.Want(good.picture())}
	lend(t, e, 2).Return()
	wantErr(t, tickets[0], errScript)
	wantErr(t, tickets[1], errScript)
	ctx, stop := context.WithCancel(t.Context())
	l := e.Lend(ctx)
	l.Step()
	stop()
	if l.Step() {
		t.Error("goes on when it was stopped")
	}
	l.Return()
	if tickets[2].Done() {
		t.Error("a job that was stopped is done")
	}
	advance(t, e, 2)
	wantRows(t, tickets[2], good)
	wantClean(t, bad)
	wantClean(t, good)
}
