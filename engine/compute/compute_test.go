package compute

import (
	"errors"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheThreadsEndWithTheirLastUser(t *testing.T) {
	first := Acquire()
	if second := Acquire(); second != first {
		t.Error("two users have two threads")
	}
	ran := false
	RunTower(func() { ran = Encoding() })
	if !ran || Encoding() {
		t.Error("a step of a tower is not known to run, or known to run for ever")
	}
	Release()
	if err := first.Do(t.Context(), func() error { return nil }); err != nil {
		t.Errorf("while there is a user: %v", err)
	}
	Release()
	if err := first.Do(t.Context(), func() error { return nil }); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestADecodeHasTheThreadsThatItsTasksWant(t *testing.T) {
	for _, c := range []struct{ a, b, want int }{{1, 2, 2}, {1, 0, 0}, {0, 3, 0}} {
		if got := mostThreads([]sched.Entry{{Threads: c.a}, {Threads: c.b}}); got != c.want {
			t.Errorf("%d and %d: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
