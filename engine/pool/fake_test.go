package pool

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/eyelet-engine/eyelet/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLoader loads models of nothing in virtual time, and watches what the pool may not do. A
// spec's Model is its name.
type fakeLoader struct {
	sizes   map[string]int64
	loads   time.Duration // what a load takes
	closes  time.Duration // what an unload takes
	deaf    bool          // loads go on when they are cancelled
	failing func(name string) error
	limit   int64
	max     int
	device  int64         // bytes of a device on which all models lie; 0 for none
	looks   time.Duration // what it takes to say whether it lacks memory

	mu     sync.Mutex
	held   map[string]bool // loading, loaded or closing
	names  map[*engine.Model]string
	leases map[*engine.Model]int
	log    []string
	faults []string
}

func newFakeLoader() *fakeLoader {
	return &fakeLoader{
		sizes: map[string]int64{}, loads: time.Second, closes: 100 * time.Millisecond,
		held: map[string]bool{}, names: map[*engine.Model]string{}, leases: map[*engine.Model]int{},
	}
}

func (f *fakeLoader) faultf(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

func (f *fakeLoader) bytes(spec engine.ModelSpec) (int64, error) {
	n, ok := f.sizes[spec.Model]
	if !ok {
		return 0, engine.ErrModelFile
	}
	return n, nil
}

func (f *fakeLoader) load(ctx context.Context, spec engine.ModelSpec) (*engine.Model, error) {
	f.mu.Lock()
	if f.held[spec.Model] {
		f.faultf("%s is loaded twice", spec.Model)
	}
	f.held[spec.Model] = true
	f.log = append(f.log, "load "+spec.Model)
	total := int64(0)
	for name := range f.held {
		total += f.sizes[name]
	}
	if f.limit > 0 && total > f.limit && len(f.held) > 1 || f.max > 0 && len(f.held) > f.max {
		f.faultf("%d models of %d bytes at once: %v", len(f.held), total, f.held)
	}
	f.mu.Unlock()
	if f.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	select {
	case <-time.After(f.loads):
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err := ctx.Err()
	if err == nil && f.failing != nil {
		err = f.failing(spec.Model)
	}
	if err != nil {
		delete(f.held, spec.Model)
		return nil, err
	}
	m := &engine.Model{}
	f.names[m] = spec.Model
	return m, nil
}

func (f *fakeLoader) devices(*engine.Model) []string {
	if f.device == 0 {
		return nil
	}
	return []string{"GPU"}
}

func (f *fakeLoader) short(spec engine.ModelSpec) []string {
	time.Sleep(f.looks)
	f.mu.Lock()
	defer f.mu.Unlock()
	total := f.sizes[spec.Model]
	for name := range f.held {
		total += f.sizes[name]
	}
	if total <= f.device {
		return nil
	}
	return []string{"GPU"}
}

func (f *fakeLoader) close(m *engine.Model) error {
	f.mu.Lock()
	name := f.names[m]
	if f.leases[m] != 0 {
		f.faultf("%s is closed with %d leases", name, f.leases[m])
	}
	if !f.held[name] {
		f.faultf("%s is closed twice", name)
	}
	f.log = append(f.log, "close "+name)
	f.mu.Unlock()
	time.Sleep(f.closes)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.held, name)
	return nil
}

// took and gave count leases.
func (f *fakeLoader) took(l *Lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leases[l.Model]++
	if !f.held[f.names[l.Model]] {
		f.faultf("a lease of %s, which is closed", f.names[l.Model])
	}
}

func (f *fakeLoader) gave(l *Lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leases[l.Model]--
}

// events are the loads and unloads so far, and are forgotten.
func (f *fakeLoader) events() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := strings.Join(f.log, ", ")
	f.log = nil
	return text
}

// inPool runs f in virtual time with a pool over models a, b, c of 10 bytes and big of 100.
func inPool(t *testing.T, options Options, f func(t *testing.T, p *Pool, fake *fakeLoader)) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFakeLoader()
		fake.sizes = map[string]int64{"a": 10, "b": 10, "c": 10, "big": 100}
		fake.limit, fake.max = options.Bytes, options.Max
		p := newPool(fake, options)
		defer func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			for _, s := range fake.faults {
				t.Error(s)
			}
			if len(fake.held) > 0 {
				t.Errorf("left after Close: %v", fake.held)
			}
		}()
		f(t, p, fake)
	})
}

// use lends the model whose file is called as it is.
func use(ctx context.Context, p *Pool, name string) (*Lease, error) {
	return p.Use(ctx, name, engine.ModelSpec{Model: name})
}

func mustUse(t *testing.T, p *Pool, name string) *Lease {
	t.Helper()
	l, err := use(t.Context(), p, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return l
}

// useLater calls Use in a goroutine, and returns when it has come to wait.
func useLater(ctx context.Context, p *Pool, name string) chan result {
	c := make(chan result, 1)
	go func() {
		l, err := use(ctx, p, name)
		c <- result{l, err}
	}()
	synctest.Wait()
	return c
}

func wantEvents(t *testing.T, fake *fakeLoader, want string) {
	t.Helper()
	synctest.Wait()
	if got := fake.events(); got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}
