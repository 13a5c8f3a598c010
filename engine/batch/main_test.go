package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// nats.go's publisher of an object store leaves a goroutine behind where its clean-up is faster
// than the goroutine's start: it then waits for a channel that is gone.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(
		"github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// toy is a model that tests say they have.
var toy = Model{Name: "toy", Digest: strings.Repeat("a1", 32)}

// embedded opens a queue in a folder of the test's.
func embedded(t testing.TB, dir string, change ...func(*EmbedOptions)) *Queue {
	t.Helper()
	o := EmbedOptions{AckWait: time.Second}
	for _, c := range change {
		c(&o)
	}
	q, err := Embed(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// work starts a worker for the toy, and returns what ends it and waits.
func work(t testing.TB, q *Queue, answer func(ctx context.Context, task Task) (*Response, *Fault),
	change ...func(*WorkerOptions)) (end func()) {
	t.Helper()
	o := WorkerOptions{
		Parallel: 2, Folders: []string{"/"}, Answer: answer,
		Models: func(context.Context) ([]Model, error) { return []Model{toy}, nil },
		Log:    func(text string) { t.Log(text) },
	}
	for _, c := range change {
		c(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() {
		if err := NewWorker(q, o).Run(ctx); err != nil {
			t.Log(err)
		}
	})
	end = sync.OnceFunc(func() { cancel(); over.Wait() })
	t.Cleanup(end)
	return end
}

// echo answers with the id of its task.
func echo(_ context.Context, task Task) (*Response, *Fault) {
	body, _ := json.Marshal(map[string]string{"answer": task.ID})
	return &Response{Status: 200, RequestID: "r", Body: body}, nil
}

// numbered are n items.
func numbered(n int) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for i := range n {
			if !yield(Item{ID: fmt.Sprintf("item %d", i), URL: Endpoints[0], Model: "toy",
				Body: json.RawMessage(`{"model":"toy"}`)}, nil) {
				return
			}
		}
	}
}

func isToy(context.Context, string) (Model, error) { return toy, nil }
