package pool

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// Clients come and go as a seed says. Nothing that fakeLoader watches may happen, each gets a lease
// or its own deadline, and who has no deadline gets a lease; in virtual time a lost waiter is a
// deadlock, which synctest reports.
func TestPoolSchedules(t *testing.T) {
	served, late := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		names := []string{"a", "b", "c", "d", "e"}
		fake := newFakeLoader()
		for _, name := range names {
			fake.sizes[name] = rapid.Int64Range(1, 40).Draw(r, "bytes of "+name)
		}
		fake.limit, fake.max = rapid.Int64Range(0, 60).Draw(r, "limit"),
			rapid.IntRange(0, 4).Draw(r, "max")
		fake.loads = time.Duration(rapid.IntRange(0, 50).Draw(r, "load ms")) * time.Millisecond
		fake.closes = time.Duration(rapid.IntRange(0, 20).Draw(r, "close ms")) * time.Millisecond
		fake.deaf = rapid.Bool().Draw(r, "deaf")
		fake.device = rapid.Int64Range(0, 60).Draw(r, "device")
		fake.looks = time.Duration(rapid.IntRange(0, 20).Draw(r, "look ms")) * time.Millisecond
		keep := time.Duration(rapid.IntRange(-1, 100).Draw(r, "keep ms")) * time.Millisecond
		fails := rapid.Bool().Draw(r, "loads fail")
		seed := rapid.Uint64().Draw(r, "seed")
		clients := rapid.IntRange(1, 12).Draw(r, "clients")
		var problems []string
		synctest.Test(t, func(t *testing.T) {
			problems = runPoolSchedule(t, fake, Options{KeepAlive: keep, Bytes: fake.limit,
				Max: fake.max}, names, fails, seed, clients, &served, &late)
		})
		for _, s := range problems {
			r.Error(s)
		}
	})
	if served < 100 || late < 10 {
		t.Errorf("%d leases and %d deadlines: too few to prove anything", served, late)
	}
}

var errFake = errors.New("fake")

// runPoolSchedule lets clients use models at random.
func runPoolSchedule(t *testing.T, fake *fakeLoader, options Options, names []string,
	fails bool, seed uint64, clients int, served, late *int) []string {
	chance := rand.New(rand.NewPCG(seed, 0))
	if fails {
		fake.failing = func(string) error { // called with fake.mu held
			if chance.IntN(4) == 0 {
				return errFake
			}
			return nil
		}
	}
	p := newPool(fake, options)
	note := func(format string, args ...any) {
		fake.mu.Lock()
		defer fake.mu.Unlock()
		fake.faultf(format, args...)
	}
	count := func(n *int) {
		fake.mu.Lock()
		defer fake.mu.Unlock()
		*n++
	}
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(client)+1))
			pause := func(most int) { time.Sleep(time.Duration(r.IntN(most)) * time.Millisecond) }
			for range 10 {
				pause(40)
				name := names[r.IntN(len(names))]
				if r.IntN(20) == 0 {
					_ = p.Unload(name) // often it is not loaded
				}
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				impatient := r.IntN(2) == 0
				if impatient {
					ctx, cancel = context.WithTimeout(ctx,
						time.Duration(r.IntN(100))*time.Millisecond)
				}
				l, err := use(ctx, p, name)
				cancel()
				switch {
				case err == nil:
					count(served)
					fake.took(l)
					pause(60)
					fake.gave(l)
					if r.IntN(4) == 0 {
						l.KeepAlive(time.Duration(r.IntN(60)-5) * time.Millisecond)
					}
					l.Release()
				case impatient && errors.Is(err, context.DeadlineExceeded):
					count(late)
				case !errors.Is(err, errFake):
					note("client %d waits for %s: %v", client, name, err)
				}
			}
		})
	}
	wg.Wait()
	synctest.Wait()
	for _, m := range p.List() {
		if m.Leases != 0 || m.State == Loading && !fake.deaf {
			note("at rest: %+v", m)
		}
	}
	if err := p.Close(); err != nil {
		note("Close: %v", err)
	}
	if len(fake.held) > 0 || len(p.queue) > 0 {
		note("after Close: %v held, %d waiting", fake.held, len(p.queue))
	}
	return fake.faults
}
