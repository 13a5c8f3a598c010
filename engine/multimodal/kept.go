package multimodal

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/eyelet-engine/eyelet/models/vision"
)

const (
	// mostAhead is how many pictures are kept: one may wait for its request, which is being read,
	// while the next is decoded.
	mostAhead = 2
	// mostPlans is how many plans of sounds are remembered.
	mostPlans = 256
)

// Kept is what a [Planner] keeps between requests: pictures that are decoded before they are asked
// about, and the plans of sounds, for which they would have to be decoded again with each question.
// The zero value is empty.
type Kept struct {
	mu     sync.Mutex
	early  []*early // the oldest first
	sounds map[[sha256.Size]byte]*vision.Plan
}

// early is a picture that is decoded ahead.
type early struct {
	data     *byte  // of its file, which is known by where it lies in memory
	identity string // what is made of it
	cancel   context.CancelFunc
	done     chan struct{} // closed when input is set, or the picture cannot be decoded
	input    *vision.Input
}

// Drop lets go of the pictures that were decoded ahead.
func (k *Kept) Drop() { k.put(nil) }

// put keeps a picture, and lets go of the oldest where there are too many; nil lets go of all.
func (k *Kept) put(e *early) {
	k.mu.Lock()
	old := k.early
	if e != nil {
		k.early = append(slices.Clone(old), e)
		n := max(0, len(k.early)-mostAhead)
		old, k.early = k.early[:n], k.early[n:]
	} else {
		k.early = nil
	}
	k.mu.Unlock()
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
func (k *Kept) claim(ctx context.Context, data []byte, identity string) *vision.Input {
	k.mu.Lock()
	i := slices.IndexFunc(k.early, func(e *early) bool {
		return len(data) > 0 && e.data == &data[0] && e.identity == identity
	})
	if i < 0 {
		k.mu.Unlock()
		return nil
	}
	e := k.early[i]
	k.early = slices.Delete(k.early, i, i+1)
	k.mu.Unlock()
	stop := context.AfterFunc(ctx, e.cancel)
	<-e.done
	stop()
	return e.input
}

// plan returns the plan of a sound by the hash of its file, nil if none is remembered.
func (k *Kept) plan(sum [sha256.Size]byte) *vision.Plan {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sounds[sum]
}

// keepPlan remembers the plan of a sound.
func (k *Kept) keepPlan(sum [sha256.Size]byte, p *vision.Plan) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sounds == nil || len(k.sounds) >= mostPlans {
		k.sounds = map[[sha256.Size]byte]*vision.Plan{}
	}
	k.sounds[sum] = p
}

// Ahead decodes a picture that is going to be asked about, under a budget, while others are
// computed: the next request about it, of the same bytes in memory, finds it ready. Few pictures
// are kept. It returns when the picture is decoded, or cannot be, which that request will tell.
func (p *Planner) Ahead(ctx context.Context, image *Image, budget Budget) {
	if p.Tower == nil || len(image.Data) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	head, plan, err := p.Look(ctx, image, budget)
	if err != nil {
		return
	}
	source, open := p.source(image, head, plan, &Spent{})
	e := &early{data: &image.Data[0], identity: source.Identity, cancel: cancel,
		done: make(chan struct{})}
	p.Kept.put(e)
	defer close(e.done)
	// a decoder that panics over a damaged file does so again, in the request's own job, which
	// tells it
	defer func() { _ = recover() }()
	if in, err := open(ctx); err == nil {
		e.input = in
	}
}
