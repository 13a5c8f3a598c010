package batch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// Task is a job as whoever carries it out sees it.
type Task struct {
	Batch    string
	ID       string
	URL      string          // the endpoint
	Model    Model           // with the name that it has here
	Body     json.RawMessage // names pictures by PictureAddress
	Pictures []File
}

// File is a picture file of a task: the bytes, or a path on this machine.
type File struct {
	Name string
	Path string // "" where there is Data
	Data []byte
	Page int // counted from 0; -1 for the whole file
}

// WorkerOptions are the options of NewWorker.
type WorkerOptions struct {
	Name string // of this worker, for those who ask; "" for host and process
	// Models are those that this worker has. It is asked again now and then.
	Models func(ctx context.Context) ([]Model, error)
	// Answer carries a task out. A fault is one of the task, and final; what can pass is a response
	// of the status 429 or 500 and above.
	Answer func(ctx context.Context, t Task) (*Response, *Fault)
	// Parallel is how many tasks are carried out at a time; 0 means 1.
	Parallel int
	// Folders are where pictures may lie that a job names by path; nil for none, "/" for anywhere.
	Folders []string
	// Log is told what a person may want to know; nil for nobody.
	Log func(text string)
}

// Worker carries out the jobs of a queue.
type Worker struct {
	q *Queue
	WorkerOptions

	mu      sync.Mutex // held by the one task that looks for a job
	lanes   []lane
	at      int // the lane that had the last job
	looked  time.Time
	refused map[string]bool // streams of models that are not here, as the log says
	wake    chan struct{}

	count sync.Mutex
	busy  int
	done  int
	known []Model
}

// lane is a slot of a model's stream.
type lane struct {
	consumer jetstream.Consumer
	model    Model
}

const (
	lanesAge  = 2 * time.Second // after which a worker without work looks for new streams
	idlePause = time.Second     // between looks for work where nothing is heard
	// deliveries beyond the tries after which a job is taken for one that ends its worker
	deaths    = 10
	firstWait = time.Second // before a job is tried again
)

// NewWorker makes a worker. Run starts it.
func NewWorker(q *Queue, o WorkerOptions) *Worker {
	host, _ := os.Hostname()
	o.Name = cmp.Or(o.Name, fmt.Sprintf("%s/%d", cmp.Or(host, "worker"), os.Getpid()))
	o.Parallel = max(o.Parallel, 1)
	if o.Log == nil {
		o.Log = func(string) {}
	}
	return &Worker{q: q, WorkerOptions: o, refused: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// Run carries out jobs until ctx is done. Those in hand are then given back at once. It returns an
// error only if it could not begin, or if the queue inside this program has ended.
func (w *Worker) Run(ctx context.Context) error {
	woken, err := w.q.nc.Subscribe(wakeSubject, func(*nats.Msg) {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return w.q.fault("listening", err)
	}
	defer func() { _ = woken.Unsubscribe() }()
	asked, err := w.q.nc.Subscribe(askSubject, func(m *nats.Msg) {
		if data, err := json.Marshal(w.state()); err == nil {
			_ = m.Respond(data)
		}
	})
	if err != nil {
		return w.q.fault("listening", err)
	}
	defer func() { _ = asked.Unsubscribe() }()
	if w.known, err = w.Models(ctx); err != nil {
		return err
	}
	var tasks sync.WaitGroup
	failed := make(chan error, w.Parallel)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for range w.Parallel {
		tasks.Go(func() {
			if err := w.loop(ctx); err != nil {
				failed <- err
				stop()
			}
		})
	}
	tasks.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// WorkerState is what a worker says of itself.
type WorkerState struct {
	Name   string  `json:"name"`
	Models []Model `json:"models"`
	Busy   int     `json:"busy"` // tasks in hand
	Done   int     `json:"done"` // since it began
}

func (w *Worker) state() WorkerState {
	w.count.Lock()
	defer w.count.Unlock()
	return WorkerState{w.Name, w.known, w.busy, w.done}
}

// Workers asks who works for the queue, and waits for answers as long as d.
func (q *Queue) Workers(ctx context.Context, d time.Duration) ([]WorkerState, error) {
	inbox := q.nc.NewRespInbox()
	answers, err := q.nc.SubscribeSync(inbox)
	if err == nil {
		err = q.nc.PublishRequest(askSubject, inbox, nil)
	}
	if err != nil {
		return nil, q.fault("asking for workers", err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var list []WorkerState
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return list, nil // the time is over, or nobody listens at all
		}
		var s WorkerState
		if json.Unmarshal(m.Data, &s) == nil && s.Name != "" {
			list = append(list, s)
		}
	}
}

// loop carries out one task after the other.
func (w *Worker) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		m, from, err := w.next(ctx)
		if err != nil {
			return err
		}
		if m != nil {
			w.work(ctx, m, from)
		}
	}
	return nil
}

// next waits for a job: first in the lane that had the last one. It returns nil where ctx is done.
func (w *Worker) next(ctx context.Context) (jetstream.Msg, lane, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ctx.Err() == nil {
		if w.q.broken() {
			return nil, lane{}, w.q.fault("working", ErrQueue)
		}
		for i := range w.lanes {
			at := (w.at + i) % len(w.lanes)
			if m := w.fetch(w.lanes[at].consumer); m != nil {
				w.at = at
				return m, w.lanes[at], nil
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
	return nil, lane{}, nil
}

// fetch takes a job from a consumer, nil if it has none now.
func (w *Worker) fetch(c jetstream.Consumer) jetstream.Msg {
	got, err := c.FetchNoWait(1)
	if err != nil {
		return nil // the queue is away: looked at again after a pause
	}
	var m jetstream.Msg
	for m = range got.Messages() { //nolint:revive // one at most
	}
	return m
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
		}
	}
	if streams.Err() != nil {
		return false
	}
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

// work carries out one job: it ends with its result stored and the job acknowledged, or with the
// job given back.
func (w *Worker) work(ctx context.Context, m jetstream.Msg, from lane) {
	w.count.Lock()
	w.busy++
	w.count.Unlock()
	defer func() {
		w.count.Lock()
		w.busy--
		w.done++
		w.count.Unlock()
	}()
	var j job
	meta, err := m.Metadata()
	if err == nil {
		err = json.Unmarshal(m.Data(), &j)
	}
	if err == nil {
		err = j.check(m.Subject())
	}
	if err != nil {
		w.Log("a job in the queue is none, and is thrown away: " + err.Error())
		_ = m.Term()
		return
	}
	alive := beat(ctx, m, from.consumer.CachedInfo().Config.AckWait/3)
	defer alive()
	if meta.NumDelivered > 1 {
		if _, _, ok, err := w.q.find(ctx, j.Batch, hashOf(j.ID)); ok ||
			errors.Is(err, jetstream.ErrStreamNotFound) {
			_ = m.Ack() // it was done, or the batch is over
			return
		}
	}
	r := stored{Result: Result{ID: resultID(j.Batch, hashOf(j.ID)), CustomID: j.ID}, Worker: w.Name,
		Tries: meta.NumDelivered}
	last := meta.NumDelivered >= uint64(max(j.Tries, 1))
	if meta.NumDelivered > uint64(max(j.Tries, 1)+deaths) {
		r.Error = &Fault{"worker_lost",
			fmt.Sprintf("the job was given to workers %d times, and none of them lived to answer it", meta.NumDelivered-1)}
	} else if r.Response, r.Error, err = w.answer(ctx, j, from.model); ctx.Err() != nil {
		_ = m.Nak()
		_ = w.q.nc.FlushTimeout(time.Second)
		return
	} else if errors.Is(err, errGone) {
		if _, _, ok, _ := w.q.find(ctx, j.Batch, hashOf(j.ID)); ok {
			_ = m.Ack()
			return
		}
		r.Error = &Fault{"bad_picture", err.Error()}
	} else if err != nil {
		r.Error = &Fault{"queue", err.Error()}
	}
	if !last && (err != nil || passes(r.Response)) {
		_ = m.NakWithDelay(firstWait << min(meta.NumDelivered-1, 6))
		return
	}
	if w.keep(ctx, j, r) {
		_ = m.Ack()
	} else {
		_ = m.Nak()
	}
}

// passes reports whether a response is a failure that can pass.
func passes(r *Response) bool {
	return r != nil && (r.Status >= 500 || r.Status == http.StatusTooManyRequests ||
		r.Status == http.StatusRequestTimeout)
}

// keep stores a result, however long the queue is away. It gives up where ctx is done.
func (w *Worker) keep(ctx context.Context, j job, r stored) bool {
	err := w.q.retry(ctx, nil, func() error { return w.q.keep(ctx, j.Batch, r) })
	if errors.Is(err, ErrNoRoom) && !w.q.broken() {
		// The store takes no answer; a reason is shorter.
		r.Response, r.Object = nil, ""
		r.Error = &Fault{"no_room", "the queue has no room for the answer"}
		err = w.q.keep(ctx, j.Batch, r)
	}
	if errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, jetstream.ErrStreamNotFound) {
		return true // nobody wants it: the batch is over
	}
	if err != nil && ctx.Err() == nil {
		w.Log("a result cannot be stored: " + err.Error())
		time.Sleep(firstWait)
	}
	return err == nil
}

// beat tells the queue that a job is being worked on, until the returned function is called.
func beat(ctx context.Context, m jetstream.Msg, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var over sync.WaitGroup
	over.Go(func() {
		tick := time.NewTicker(max(every, 10*time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = m.InProgress() // while the queue is away nothing can be said
			}
		}
	})
	return func() { cancel(); over.Wait() }
}

// check refuses a job that does not fit its subject, which somebody else has put there.
func (j *job) check(subject string) error {
	switch {
	case CheckBatch(j.Batch) != nil || checkID(j.ID) != nil:
		return errors.New("it has no name")
	case !strings.HasSuffix(subject, "."+j.Batch+"."+hashOf(j.ID)):
		return errors.New("its name is not that of its subject")
	case len(j.Pictures) > MaxPictures:
		return fmt.Errorf("it has %d pictures", len(j.Pictures))
	case len(j.Body) == 0 && j.Object == "":
		return errors.New("it has no body")
	}
	return nil
}

// answer fetches what a job needs and has it carried out. An error is one of the queue.
func (w *Worker) answer(ctx context.Context, j job, model Model) (*Response, *Fault, error) {
	t := Task{Batch: j.Batch, ID: j.ID, URL: j.URL, Model: model, Body: j.Body}
	if j.Object != "" {
		var err error
		if t.Body, err = w.q.get(ctx, j.Batch, j.Object, MaxLine); err != nil {
			return nil, nil, err
		}
	}
	for _, p := range j.Pictures {
		f := File{Name: p.Name, Path: p.Path, Page: p.Page}
		switch {
		case p.Object != "":
			var err error
			f.Path = ""
			if f.Data, err = w.q.get(ctx, j.Batch, p.Object, imaging.DefaultMaxBytes); err != nil {
				return nil, nil, err
			}
		case !w.mayRead(p.Path):
			return nil, &Fault{"bad_picture",
				fmt.Sprintf("%s: the worker %s reads no pictures from there; start it with --folder, or submit without --by-path", p.Name, w.Name)}, nil
		}
		t.Pictures = append(t.Pictures, f)
	}
	r, fault := w.Answer(ctx, t)
	return r, fault, nil
}

// mayRead reports whether a path leads into one of the worker's folders, links followed.
func (w *Worker) mayRead(path string) bool {
	if !filepath.IsAbs(path) {
		return false
	}
	for _, folder := range w.Folders {
		if folder == "/" {
			return true
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			real = filepath.Clean(path) // not there, as whoever reads it finds out
		}
		if base, err := filepath.EvalSymlinks(folder); err == nil {
			if rel, err := filepath.Rel(base, real); err == nil && filepath.IsLocal(rel) {
				return true
			}
		}
	}
	return false
}
