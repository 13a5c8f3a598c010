package server

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/batch"
)

// foreignContext is a context that package context does not know: each that is derived from it has
// a goroutine until it ends.
type foreignContext struct {
	context.Context
	done chan struct{}
}

func (c foreignContext) Done() <-chan struct{} { return c.done }

// waitingContexts is how many contexts that derive from foreign ones have not ended.
func waitingContexts() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "context.(*cancelCtx).propagateCancel")
}

// The context of a worker lives through all its tasks, and nothing of one hangs on it afterwards.
func TestATaskLeavesNothingOnItsContext(t *testing.T) {
	ts := serve(t)
	ctx := foreignContext{t.Context(), make(chan struct{})}
	before := waitingContexts()
	for _, body := range []string{
		`{"max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}`,
		`{"messages": []}`,
	} {
		r, fault := ts.Answer(ctx, batch.Task{ID: "one", URL: "/v1/chat/completions",
			Model: batch.Model{Name: "seed"}, Body: json.RawMessage(body)})
		if fault != nil || r.Status != 200 && r.Status != 400 {
			t.Fatalf("%+v, %+v", r, fault)
		}
	}
	for range 500 { // goroutines end a moment after their contexts
		if waitingContexts() == before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d contexts have not ended, %d before", waitingContexts(), before)
}
