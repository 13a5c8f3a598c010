package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/eyelet-engine/eyelet/models/vision"
)

// mostAhead is how many pictures are kept: one may wait for its request, which is being read, while
// the next is decoded.
const mostAhead = 2

// ahead keeps pictures that are decoded before they are asked about.
type ahead struct {
	mu   sync.Mutex
	kept []*early // the oldest first
}

// early is such a picture.
type early struct {
	data     *byte  // of its file, which is known by where it lies in memory
	identity string // what is made of it
	cancel   context.CancelFunc
	done     chan struct{} // closed when input is set, or the picture cannot be decoded
	input    *vision.Input
}

// put keeps a picture, and lets go of the oldest where there are too many; nil lets go of all.
func (a *ahead) put(e *early) {
	a.mu.Lock()
	old := a.kept
	if e != nil {
		a.kept = append(slices.Clone(old), e)
		n := max(0, len(a.kept)-mostAhead)
		old, a.kept = a.kept[:n], a.kept[n:]
	} else {
		a.kept = nil
	}
	a.mu.Unlock()
	for _, e := range old {
		e.cancel()
		<-e.done
		if e.input != nil {
			_ = e.input.Close()
		}
	}
}

// claim waits for the picture that a source would decode, and hands it over; nil if it is none that
// is kept, or could not be decoded.
func (a *ahead) claim(ctx context.Context, data []byte, identity string) *vision.Input {
	a.mu.Lock()
	i := slices.IndexFunc(a.kept, func(e *early) bool {
		return len(data) > 0 && e.data == &data[0] && e.identity == identity
	})
	if i < 0 {
		a.mu.Unlock()
		return nil
	}
	e := a.kept[i]
	a.kept = slices.Delete(a.kept, i, i+1)
	a.mu.Unlock()
	stop := context.AfterFunc(ctx, e.cancel)
	<-e.done
	stop()
	return e.input
}

// Ahead decodes a picture that is going to be asked about, under a budget, while others are
// computed: the next request about it, of the same bytes in memory, finds it ready. Few pictures
// are kept. It returns when the picture is decoded, or cannot be, which that request will tell.
func (m *Model) Ahead(ctx context.Context, image *Image, budget Budget) {
	if !m.enter() {
		return
	}
	defer m.requests.Done()
	if m.vision == nil || len(image.Data) == 0 {
		return
	}
	ctx, cancel := m.untilClosed(ctx)
	defer cancel()
	head, plan, err := m.planOf(ctx, image, budget)
	if err != nil {
		return
	}
	source, open := m.source(image, head, plan, &spent{})
	e := &early{data: &image.Data[0], identity: source.Identity, cancel: cancel,
		done: make(chan struct{})}
	m.ahead.put(e)
	defer close(e.done)
	// a decoder that panics over a damaged file does so again, in the request's own job, which
	// tells it
	defer func() { _ = recover() }()
	if in, err := open(ctx); err == nil {
		e.input = in
	}
}
