package batch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lane is a slot of a model's stream.
type lane struct {
	consumer jetstream.Consumer
	model    Model
}

const (
	lanesAge  = 2 * time.Second // after which a worker without work looks for new streams
	idlePause = time.Second     // between looks for work where nothing is heard
)

// next waits for jobs, and returns at most n of one lane: of the one that had the last jobs, where
// it has more. It returns none where ctx is done.
func (w *Worker) next(ctx context.Context, n int) ([]jetstream.Msg, lane) {
	for ctx.Err() == nil {
		for i := range w.lanes {
			at := (w.at + i) % len(w.lanes)
			if jobs := fetch(w.lanes[at].consumer, n); len(jobs) > 0 {
				w.at = at
				return jobs, w.lanes[at]
			}
		}
		if time.Since(w.looked) > lanesAge {
			w.looked = time.Now()
			if w.look(ctx) {
				continue
			}
		}
		select {
		case <-w.wake:
			if len(w.lanes) == 0 {
				w.looked = time.Time{}
			}
		case <-time.After(idlePause):
		case <-ctx.Done():
		}
	}
	return nil, lane{}
}

// fetch takes at most n jobs from a consumer, none if it has none now.
func fetch(c jetstream.Consumer, n int) (jobs []jetstream.Msg) {
	got, err := c.FetchNoWait(n)
	if err != nil {
		return nil // the queue is away: looked at again after a pause
	}
	for m := range got.Messages() {
		jobs = append(jobs, m)
	}
	return jobs
}

// look finds the streams of the models that are here. It reports whether there are others than
// before.
func (w *Worker) look(ctx context.Context) (changed bool) {
	models, err := w.Models(ctx)
	if err != nil {
		w.Log("the models cannot be listed: " + err.Error())
		return false
	}
	w.count.Lock()
	w.known = models
	w.count.Unlock()
	var lanes []lane
	pulse := time.Hour
	streams := w.q.js.ListStreams(ctx, jetstream.WithStreamListSubject(jobsSubject+">"))
	for info := range streams.Info() {
		name, digest := info.Config.Metadata["eyelet_model"], info.Config.Metadata["eyelet_digest"]
		var model Model
		for _, m := range models {
			if m.Digest == digest {
				model = m
				break
			}
		}
		if model.Digest == "" || info.Config.Name != jobsStream+model.key() {
			if info.State.Msgs > 0 {
				w.want(ctx, info.Config.Name, Model{name, digest})
			}
			continue
		}
		delete(w.wanting, info.Config.Name)
		for i := range slots {
			c, err := w.q.js.Consumer(ctx, info.Config.Name, slotName(i))
			if err != nil {
				continue // being made: there the next time
			}
			lanes = append(lanes, lane{c, model})
			pulse = min(pulse, c.CachedInfo().Config.AckWait/3)
		}
	}
	if streams.Err() != nil {
		return false
	}
	w.signs.tick.Reset(max(pulse/2, 10*time.Millisecond))
	found := make([]Model, len(lanes))
	for i, l := range lanes {
		found[i] = l.model
	}
	if changed = !slices.Equal(found, w.found); changed {
		// Each worker goes through the lanes in an order of its own: those that meet in one, and
		// share its pictures, part with the next.
		rand.Shuffle(len(lanes), func(i, j int) { lanes[i], lanes[j] = lanes[j], lanes[i] })
		w.lanes, w.found, w.at = lanes, found, 0
	}
	return changed
}

// bringPause is how long passes before a model is asked for again that could not be brought.
const bringPause = 10 * time.Minute

// want has a model brought that the jobs of a stream wait for, or tells that it is not here.
func (w *Worker) want(ctx context.Context, stream string, m Model) {
	last, known := w.wanting[stream]
	if known && (w.Bring == nil || time.Since(last) < bringPause) {
		return
	}
	w.wanting[stream] = time.Now()
	what := fmt.Sprintf("the model %.200q (%.12s…)", m.Name, m.Digest)
	switch {
	case w.Bring == nil:
		w.Log("jobs wait for " + what + ", which is not here; bring it with \"eyelet import\" or \"eyelet pull\"")
		return
	case !digestPattern.MatchString(m.Digest) || stream != jobsStream+m.key():
		w.Log("jobs wait for " + what + ", which is no model")
		return
	}
	w.Log("jobs wait for " + what + "; bringing it")
	w.bring.Go(func() {
		switch err := w.Bring(ctx, m); {
		case err == nil:
			w.Log(what + " is here now")
		case ctx.Err() == nil:
			w.Log(what + " cannot be brought: " + err.Error())
		}
	})
}
