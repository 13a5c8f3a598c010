package batch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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
	// Bring makes a model that jobs want and that is not here one of Models, if it can; nil where
	// there is no way to.
	Bring func(ctx context.Context, m Model) error
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

// PictureCache is how many bytes of embeddings a machine that works for batches needs to keep:
// those of pictures about which there are several questions, which come one after the other.
const PictureCache = 64 << 20

// Worker carries out the jobs of a queue.
type Worker struct {
	q *Queue
	WorkerOptions

	places chan struct{} // has a token for each task that is being answered
	ahead  chan struct{} // has one for each job that waits for a place
	took   atomic.Int64  // nanoseconds of an answer, a moving mean; 0 before the first

	signs      signs
	unanswered atomic.Int64    // jobs that were fetched and have no answer yet
	results    chan *jobResult // to whom stores them

	// What follows is used by the one goroutine that looks for jobs.
	lanes   []lane
	found   []Model // of the lanes, as they were found
	at      int     // the lane that had the last job
	looked  time.Time
	wanting map[string]time.Time // when streams of models that are not here were last looked at
	wake    chan struct{}
	bring   sync.WaitGroup // models that are being brought

	told atomic.Int64 // when a wait was last told of

	count sync.Mutex
	busy  int
	done  int
	known []Model
}

const (
	// deliveries beyond the tries after which a job is taken for one that ends its worker
	deaths    = 10
	firstWait = time.Second // before a job is tried again
	// An answer that takes less is quick: the next jobs are then fetched before a place is free,
	// because some milliseconds without work count. Where answers take longer, a job that waits
	// here would be one that an idle worker elsewhere does not get.
	quickAnswer = time.Second
	// So long may the work on the jobs take that are fetched at a time beyond one, and no more than
	// mostFetched are: each look for jobs costs as much as several of them.
	fetchedTime = 250 * time.Millisecond
	mostFetched = 32
)

// NewWorker makes a worker. Run starts it.
func NewWorker(q *Queue, o WorkerOptions) *Worker {
	host, _ := os.Hostname()
	o.Name = cmp.Or(o.Name, fmt.Sprintf("%s/%d", cmp.Or(host, "worker"), os.Getpid()))
	o.Parallel = max(o.Parallel, 1)
	if o.Log == nil {
		o.Log = func(string) {}
	}
	return &Worker{q: q, WorkerOptions: o, places: make(chan struct{}, o.Parallel),
		ahead: make(chan struct{}, o.Parallel), wanting: map[string]time.Time{},
		wake: make(chan struct{}, 1), results: make(chan *jobResult),
		signs: signs{due: map[jetstream.Msg]bool{}}}
}

// Run carries out jobs until ctx is done. Those in hand are then given back at once. It returns an
// error only if it could not begin.
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
	w.loop(ctx)
	return nil
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

// Workers asks who works for the queue, and yields those who answer, until d is over or the loop is
// left.
func (q *Queue) Workers(ctx context.Context, d time.Duration) iter.Seq2[WorkerState, error] {
	return func(yield func(WorkerState, error) bool) {
		inbox := q.nc.NewRespInbox()
		answers, err := q.nc.SubscribeSync(inbox)
		if err == nil {
			err = q.nc.PublishRequest(askSubject, inbox, nil)
		}
		if err != nil {
			yield(WorkerState{}, q.fault("asking for workers", err))
			return
		}
		defer func() { _ = answers.Unsubscribe() }()
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		for {
			m, err := answers.NextMsgWithContext(ctx)
			if err != nil {
				return // the time is over, or nobody listens at all
			}
			var s WorkerState
			if json.Unmarshal(m.Data, &s) == nil && s.Name != "" && !yield(s, nil) {
				return
			}
		}
	}
}

// loop fetches jobs and carries each out beside the others. What a job needs of the queue, before
// and after its answer, is done while others are answered.
func (w *Worker) loop(ctx context.Context) {
	var beside, tasks sync.WaitGroup
	defer func() { _ = w.q.nc.FlushTimeout(lastTime) }() // what was given back
	defer beside.Wait()
	defer w.bring.Wait()
	w.signs.tick = time.NewTicker(time.Hour) // until there are lanes
	beside.Go(func() { w.signs.give(ctx) })
	beside.Go(func() { w.store(ctx) })
	defer close(w.results)
	defer tasks.Wait()
	// Bounds the jobs whose results wait to be stored, as while the queue is away.
	hand := make(chan struct{}, 2*w.group()+cap(w.places)+cap(w.ahead))
	take := func(room chan struct{}) bool {
		select {
		case room <- struct{}{}:
			return true
		case <-ctx.Done():
			return false
		}
	}
	var jobs []jetstream.Msg
	var from lane
	defer func() {
		for _, m := range jobs {
			w.leave(m.Nak)
		}
	}()
	for take(hand) {
		wait := w.places
		if took := w.took.Load(); took > 0 && took < int64(quickAnswer) {
			wait = w.ahead
		}
		if !take(wait) {
			return
		}
		if len(jobs) == 0 {
			if jobs, from = w.next(ctx, w.several()); len(jobs) == 0 {
				return
			}
			w.unanswered.Add(int64(len(jobs)))
			w.signs.begin(jobs)
		}
		m, model := jobs[0], from.model
		jobs = jobs[1:]
		tasks.Go(func() {
			defer func() { <-hand }()
			defer w.signs.end(m)
			w.work(ctx, m, model, wait)
		})
	}
}

// several is how many jobs to fetch at a time: as many as are soon done.
func (w *Worker) several() int {
	took := w.took.Load()
	if took == 0 || took >= int64(quickAnswer) {
		return 1
	}
	return int(min(max(int64(fetchedTime)*int64(w.Parallel)/took, 1), mostFetched))
}

// answered takes the time of an answer into the mean.
func (w *Worker) answered(took time.Duration) {
	if old := w.took.Load(); old > 0 {
		took = (3*time.Duration(old) + took) / 4
	}
	w.took.Store(int64(max(took, 1)))
}

// leave counts a job as one without an answer to come, and tells the queue so.
func (w *Worker) leave(tell func() error) {
	w.unanswered.Add(-1)
	_ = tell() // who hears nothing gives the job to another worker after a while
}

// place is what a job holds while it is being answered, or waits for that.
type place struct {
	w    *Worker
	held chan struct{} // the channel that has its token, nil for none
}

// take waits for a place among those that are answered.
func (p *place) take(ctx context.Context) error {
	if p.held == p.w.places {
		return nil
	}
	select {
	case p.w.places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.leave()
	p.held = p.w.places
	return nil
}

// leave gives the place to another job. Leaving again does nothing.
func (p *place) leave() {
	if p.held != nil {
		<-p.held
		p.held = nil
	}
}

// work carries out one job: it ends with its result stored and the job acknowledged, or with the
// job given back. wait is the channel that has a token for it.
func (w *Worker) work(ctx context.Context, m jetstream.Msg, model Model, wait chan struct{}) {
	at := &place{w, wait}
	defer at.leave()
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
		w.leave(m.Term)
		return
	}
	if meta.NumDelivered > 1 {
		if _, _, ok, err := w.q.find(ctx, j.Batch, hashOf(j.ID)); ok ||
			errors.Is(err, jetstream.ErrStreamNotFound) {
			w.leave(m.Ack) // it was done, or the batch is over
			return
		}
	}
	r := stored{Result: Result{ID: resultID(j.Batch, hashOf(j.ID)), CustomID: j.ID}, Worker: w.Name,
		Tries: meta.NumDelivered}
	last := meta.NumDelivered >= uint64(max(j.Tries, 1))
	if meta.NumDelivered > uint64(max(j.Tries, 1)+deaths) {
		r.Error = &Fault{"worker_lost",
			fmt.Sprintf("the job was given to workers %d times, and none of them lived to answer it", meta.NumDelivered-1)}
	} else if r.Response, r.Error, err = w.answer(ctx, j, model, at); ctx.Err() != nil {
		w.leave(m.Nak)
		return
	} else if errors.Is(err, errGone) {
		if _, _, ok, _ := w.q.find(ctx, j.Batch, hashOf(j.ID)); ok {
			w.leave(m.Ack)
			return
		}
		r.Error = &Fault{"bad_picture", err.Error()}
	} else if errors.Is(err, errForeign) {
		if meta.NumDelivered <= uint64(foreignTries*(max(j.Tries, 1)-1)) {
			w.tell(errors.New(r.Error.Message))
			w.leave(m.Nak)
			w.signs.end(m)
			w.rest(ctx)
			return
		}
		err = nil // but a fault
	} else if err != nil {
		r.Error = &Fault{"queue", err.Error()}
	}
	at.leave()
	if !last && (err != nil || passes(r.Response)) {
		w.leave(func() error {
			return m.NakWithDelay(retryPause(meta.NumDelivered))
		})
		return
	}
	w.unanswered.Add(-1)
	ended := make(chan struct{})
	w.results <- &jobResult{m: m, job: j, stored: r, ended: ended}
	<-ended
}

// errForeign marks a job whose pictures this worker may not read. Another worker may.
var errForeign = errors.New("batch: a picture lies in no folder of the worker")

// foreignTries is how often, for each further try of a job, it is given back by workers that may
// not read its pictures: all that are idle may get it before one that may.
const foreignTries = 6

// rest holds a place for longer than idle workers take to look for jobs: one that gives jobs back
// would else have the most of them.
func (w *Worker) rest(ctx context.Context) {
	select {
	case <-time.After(2 * idlePause):
	case <-ctx.Done():
	}
}

// passes reports whether a response is a failure that can pass.
func passes(r *Response) bool {
	return r != nil && (r.Status >= 500 || r.Status == http.StatusTooManyRequests ||
		r.Status == http.StatusRequestTimeout)
}

// retryPause is how long to wait before an item is tried again that was tried so often.
func retryPause(tries uint64) time.Duration { return firstWait << min(tries-1, 6) }

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

// answer fetches what a job needs and has it carried out when there is a place. An error is one of
// the queue, or errForeign, with a fault.
func (w *Worker) answer(ctx context.Context, j job, model Model,
	at *place) (*Response, *Fault, error) {
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
				fmt.Sprintf("%s: the worker %s reads no pictures from there; start it with --folder, or submit without --by-path", p.Name, w.Name)}, errForeign
		}
		t.Pictures = append(t.Pictures, f)
	}
	if err := at.take(ctx); err != nil {
		return nil, nil, err
	}
	began := time.Now()
	r, fault := w.Answer(ctx, t)
	w.answered(time.Since(began))
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
