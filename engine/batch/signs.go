package batch

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// signs tell the queue which jobs are being worked on, lest it gives them to others.
type signs struct {
	tick *time.Ticker // at least twice in the time within which a job needs a sign

	mu  sync.Mutex
	due map[jetstream.Msg]bool // jobs in hand: whether they were in hand at the last tick
}

func (s *signs) begin(jobs []jetstream.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range jobs {
		s.due[m] = false
	}
}

func (s *signs) end(m jetstream.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.due, m)
}

// give gives a sign of each job that has been in hand for a while, until ctx is done.
func (s *signs) give(ctx context.Context) {
	defer s.tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.tick.C:
		}
		s.mu.Lock()
		var jobs []jetstream.Msg
		for m, due := range s.due {
			if due {
				jobs = append(jobs, m)
			}
			s.due[m] = true
		}
		s.mu.Unlock()
		for _, m := range jobs {
			_ = m.InProgress() // while the queue is away nothing can be said
		}
	}
}
