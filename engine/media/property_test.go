package media

import (
	"context"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// client is a ticket and what it must come to.
type client struct {
	ticket *Ticket
	script *script
}

// Whatever is wanted, released and collected in whatever order, everybody gets the rows of his
// picture or its error, no picture is encoded twice at a time, and nothing is left open.
func TestAnyOrderOfWantsAndReleases(t *testing.T) {
	c := newWaker()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int64{-1, 40, 1 << 20}).Draw(t, "limit")
		cache, err := NewCache(Options{Bytes: limit})
		if err != nil {
			t.Fatal(err)
		}
		o := c.options(cache)
		e, err := NewEncoder(o)
		if err != nil {
			t.Fatal(err)
		}
		var all []*script
		var clients []client
		settle := func() { // what is done must be right
			for _, x := range clients {
				if !x.ticket.Done() {
					continue
				}
				bad := x.script.beginErr != nil || x.script.stepErr != nil
				switch rows := x.ticket.Rows(); {
				case bad && (rows != nil || !errors.Is(x.ticket.Err(), errScript)):
					t.Fatalf("%d numbers, %v; want the error of the script", len(rows),
						x.ticket.Err())
				case !bad && (x.ticket.Err() != nil || !slices.Equal(rows, x.script.rows())):
					t.Fatalf("rows %v, %v; want %v", rows, x.ticket.Err(), x.script.rows())
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"want": func(t *rapid.T) {
				// The name decides what becomes of a picture, so that all who want it mean the
				// same.
				name := rapid.SampledFrom([]string{"a", "bb", "ccc", "no begin", "no step"}).Draw(t,
					"name")
				s := &script{name: name, steps: 1 + len(name)%4, values: len(name)}
				switch name {
				case "no begin":
					s.beginErr = errScript
				case "no step":
					s.stepErr, s.failAt = errScript, s.steps
				}
				all = append(all, s)
				clients = append(clients, client{e.Want(s.picture()), s})
			},
			"release": func(t *rapid.T) {
				if len(clients) == 0 {
					t.Skip("nobody wants anything")
				}
				i := rapid.IntRange(0, len(clients)-1).Draw(t, "i")
				clients[i].ticket.Release()
				clients[i].ticket.Release()
				clients = slices.Delete(clients, i, i+1)
			},
			"advance": func(t *rapid.T) {
				steps := rapid.IntRange(0, 6).Draw(t, "steps")
				if ran, _, err := e.Advance(context.Background(), steps); ran > steps ||
					err != nil {
					t.Fatalf("%d of %d steps, %v", ran, steps, err)
				}
			},
			"collect": func(t *rapid.T) { e.Collect() },
			"": func(t *rapid.T) {
				settle()
				open := map[string]int{}
				waiting := map[string]bool{}
				for _, x := range clients {
					if !x.ticket.Done() {
						waiting[x.script.name] = true
					}
				}
				for _, s := range all {
					open[s.name] += s.jobs
				}
				for name, n := range open {
					if n > 1 {
						t.Fatalf("%d jobs of %s are open", n, name)
					}
				}
				if e.Pending() != len(waiting) {
					t.Fatalf("%d pending, want %d", e.Pending(), len(waiting))
				}
			},
		})
		if rapid.Bool().Draw(t, "to the end") {
			for e.Pending() > 0 {
				if _, _, err := e.Advance(context.Background(), 100); err != nil {
					t.Fatal(err)
				}
				if e.Pending() > 0 && !e.Ready() {
					<-c.woke
					e.Collect()
				}
			}
			settle()
			for _, x := range clients {
				if !x.ticket.Done() {
					t.Fatalf("%s was forgotten", x.script.name)
				}
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		for _, x := range clients {
			x.ticket.Release()
		}
		for _, s := range all {
			if s.jobs != 0 || s.begun > 1 {
				t.Fatalf("%s: %d jobs open, begun %d times", s.name, s.jobs, s.begun)
			}
		}
		st, held := e.Stats(), cache.Stats()
		if st.Begun != st.Finished+st.Failed+st.Cancelled {
			t.Fatalf("%+v", st)
		}
		if held.HeldBytes != 0 || held.Bytes > max(0, limit) {
			t.Fatalf("%+v", held)
		}
	})
}
