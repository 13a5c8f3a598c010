package batch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/models/store"
)

// ownModels lists the models that this program carries tasks out for: whichever the batch has
// named.
func (r *batchRun) ownModels(context.Context) ([]batch.Model, error) {
	r.seen.Lock()
	defer r.seen.Unlock()
	return slices.Clone(r.models), nil
}

// resolveAll finds the models of all items, so that jobs that an earlier run left in the queue find
// them here.
func (r *batchRun) resolveAll() error {
	names := map[string]bool{}
	for it, err := range r.items() {
		if err != nil {
			return err
		}
		if !names[it.Model] {
			names[it.Model] = true
			_, _ = r.resolve(r.ctx, it.Model) // what is wrong with it becomes the item's failure
		}
		if !r.o.openai {
			break // all are about one model
		}
	}
	return nil
}

// askAgain forgets failures of the run before.
func (r *batchRun) askAgain() error {
	if _, err := r.queue.Begin(r.ctx, r.state.Batch); err != nil {
		return err
	}
	n := 0
	for it, err := range r.items() {
		if err != nil {
			return err
		}
		gone, err := r.queue.Forget(r.ctx, r.state.Batch, it.ID)
		if err != nil {
			return err
		}
		if gone {
			n++
		}
	}
	if n > 0 {
		r.say("asking again about %s that failed", cli.Plural(n, "item"))
	}
	r.state.Ended = false
	return r.save()
}

// resolve finds the model that an item names: here, or with the workers of the site.
func (r *batchRun) resolve(ctx context.Context, name string) (batch.Model, error) {
	r.seen.Lock()
	defer r.seen.Unlock()
	for _, m := range r.models {
		if m.Name == name {
			return m, nil
		}
	}
	m, err := r.machine.server.Resolve(ctx, name)
	if !r.queue.Embedded() {
		m, err = r.resolveAtSite(ctx, name, m, err)
	}
	if err == nil {
		r.models = append(r.models, m)
	}
	return m, err
}

// askTime is how long workers may take to say that they are there.
const askTime = time.Second

// resolveAtSite asks the workers of the site about a model. One that is here is taken as soon as a
// worker has it, too; of one that is not, all workers' names count.
func (r *batchRun) resolveAtSite(ctx context.Context, name string, own batch.Model,
	ownErr error) (batch.Model, error) {
	if ownErr == nil {
		if shared, err := r.machine.server.Shared(name); err != nil || !shared {
			return own, fmt.Errorf("%s is a file of this machine, which workers cannot know; bring it into the store here and there with \"eyelet import\"", name)
		}
	}
	digests, workers := map[string]bool{}, 0 // of the models that may be meant
	for w, err := range r.queue.Workers(ctx, askTime) {
		if err != nil {
			return own, err
		}
		workers++
		for _, m := range w.Models {
			switch {
			case ownErr == nil && m.Digest == own.Digest:
				return own, nil
			case ownErr != nil && sameModelName(m.Name, name):
				digests[m.Digest] = true
			}
		}
	}
	switch {
	case ownErr == nil:
		r.say("no worker has %s (%.12s…) now, of %d that answer; jobs wait for one that does", name,
			own.Digest, workers)
	case len(digests) == 0:
		return own, fmt.Errorf("%s is neither here nor with a worker, of %d that answer", name,
			workers)
	case len(digests) > 1:
		return own, fmt.Errorf("workers have different models under the name %s; have it here too, so that it is known which is meant", name)
	}
	for digest := range digests {
		own = batch.Model{Name: name, Digest: digest}
	}
	return own, nil
}

// sameModelName compares names, a tag of "latest" left out or not.
func sameModelName(a, b string) bool {
	x, errA := store.ParseName(a)
	y, errB := store.ParseName(b)
	return errA == nil && errB == nil && x.String() == y.String()
}
