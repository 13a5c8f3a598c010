package batch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// onItsWay is a message that was published; what is sent on stored acknowledges it.
type onItsWay struct {
	jetstream.PubAckFuture
	stored chan *jetstream.PubAck
}

func (o onItsWay) Ok() <-chan *jetstream.PubAck { return o.stored }
func (o onItsWay) Err() <-chan error            { return nil }

// However many messages are on their way when a worker ends, it waits for them once.
func TestAnEndWaitsOnceForAllMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		last, end := lasting(ctx)
		defer end()
		start := time.Now()
		time.AfterFunc(time.Minute, stop)
		stored := onItsWay{stored: make(chan *jetstream.PubAck, 1)}
		stored.stored <- nil
		for range 32 {
			if arrived(last, onItsWay{}) == nil {
				t.Fatal("nothing has arrived")
			}
		}
		if took := time.Since(start); took != time.Minute+lastTime {
			t.Errorf("it took %v", took)
		}
		if err := arrived(last, stored); err != nil {
			t.Errorf("a message that was stored: %v", err)
		}
	})
}
