package server

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// intakeBytes is how much memory requests take that wait for their turn: beyond it, the bodies
	// of others are not read yet. One that alone takes more is read alone.
	intakeBytes = 16 << 20
	// smallBody is the size up to which a body is read at once.
	smallBody = 256 << 10
	// unknownBody is what a body counts whose size is not known before.
	unknownBody = 8 << 20
	// intakeTime is how long a body may come and keep others waiting.
	intakeTime = 5 * time.Second
)

// A body that is read is there three times for a moment, as JSON, as the text of a picture in it
// and as the picture's file; then it is the file alone, until the request has its turn. These are
// the shares of a body's size, in quarters, that are counted.
const (
	whileRead   = 12
	whileTaken  = 8
	whileQueued = 3
)

// intake bounds the memory of requests that are not computed yet: many clients may send large
// pictures at once, and those that would only wait for their turn need not be in memory meanwhile.
// Who comes in next is of the client that has the least there, the one who came first.
type intake struct {
	mu      sync.Mutex
	most    int64
	held    int64
	clients map[string]int64 // what is held of each client's requests
	waiting []*portion
}

func newIntake(most int64) *intake { return &intake{most: most, clients: map[string]int64{}} }

// portion is what a request holds of an intake.
type portion struct {
	in     *intake
	client string
	bytes  int64         // that it holds, or waits for
	room   chan struct{} // closed when it is let in
	over   bool
}

// enter waits for room. The portion is to be ended.
func (in *intake) enter(ctx context.Context, client string, bytes int64) (*portion, error) {
	p := &portion{in: in, client: client, bytes: bytes, room: make(chan struct{})}
	in.mu.Lock()
	in.waiting = append(in.waiting, p)
	in.letIn()
	in.mu.Unlock()
	select {
	case <-p.room:
		return p, nil
	case <-ctx.Done():
		p.end()
		return nil, ctx.Err()
	}
}

// letIn lets in those for whom there is room. The next one is not passed by smaller ones, or it
// would wait for ever.
func (in *intake) letIn() {
	for len(in.waiting) > 0 {
		next := 0
		for i, p := range in.waiting {
			if in.clients[p.client] < in.clients[in.waiting[next].client] {
				next = i
			}
		}
		p := in.waiting[next]
		if in.held > 0 && in.held+p.bytes > in.most {
			return
		}
		in.waiting = slices.Delete(in.waiting, next, next+1)
		in.count(p.client, p.bytes)
		close(p.room)
	}
}

// count adds to what is held of a client's requests.
func (in *intake) count(client string, bytes int64) {
	in.held += bytes
	if in.clients[client] += bytes; in.clients[client] == 0 {
		delete(in.clients, client)
	}
}

// set changes what a portion holds, without waiting. After its end it does nothing, nor for a nil
// portion.
func (p *portion) set(bytes int64) {
	if p == nil {
		return
	}
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	if !p.over {
		p.in.count(p.client, bytes-p.bytes)
		p.bytes = bytes
		p.in.letIn()
	}
}

// end gives a portion back, or up if it still waits. It may be called again.
func (p *portion) end() {
	if p == nil {
		return
	}
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	if p.over {
		return
	}
	p.over = true
	if i := slices.Index(p.in.waiting, p); i >= 0 {
		p.in.waiting = slices.Delete(p.in.waiting, i, i+1)
	} else {
		p.in.count(p.client, -p.bytes)
	}
	p.in.letIn()
}
