package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
)

// TestResultsComeInOrder reads those of a batch behind one item that has none, one of them large.
func TestResultsComeInOrder(t *testing.T) {
	q := embedded(t, t.TempDir())
	large := fmt.Appendf(nil, `"%s"`, bytes.Repeat([]byte("x"), inlineMost))
	work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
		if task.ID == "item 40" {
			return &Response{Status: 200, Body: large}, nil
		}
		return echo(ctx, task)
	})
	const n = 3 * resultsAhead
	if count, err := q.Submit(t.Context(), Submission{Batch: "b", Items: numbered(n),
		Resolve: isToy}); err != nil || count.OK != n {
		t.Fatalf("%+v, %v", count, err)
	}
	items := func(yield func(Item, error) bool) {
		_ = yield(Item{ID: "nobody's"}, nil)
		numbered(n)(yield)
	}
	results := func(ctx context.Context,
		items iter.Seq2[Item, error]) iter.Seq2[Kept[Item], error] {
		return Results(ctx, q, "b", items, func(it Item) string { return it.ID })
	}
	i := 0
	for k, err := range results(t.Context(), items) {
		want := fmt.Sprintf("item %d", i-1)
		switch {
		case err != nil:
			t.Fatal(err)
		case i == 0:
			if k.Found || k.Item.ID != "nobody's" {
				t.Errorf("%+v", k)
			}
		case k.Item.ID != want || !k.Found || k.Result.CustomID != want || !k.Result.OK():
			t.Fatalf("in the place of %s: %+v", want, k.Item)
		case want == "item 40" && !bytes.Equal(k.Result.Response.Body, large):
			t.Errorf("a large answer has %d bytes of %d", len(k.Result.Response.Body), len(large))
		}
		i++
	}
	if i != n+1 {
		t.Errorf("%d results of %d", i, n+1)
	}
	for range results(t.Context(), items) {
		break // which leaves nothing behind, as TestMain sees
	}

	t.Run("an item that is none", func(t *testing.T) {
		seen := 0
		var last error
		for _, err := range results(t.Context(), func(yield func(Item, error) bool) {
			_ = yield(Item{ID: "item 1"}, nil) && yield(Item{}, ErrLine) &&
				yield(Item{ID: "item 2"}, nil)
		}) {
			seen, last = seen+1, err
		}
		if seen != 2 || !errors.Is(last, ErrLine) {
			t.Errorf("%d, the last with %v", seen, last)
		}
	})
	t.Run("an end in the middle", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		seen := 0
		var last error
		for _, err := range results(ctx, items) {
			if seen++; seen == 5 {
				stop()
			}
			last = err
		}
		if seen > n || !errors.Is(last, context.Canceled) {
			t.Errorf("%d, the last with %v", seen, last)
		}
	})
}
