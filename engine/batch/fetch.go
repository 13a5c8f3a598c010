package batch

import (
	"context"
	"fmt"
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
			if !w.refused[info.Config.Name] && info.State.Msgs > 0 {
				w.refused[info.Config.Name] = true
				w.Log(fmt.Sprintf("jobs wait for the model %.200q (%.12s…), which is not here; bring it with \"eyelet import\" or \"eyelet pull\"", name, digest))
			}
			continue
		}
		delete(w.refused, info.Config.Name)
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
	changed = len(lanes) != len(w.lanes)
	for i := range lanes {
		changed = changed || lanes[i].model != w.lanes[i].model
	}
	if changed {
		// Workers begin in lanes of their own, so that they meet no sooner than they must.
		w.lanes, w.at = lanes, 0
		if len(lanes) > 0 {
			w.at = int(time.Now().UnixNano()/1000) % len(lanes)
		}
	}
	return changed
}
