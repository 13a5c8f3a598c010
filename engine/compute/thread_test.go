package compute

import (
	"context"
	"errors"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
)

func TestTheComputeThreadAfterItsEnd(t *testing.T) {
	// Not the one of the process, which other tests use.
	th := newThread(nil)
	if err := th.Do(context.Background(), func() error { return nil }); err != nil {
		t.Error(err)
	}
	close(th.quit)
	<-th.done
	if err := th.Do(context.Background(), func() error { return nil }); !errors.Is(err,
		fault.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
