package pool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
)

// reserveLater calls Reserve in a goroutine, and returns when it has come to wait.
func reserveLater(ctx context.Context, p *Pool, name string, bytes int64) chan error {
	c := make(chan error, 1)
	go func() {
		_, err := p.Reserve(ctx, name, bytes)
		c <- err
	}()
	synctest.Wait()
	return c
}

func TestReservedMemoryCounts(t *testing.T) {
	inPool(t, Options{Bytes: 30, KeepAlive: -1}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		mustUse(t, p, "a").Release()
		b := mustUse(t, p, "b")
		wantEvents(t, fake, "load a, load b")
		r, err := p.Reserve(t.Context(), "draw", 20) // a has to go
		if err != nil {
			t.Fatal(err)
		}
		wantEvents(t, fake, "close a")
		list := p.List()
		if len(list) != 2 || list[1].Name != "draw" || list[1].Bytes != 20 ||
			list[1].State != Ready || list[1].Leases != 1 {
			t.Errorf("listed %+v", list)
		}
		if _, ok := p.Stats("draw"); ok {
			t.Error("memory has statistics")
		}
		if _, err := use(t.Context(), p, "draw"); !errors.Is(err, ErrUnknownModel) {
			t.Errorf("memory is lent as a model: %v", err)
		}
		if _, err := p.Reserve(t.Context(), "b", 1); err == nil {
			t.Error("a model's name is reserved")
		}
		c := useLater(t.Context(), p, "c")
		wantEvents(t, fake, "")
		r.Release()
		r.Release()
		wantEvents(t, fake, "load c")
		if r := <-c; r.err != nil {
			t.Error(r.err)
		} else {
			r.lease.Release()
		}
		b.Release()
		if len(p.List()) != 2 {
			t.Errorf("listed %+v", p.List())
		}
	})
}

func TestReservedMemoryIsWaitedFor(t *testing.T) {
	inPool(t, Options{Bytes: 30}, func(t *testing.T, p *Pool, _ *fakeLoader) {
		a := mustUse(t, p, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := <-reserveLater(ctx, p, "draw", 25); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with the memory taken: %v", err)
		}
		if len(p.List()) != 1 {
			t.Errorf("listed %+v", p.List())
		}
		first := reserveLater(t.Context(), p, "draw", 25)
		second := reserveLater(t.Context(), p, "draw", 25)
		a.Release()
		if err := <-first; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		select {
		case err := <-second:
			t.Errorf("twice at once: %v", err)
		default:
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := <-second; !errors.Is(err, engine.ErrClosed) {
			t.Errorf("of a closed pool: %v", err)
		}
	})
}

func TestMoreThanAllMemoryIsReservedAlone(t *testing.T) {
	inPool(t, Options{Bytes: 30}, func(t *testing.T, p *Pool, _ *fakeLoader) {
		r, err := p.Reserve(t.Context(), "draw", 1000)
		if err != nil {
			t.Fatal(err)
		}
		again := reserveLater(t.Context(), p, "draw", 1000)
		r.Release()
		if err := <-again; err != nil {
			t.Error(err)
		}
	})
}

// closer counts how often it is closed.
type closer struct{ closed int }

func (c *closer) Close() error {
	c.closed++
	return nil
}

// mustReserve reserves 20 bytes as "draw".
func mustReserve(t *testing.T, p *Pool) *Reservation {
	t.Helper()
	r, err := p.Reserve(t.Context(), "draw", 20)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsKeptIsThereAgain(t *testing.T) {
	inPool(t, Options{Bytes: 30, KeepAlive: time.Minute}, func(t *testing.T, p *Pool,
		_ *fakeLoader) {
		var kept closer
		r := mustReserve(t, p)
		if r.Kept() != nil {
			t.Error("something was kept before anything was")
		}
		r.Keep(&kept, 5)
		r.Release()
		list := p.List()
		if len(list) != 1 || list[0].Bytes != 5 || list[0].Leases != 0 ||
			list[0].State != Ready || list[0].Expires.IsZero() {
			t.Errorf("listed %+v", list)
		}
		time.Sleep(59 * time.Second)
		r = mustReserve(t, p)
		if r.Kept() != &kept || p.List()[0].Bytes != 20 || p.List()[0].Leases != 1 {
			t.Errorf("kept %v, listed %+v", r.Kept(), p.List())
		}
		time.Sleep(time.Hour) // while it is used
		r.Keep(&kept, 5)
		time.Sleep(time.Minute)
		synctest.Wait()
		if kept.closed != 1 || len(p.List()) != 0 {
			t.Errorf("closed %d times after a minute, listed %+v", kept.closed, p.List())
		}
		if r := mustReserve(t, p); r.Kept() != nil {
			t.Error("what was closed is kept")
		}
	})
}

func TestWhatIsKeptGoesForOthers(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, p *Pool){
		"a model": func(t *testing.T, p *Pool) {
			mustUse(t, p, "a")
			mustUse(t, p, "b")
			mustUse(t, p, "c")
		},
		"an unload": func(_ *testing.T, p *Pool) { _ = p.Unload("draw") },
		"the end":   func(_ *testing.T, p *Pool) { _ = p.Close() },
		"its own use": func(t *testing.T, p *Pool) {
			mustUse(t, p, "a").Release()
			mustUse(t, p, "b").Release()
			mustReserve(t, p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inPool(t, Options{Bytes: 30, KeepAlive: -1}, func(t *testing.T, p *Pool,
				_ *fakeLoader) {
				var kept closer
				mustReserve(t, p).Keep(&kept, 5)
				use(t, p)
				synctest.Wait()
				if kept.closed != 1 {
					t.Errorf("closed %d times", kept.closed)
				}
			})
		})
	}
	inPool(t, Options{Bytes: 30}, func(t *testing.T, p *Pool, _ *fakeLoader) {
		var kept closer
		r := mustReserve(t, p)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if r.Keep(&kept, 5); kept.closed != 1 {
			t.Error("a closed pool keeps something")
		}
	})
}
