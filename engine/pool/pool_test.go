package pool

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/placement"
)

func TestPoolLoadsOnceForAllWhoWait(t *testing.T) {
	inPool(t, Options{}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		began := time.Now()
		var waiting []chan result
		for range 5 {
			waiting = append(waiting, useLater(t.Context(), p, "a"))
		}
		if l := p.List(); len(l) != 1 || l[0].Name != "a" || l[0].State != Loading ||
			l[0].Bytes != 10 {
			t.Errorf("%+v while loading", l)
		}
		var first *engine.Model
		for _, c := range waiting {
			r := <-c
			if r.err != nil || first != nil && r.lease.Model != first {
				t.Fatalf("%v, models %p and %p", r.err, r.lease.Model, first)
			}
			first = r.lease.Model
			defer r.lease.Release()
		}
		if took := time.Since(began); took != fake.loads {
			t.Errorf("took %v, want one load of %v", took, fake.loads)
		}
		wantEvents(t, fake, "load a")
		if l := p.List(); len(l) != 1 || l[0].State != Ready || l[0].Leases != 5 ||
			!l[0].Since.IsZero() || !l[0].Expires.IsZero() {
			t.Errorf("%+v while in use", l)
		}
	})
}

func TestPoolKeepsModelsForATime(t *testing.T) {
	for _, c := range []struct {
		name    string
		options time.Duration
		lease   []time.Duration // at most one
		want    time.Duration   // negative: for ever
	}{
		{"as it comes", 0, nil, DefaultKeepAlive},
		{"as the pool says", time.Minute, nil, time.Minute},
		{"for ever", -1, nil, -1},
		{"as the lease says", time.Minute, []time.Duration{3 * time.Minute}, 3 * time.Minute},
		{"not at all, as the lease says", -1, []time.Duration{0}, 0},
		{"for ever, as the lease says", time.Minute, []time.Duration{-1}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inPool(t, Options{KeepAlive: c.options}, func(t *testing.T, p *Pool,
				fake *fakeLoader) {
				l := mustUse(t, p, "a")
				time.Sleep(time.Hour) // no time runs while it is used
				for _, d := range c.lease {
					l.KeepAlive(d)
				}
				l.Release()
				l.Release()
				if c.want < 0 {
					time.Sleep(1000 * time.Hour)
					if l := p.List(); len(l) != 1 || !l[0].Expires.IsZero() ||
						time.Since(l[0].Since) != 1000*time.Hour {
						t.Errorf("%+v", l)
					}
					wantEvents(t, fake, "load a")
					return
				}
				if l := p.List(); c.want > 0 && (len(l) != 1 ||
					!l[0].Expires.Equal(time.Now().Add(c.want)) || !l[0].Since.Equal(time.Now())) {
					t.Errorf("%+v", l)
				}
				want := "load a, close a"
				if c.want > 0 {
					time.Sleep(c.want - 1)
					wantEvents(t, fake, "load a")
					time.Sleep(time.Nanosecond)
					want = "close a"
				}
				wantEvents(t, fake, want)
				if l := p.List(); len(l) != 1 || l[0].State != Unloading {
					t.Errorf("%+v while unloading", l)
				}
				time.Sleep(fake.closes)
				synctest.Wait()
				if l := p.List(); len(l) != 0 {
					t.Errorf("%+v after that", l)
				}
			})
		})
	}
}

func TestPoolUseBeginsTheTimeAnew(t *testing.T) {
	inPool(t, Options{KeepAlive: time.Minute}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		for range 10 {
			mustUse(t, p, "a").Release()
			time.Sleep(59 * time.Second)
		}
		wantEvents(t, fake, "load a")
		first, second := mustUse(t, p, "a"), mustUse(t, p, "a")
		first.KeepAlive(0)
		first.Release()
		wantEvents(t, fake, "")
		second.Release() // says nothing of its own, so that what the first one said stands
		wantEvents(t, fake, "close a")
	})
}

func TestPoolUnloadsTheLongestIdleForOthers(t *testing.T) {
	inPool(t, Options{KeepAlive: -1, Bytes: 25}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		a := mustUse(t, p, "a")
		mustUse(t, p, "b").Release()
		time.Sleep(time.Second)
		a.Release()
		mustUse(t, p, "c").Release() // b is idle for longer
		wantEvents(t, fake, "load a, load b, close b, load c")
		mustUse(t, p, "big").Release() // larger than the limit: alone
		if got := fake.events(); got != "close a, close c, load big" &&
			got != "close c, close a, load big" {
			t.Errorf("events %q, want both closed at once before big is loaded", got)
		}
		mustUse(t, p, "b").Release()
		wantEvents(t, fake, "close big, load b")
	})
	inPool(t, Options{KeepAlive: -1, Max: 1}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		mustUse(t, p, "a").Release()
		mustUse(t, p, "b").Release()
		wantEvents(t, fake, "load a, close a, load b")
	})
}

func TestPoolUnloadsIdleModelsOfAFullDevice(t *testing.T) {
	inPool(t, Options{KeepAlive: -1}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		fake.sizes = map[string]int64{"a": 4, "b": 4, "c": 4, "big": 4}
		fake.device = 8
		for _, name := range []string{"a", "b"} {
			mustUse(t, p, name).Release()
			time.Sleep(time.Second)
		}
		used := mustUse(t, p, "c")
		wantEvents(t, fake, "load a, load b, close a, load c")
		mustUse(t, p, "b").Release() // is still there
		time.Sleep(time.Second)
		other := mustUse(t, p, "big")
		wantEvents(t, fake, "close b, load big")
		mustUse(t, p, "a").Release() // with fewer layers: nobody can be unloaded
		wantEvents(t, fake, "load a")
		used.Release()
		other.Release()
	})
}

// While it is found out whether a device has room, which reads files, others are served.
func TestPoolServesOthersWhileItLooksForRoom(t *testing.T) {
	inPool(t, Options{KeepAlive: -1}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		fake.device, fake.looks = 15, time.Hour
		mustUse(t, p, "a").Release()
		began := time.Now()
		b := useLater(t.Context(), p, "b")
		mustUse(t, p, "a").Release()
		if l := p.List(); len(l) != 1 || time.Since(began) != 0 {
			t.Errorf("%v passed, %+v", time.Since(began), l)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := use(ctx, p, "c"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v: who came later was first", err)
		}
		r := <-b
		if want := fake.looks + fake.closes + fake.loads; r.err != nil ||
			time.Since(began) != want {
			t.Errorf("%v, %v passed; want %v", r.err, time.Since(began), want)
		}
		wantEvents(t, fake, "load a, close a, load b")
		r.lease.Release()
	})
}

func TestPoolWaitsForModelsInUseInTurn(t *testing.T) {
	inPool(t, Options{KeepAlive: -1, Max: 2}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		a, b := mustUse(t, p, "a"), mustUse(t, p, "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		gaveUp := useLater(ctx, p, "big")
		c := useLater(t.Context(), p, "c")
		again := useLater(t.Context(), p, "a") // ready, but would keep the others waiting
		time.Sleep(time.Hour)
		if r := <-gaveUp; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("%v, want the deadline", r.err)
		}
		if len(c) > 0 || len(again) > 0 {
			t.Error("somebody was served while everything was in use")
		}
		wantEvents(t, fake, "load a, load b")
		b.Release()
		synctest.Wait()
		// Memory for c is on its way, and a lease of a takes none of it.
		if r := <-again; r.err != nil || r.lease.Model != a.Model {
			t.Errorf("the second lease of a: %+v", r)
		}
		r := <-c
		if r.err != nil {
			t.Fatal(r.err)
		}
		wantEvents(t, fake, "close b, load c")
	})
}

// Nobody else does anything when the one who waits for memory gives up.
func TestPoolGoesOnWhenTheFirstGivesUp(t *testing.T) {
	inPool(t, Options{Max: 2}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		a, b := mustUse(t, p, "a"), mustUse(t, p, "b")
		defer a.Release()
		defer b.Release()
		ctx, cancel := context.WithCancel(t.Context())
		c := useLater(ctx, p, "c")
		again := useLater(t.Context(), p, "a")
		cancel()
		<-c
		if r := <-again; r.err != nil || r.lease.Model != a.Model {
			t.Errorf("%+v", r)
		}
	})
}

func TestPoolTakesBackALeaseThatComesTooLate(t *testing.T) {
	inPool(t, Options{}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		w, err := p.enqueue("a", engine.ModelSpec{Model: "a"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(fake.loads)
		synctest.Wait()
		if l := p.List(); len(l) != 1 || l[0].Leases != 1 {
			t.Errorf("%+v before", l)
		}
		p.leave(w) // as Use does, had its deadline come first
		if l := p.List(); len(l) != 1 || l[0].Leases != 0 || l[0].Expires.IsZero() {
			t.Errorf("%+v after", l)
		}
	})
}

func TestPoolServesOthersWhileItLoadsAndUnloads(t *testing.T) {
	inPool(t, Options{KeepAlive: -1, Max: 2}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		fake.closes = time.Hour
		mustUse(t, p, "b").Release()
		mustUse(t, p, "a").Release()
		c := useLater(t.Context(), p, "c") // unloads b
		for range 3 {
			began := time.Now()
			mustUse(t, p, "a").Release()
			if waited := time.Since(began); waited != 0 {
				t.Errorf("a model that is ready was lent after %v", waited)
			}
			time.Sleep(time.Hour)
		}
		(<-c).lease.Release()
		wantEvents(t, fake, "load b, load a, close b, load c")
	})
}

func TestPoolLoadEndsWithTheLastWhoWaits(t *testing.T) {
	inPool(t, Options{}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		fake.loads = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		one, two := useLater(ctx, p, "a"), useLater(t.Context(), p, "a")
		cancel()
		if r := <-one; !errors.Is(r.err, context.Canceled) {
			t.Error(r.err)
		}
		if r := <-two; r.err != nil {
			t.Errorf("the other one's load: %v", r.err)
		}
		wantEvents(t, fake, "load a")
		ctx, cancel = context.WithCancel(t.Context())
		one = useLater(ctx, p, "b")
		cancel()
		<-one
		synctest.Wait()
		if l := p.List(); len(l) != 1 || l[0].Name != "a" {
			t.Errorf("%+v after nobody waited for b", l)
		}
	})
}

// Who comes while a load is being cancelled must not get that load's error.
func TestPoolLoadsAgainAfterACancelledLoad(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		inPool(t, Options{}, func(t *testing.T, p *Pool, fake *fakeLoader) {
			fake.deaf = deaf
			ctx, cancel := context.WithCancel(t.Context())
			w, err := p.enqueue("a", engine.ModelSpec{Model: "a"})
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			p.leave(w) // before the loader can see it
			if _, err := use(ctx, p, "a"); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			mustUse(t, p, "a").Release()
			want := "load a, load a"
			if deaf {
				want = "load a" // it came to its end all the same
			}
			wantEvents(t, fake, want)
		})
	}
}

func TestPoolErrors(t *testing.T) {
	broken := errors.New("broken")
	inPool(t, Options{}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		fake.failing = func(name string) error {
			if name == "a" {
				return broken
			}
			return nil
		}
		one, two := useLater(t.Context(), p, "a"), useLater(t.Context(), p, "a")
		for _, c := range []chan result{one, two} {
			if r := <-c; !errors.Is(r.err, broken) {
				t.Error(r.err)
			}
		}
		wantEvents(t, fake, "load a")
		fake.failing = nil
		mustUse(t, p, "a").Release() // an error is not kept
		if _, err := use(t.Context(), p, "no such file"); !errors.Is(err, engine.ErrModelFile) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := use(ctx, p, "a"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := p.Unload("b"); !errors.Is(err, ErrUnknownModel) {
			t.Error(err)
		}
	})
}

func TestPoolUnload(t *testing.T) {
	inPool(t, Options{KeepAlive: -1}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		l := mustUse(t, p, "a")
		if err := p.Unload("a"); err != nil {
			t.Error(err)
		}
		l.KeepAlive(time.Hour)
		wantEvents(t, fake, "load a")
		l.Release()
		wantEvents(t, fake, "close a")
		mustUse(t, p, "a").Release() // waits until the old one is gone
		wantEvents(t, fake, "load a")
		if err := p.Unload("a"); err != nil {
			t.Error(err)
		}
		wantEvents(t, fake, "close a")
		c := useLater(t.Context(), p, "b")
		if err := p.Unload("b"); err != nil {
			t.Error(err)
		}
		(<-c).lease.Release()
		wantEvents(t, fake, "load b, close b")
	})
}

func TestPoolCloseEndsWaiting(t *testing.T) {
	inPool(t, Options{Max: 2}, func(t *testing.T, p *Pool, fake *fakeLoader) {
		fake.deaf = true
		a := mustUse(t, p, "a")
		loading, blocked := useLater(t.Context(), p, "b"), useLater(t.Context(), p, "c")
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		for _, c := range []chan result{loading, blocked} {
			if r := <-c; !errors.Is(r.err, engine.ErrClosed) {
				t.Error(r.err)
			}
		}
		a.Release()
		if _, err := use(t.Context(), p, "a"); !errors.Is(err, engine.ErrClosed) {
			t.Error(err)
		}
		if err := p.Unload("a"); !errors.Is(err, engine.ErrClosed) {
			t.Error(err)
		}
		if len(fake.held) > 0 || len(p.List()) > 0 {
			t.Errorf("%v held after Close", fake.held)
		}
	})
}

const (
	builtin   = "../../models/builtin/"
	seedModel = builtin + "eyelet-builtin-q8_0.gguf"
)

func TestPoolWithTheBuiltInModel(t *testing.T) {
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	spec := engine.ModelSpec{Model: seedModel,
		Projector: builtin + "mmproj-eyelet-builtin-q8_0.gguf", Context: 512}
	bytes, err := placement.Memory(&spec)
	if err != nil {
		t.Fatal(err)
	}
	p := New(e, Options{Bytes: 2*bytes + 1})
	defer p.Close()
	names := []string{"one", "two", "three"}
	image, err := engine.ImageFile(builtin + "testdata/pictures/shape-4.png")
	if err != nil {
		t.Fatal(err)
	}
	question := engine.User(engine.Picture(image), engine.Text("What color is the background?"))
	var wg sync.WaitGroup
	for client := range 6 {
		wg.Go(func() {
			for i := range 4 {
				l, err := p.Use(t.Context(), names[(client+i)%len(names)], spec)
				if err != nil {
					t.Error(err)
					return
				}
				text := ""
				for event, err := range l.Model.Generate(t.Context(), engine.Request{
					Messages: []engine.Message{question}}) {
					if err != nil {
						t.Error(err)
					}
					text += event.Text
				}
				if text != "cyan" {
					t.Errorf("%q", text)
				}
				l.Release()
			}
		})
	}
	wg.Wait()
	list := p.List()
	if len(list) == 0 || len(list) > 2 || slices.ContainsFunc(list, func(m Status) bool {
		return m.State == Ready && m.Info.Context != 512
	}) {
		t.Errorf("%+v", list)
	}
	data, err := os.ReadFile(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	damaged := t.TempDir() + "/damaged.gguf"
	if err := os.WriteFile(damaged, data[:1000000], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := use(t.Context(), p, damaged); !errors.Is(err, engine.ErrModelFile) {
		t.Errorf("a damaged file: %v", err)
	}
}
