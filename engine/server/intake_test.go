package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestIntakeLetsInWhoHasLeast has two clients come, one with many requests, the other with one.
func TestIntakeLetsInWhoHasLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(10)
		var mu sync.Mutex
		var order []string
		come := func(client string, bytes int64) {
			go func() {
				p, err := in.enter(t.Context(), client, bytes)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, client)
				mu.Unlock()
				time.Sleep(time.Second)
				p.set(bytes / 2)
				time.Sleep(time.Second)
				p.end()
				p.end()
				p.set(7)
			}()
			synctest.Wait()
		}
		come("large", 40) // alone more than there is room for
		for range 4 {
			come("many", 6)
		}
		come("one", 6)
		mu.Lock()
		if len(order) != 1 {
			t.Errorf("%q came in at once", order)
		}
		mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		in.mu.Lock()
		defer in.mu.Unlock()
		if got := strings.Join(order, " "); got != "large many one many many many" {
			t.Errorf("they came in as %s", got)
		}
		if in.held != 0 || len(in.clients) != 0 || len(in.waiting) != 0 {
			t.Errorf("left over: %+v", in)
		}
	})
}

func TestWhoGivesUpLeavesTheIntake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(10)
		first, err := in.enter(t.Context(), "a", 10)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := in.enter(ctx, "b", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("there was room: %v", err)
		}
		first.end()
		if in.held != 0 || len(in.waiting) != 0 {
			t.Errorf("left over: %+v", in)
		}
	})
}

// TestBodiesWaitForRoom sends more than there is room for, in each way that a body can come.
func TestBodiesWaitForRoom(t *testing.T) {
	var inside, most atomic.Int64
	ts := serveAs(t, func(s *Server) {
		s.intake = newIntake(5 << 20)
		s.handler = s.chain(func(w http.ResponseWriter, r *http.Request) error {
			var v struct{ A string }
			if err := s.decode(w, r, &v); err != nil {
				return err
			}
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(20 * time.Millisecond)
			inside.Add(-1)
			if len(v.A) < 1<<10 {
				return s.writeJSON(w, http.StatusOK, "small")
			}
			return s.writeJSON(w, http.StatusOK, "ok")
		})
	})
	body := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			var from io.Reader = strings.NewReader(body)
			if i%3 == 0 {
				from = struct{ io.Reader }{from} // chunked
			}
			w, err := ts.http.Post(ts.url+"/api/chat", "application/json", from)
			if err != nil {
				t.Error(err)
				return
			}
			defer w.Body.Close()
			if w.StatusCode != http.StatusOK {
				t.Errorf("status %d", w.StatusCode)
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n < 1 || n > 2 {
		t.Errorf("%d were inside at once, where there is room for two", n)
	}
	if ts.intake.held != 0 || len(ts.intake.waiting) != 0 {
		t.Errorf("left over: %+v", ts.intake)
	}
}

// TestASlowBodyDoesNotKeepOthersOut lets a client promise much and send little, beside others.
func TestASlowBodyDoesNotKeepOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(10)
		slow, err := in.enter(t.Context(), "slow", 100)
		if err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(intakeTime, func() { slow.set(0) })
		defer late.Stop()
		began := time.Now()
		other, err := in.enter(t.Context(), "other", 5)
		if err != nil || time.Since(began) != intakeTime {
			t.Errorf("it came in after %v: %v", time.Since(began), err)
		}
		slow.set(30) // it has come in the end
		if in.held != 35 {
			t.Errorf("%d are held", in.held)
		}
		slow.end()
		other.end()
	})
}
