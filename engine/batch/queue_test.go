package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestEveryItemHasOneResult(t *testing.T) {
	q := embedded(t, t.TempDir())
	work(t, q, echo)
	began := time.Now()
	count, err := q.Submit(t.Context(), Submission{Batch: "b", Items: numbered(500), Resolve: isToy,
		Window: 64})
	t.Log(time.Since(began))
	if err != nil || count != (Count{Items: 500, OK: 500}) {
		t.Fatalf("%+v, %v", count, err)
	}
	for i := range 500 {
		id := fmt.Sprintf("item %d", i)
		r, ok, err := q.Result(t.Context(), "b", id)
		if err != nil || !ok || !r.OK() || r.CustomID != id ||
			string(r.Response.Body) != fmt.Sprintf(`{"answer":"%s"}`, id) {
			t.Fatalf("%s: %+v, %v, %v", id, r, ok, err)
		}
	}
	s, err := q.js.Stream(t.Context(), resultsStream+"b")
	if err != nil || s.CachedInfo().State.Msgs != 500 {
		t.Errorf("%+v, %v", s.CachedInfo().State, err)
	}
}

func TestABatchGoesOnAfterItsSubmitterEnds(t *testing.T) {
	dir := t.TempDir()
	q := embedded(t, dir)
	var asked sync.Map
	counting := func(ctx context.Context, task Task) (*Response, *Fault) {
		n, _ := asked.LoadOrStore(task.ID, new(atomic.Int32))
		n.(*atomic.Int32).Add(1)
		return echo(ctx, task)
	}
	end := work(t, q, counting)
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	_, err := q.Submit(ctx, Submission{Batch: "b", Items: numbered(100), Resolve: isToy, Window: 8,
		Done: func(bool, bool) {
			if seen++; seen == 40 {
				cancel()
			}
		}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	end()
	_ = q.Close()
	q = embedded(t, dir)
	work(t, q, counting)
	count, err := q.Submit(t.Context(), Submission{Batch: "b", Items: numbered(100),
		Resolve: isToy})
	if err != nil || count.OK != 100 || count.Known < 40 || count.Known > 48 {
		t.Fatalf("%+v, %v", count, err)
	}
	for i := range 100 {
		if _, ok := asked.Load(fmt.Sprintf("item %d", i)); !ok {
			t.Errorf("item %d was never asked", i)
		}
	}
}

func TestAQueueIsOpenOnce(t *testing.T) {
	dir := t.TempDir()
	q := embedded(t, dir)
	if _, err := Embed(dir, EmbedOptions{}); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
	_ = q.Close()
	_ = q.Close()
	embedded(t, dir)
}

func TestFailures(t *testing.T) {
	q := embedded(t, t.TempDir())
	var busy atomic.Int32
	work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
		switch task.ID {
		case "bad":
			return &Response{Status: 400,
				Body: json.RawMessage(`{"error":{"message":"no such field","type":"invalid_request_error","code":null}}`)}, nil
		case "busy":
			if busy.Add(1) == 1 {
				return &Response{Status: 503, Body: json.RawMessage(`{}`)}, nil
			}
		case "fault":
			return nil, &Fault{"bad_picture", "it is damaged"}
		}
		return echo(ctx, task)
	})
	items := func(yield func(Item, error) bool) {
		for _, it := range []Item{
			{ID: "good"}, {ID: "bad"}, {ID: "busy"}, {ID: "fault"},
			{ID: "known", Fault: &Fault{"bad_picture", "not there"}},
			{ID: "model", Model: "other"},
		} {
			it.URL, it.Body = Endpoints[0], json.RawMessage(`{}`)
			if !yield(it, nil) {
				return
			}
		}
	}
	count, err := q.Submit(t.Context(), Submission{Batch: "b", Items: items,
		Resolve: func(_ context.Context, name string) (Model, error) {
			if name == "other" {
				return Model{}, errors.New("model 'other' not found")
			}
			return toy, nil
		}})
	if err != nil || count != (Count{Items: 6, OK: 2, Failed: 4}) {
		t.Fatalf("%+v, %v", count, err)
	}
	for id, want := range map[string]string{
		"good": "", "busy": "", "bad": "invalid_request_error: no such field",
		"fault": "bad_picture: it is damaged",
		"known": "bad_picture: not there", "model": "model_not_found: model 'other' not found",
	} {
		r, ok, err := q.Result(t.Context(), "b", id)
		code, text := r.Reason()
		if code != "" {
			text = code + ": " + text
		}
		if err != nil || !ok || text != want {
			t.Errorf("%s: %q, %v, %v; want %q", id, text, ok, err, want)
		}
	}
	if gone, err := q.Forget(t.Context(), "b", "bad"); !gone || err != nil {
		t.Error(gone, err)
	}
	if gone, err := q.Forget(t.Context(), "b", "good"); gone || err != nil {
		t.Error("an answer was forgotten", err)
	}
	if _, ok, err := q.Result(t.Context(), "b", "bad"); ok || err != nil {
		t.Error(ok, err)
	}
	if err := q.Drop(t.Context(), "b"); err != nil {
		t.Error(err)
	}
}

func TestPicturesAndBodiesTravel(t *testing.T) {
	dir, q := t.TempDir(), embedded(t, t.TempDir())
	data := bytes.Repeat([]byte("picture "), 200_000) // 1.6 MB: more than a message holds
	path := filepath.Join(dir, "a.png")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	large := json.RawMessage(fmt.Sprintf(`{"text":%q}`, strings.Repeat("x", 2<<20)))
	for _, byPath := range []bool{false, true} {
		var wrong atomic.Int32
		end := work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
			f := task.Pictures[0]
			if byPath && f.Path != path || !byPath && !bytes.Equal(f.Data, data) || f.Page != 2 ||
				!bytes.Equal(task.Body, large) {
				wrong.Add(1)
			}
			return &Response{Status: 200, Body: task.Body}, nil
		})
		name := fmt.Sprintf("b-%v", byPath)
		count, err := q.Submit(t.Context(), Submission{Batch: name, ByPath: byPath, Resolve: isToy,
			Items: func(yield func(Item, error) bool) {
				for i := range 5 {
					if !yield(Item{ID: fmt.Sprint(i), URL: Endpoints[0], Body: large,
						Pictures: []Source{{Name: "a.png", Path: path, Page: 2}}}, nil) {
						return
					}
				}
			}})
		if err != nil || count.OK != 5 || wrong.Load() != 0 {
			t.Fatalf("%+v, %v, %d wrong", count, err, wrong.Load())
		}
		if r, ok, err := q.Result(t.Context(), name, "4"); !ok || err != nil ||
			!bytes.Equal(r.Response.Body, large) {
			t.Errorf("%v, %v", ok, err)
		}
		b, err := q.bucket(t.Context(), name, false)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := b.List(t.Context())
		for _, o := range objects {
			if !strings.HasPrefix(o.Name, "result-") {
				t.Errorf("%s was left behind", o.Name)
			}
		}
		if len(objects) != 5 || err != nil {
			t.Errorf("%d objects, %v", len(objects), err)
		}
		end()
		if err := q.Drop(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
}

func TestPathsOutsideTheFoldersAreRefused(t *testing.T) {
	inside, outside := t.TempDir(), t.TempDir()
	for _, dir := range []string{inside, outside} {
		if err := os.WriteFile(filepath.Join(dir, "a.png"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(inside, "link")); err != nil {
		t.Fatal(err)
	}
	w := NewWorker(nil, WorkerOptions{Folders: []string{inside}})
	for path, want := range map[string]bool{
		inside + "/a.png": true, inside + "/none.png": true, outside + "/a.png": false,
		inside + "/link/a.png": false, inside + "/../x": false, "a.png": false, "": false,
	} {
		if w.mayRead(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}

// TestAWorkerWithoutTheFolderLeavesJobsToOthers has one that refuses far sooner than the other
// answers.
func TestAWorkerWithoutTheFolderLeavesJobsToOthers(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("set EYELET_SLOW=1: jobs are given back for seconds")
	}
	q := embedded(t, t.TempDir(), func(o *EmbedOptions) { o.AckWait = time.Minute })
	dir := t.TempDir()
	work(t, q, echo, func(o *WorkerOptions) { o.Name, o.Folders = "blind", nil })
	work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
		time.Sleep(50 * time.Millisecond)
		return echo(ctx, task)
	}, func(o *WorkerOptions) { o.Folders = []string{dir} })
	const n = 100
	count, err := q.Submit(t.Context(), Submission{Batch: "b", Resolve: isToy, ByPath: true,
		Items: func(yield func(Item, error) bool) {
			for it, err := range numbered(n) {
				it.Pictures = []Source{{Name: "p", Path: filepath.Join(dir, it.ID), Page: -1}}
				if !yield(it, err) {
					return
				}
			}
		}})
	if err != nil || count.OK != n {
		t.Errorf("%+v, %v", count, err)
	}
}

// A store that is full refuses one message, and the batch goes on.
func TestAFullStoreFailsItemsAlone(t *testing.T) {
	dir, q := t.TempDir(), embedded(t, t.TempDir(), func(o *EmbedOptions) { o.Room = 3 << 20 })
	var items []Item
	for i := range 8 {
		size := 100_000
		if i%4 == 1 {
			size = 5 << 20 // never fits
		}
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, bytes.Repeat([]byte{byte(i)}, size), 0o600); err != nil {
			t.Fatal(err)
		}
		items = append(items, Item{ID: fmt.Sprint(i), URL: Endpoints[0],
			Body: json.RawMessage(`{}`), Pictures: []Source{{Name: fmt.Sprint(i), Path: path,
				Page: -1}}})
	}
	work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
		if task.ID == "6" { // an answer that never fits
			return &Response{Status: 200, Body: json.RawMessage(`"` + strings.Repeat("x", 6<<20) +
				`"`)}, nil
		}
		return echo(ctx, task)
	})
	count, err := q.Submit(t.Context(), Submission{Batch: "b", Resolve: isToy,
		Items: func(yield func(Item, error) bool) {
			for _, it := range items {
				if !yield(it, nil) {
					return
				}
			}
		}})
	if err != nil || count != (Count{Items: 8, OK: 5, Failed: 3}) {
		t.Fatalf("%+v, %v", count, err)
	}
	for _, id := range []string{"1", "5", "6"} {
		r, _, err := q.Result(t.Context(), "b", id)
		if code, text := r.Reason(); code != "no_room" || err != nil {
			t.Errorf("%s: %s: %s, %v", id, code, text, err)
		}
	}
}

// waitingQuestions submits questions about each of some pictures, in turn, and returns when all of
// them wait. end waits for their answers.
func waitingQuestions(t *testing.T, q *Queue, pictures, questions int) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var submitted sync.WaitGroup
	submitted.Go(func() {
		_, _ = q.Submit(ctx, Submission{Batch: "b", ByPath: true, Resolve: isToy,
			Items: func(yield func(Item, error) bool) {
				for i := range pictures * questions {
					source := Source{Name: "p", Path: fmt.Sprintf("/p%d.png", i%pictures), Page: -1}
					if !yield(Item{ID: fmt.Sprint(i), URL: Endpoints[0],
						Body:     json.RawMessage(`{}`),
						Pictures: []Source{source}}, nil) {
						return
					}
				}
			}})
	})
	stream := jobsStream + toy.key()
	for waiting := uint64(0); waiting < uint64(pictures*questions); time.Sleep(10 *
		time.Millisecond) {
		if s, err := q.js.Stream(t.Context(), stream); err == nil {
			waiting = s.CachedInfo().State.Msgs
		}
	}
	return func() { submitted.Wait(); cancel() }
}

func TestQuestionsAboutAPictureStayTogether(t *testing.T) {
	q := embedded(t, t.TempDir())
	const pictures, questions = 12, 6
	end := waitingQuestions(t, q, pictures, questions)
	var mu sync.Mutex
	var order []string
	work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, task.Pictures[0].Path)
		return echo(ctx, task)
	}, func(o *WorkerOptions) { o.Parallel = 1 })
	end()
	// Pictures of one slot may take turns, so a change of picture is bounded by the slots' sizes;
	// without slots each question changes it.
	seen, returns, last := map[string]bool{}, 0, ""
	for _, p := range order {
		if p != last && seen[p] {
			returns++
		}
		seen[p], last = true, p
	}
	if len(order) != pictures*questions {
		t.Fatalf("%d were answered", len(order))
	}
	if returns > pictures*questions*2/3 {
		t.Errorf("%d of %d questions came back to a picture: %v", returns, len(order), order)
	}
}

// Two workers share pictures, and few of these have questions answered by both, while none of the
// workers waits as long as there are questions.
func TestAPictureStaysWithItsWorker(t *testing.T) {
	q := embedded(t, t.TempDir())
	const pictures, questions = 24, 6
	end := waitingQuestions(t, q, pictures, questions)
	var mu sync.Mutex
	by := map[string]map[int]bool{} // the workers of each picture
	var answered [2]int
	for worker := range 2 {
		work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
			mu.Lock()
			path := task.Pictures[0].Path
			if by[path] == nil {
				by[path] = map[int]bool{}
			}
			by[path][worker] = true
			answered[worker]++
			mu.Unlock()
			time.Sleep(5 * time.Millisecond)
			return echo(ctx, task)
		}, func(o *WorkerOptions) { o.Parallel = 1 })
	}
	end()
	shared := 0
	for _, workers := range by {
		if len(workers) > 1 {
			shared++
		}
	}
	if shared > pictures*2/3 {
		t.Errorf("%d of %d pictures had both workers", shared, pictures)
	}
	if min(answered[0], answered[1]) < pictures*questions/6 {
		t.Errorf("the workers answered %v", answered)
	}
}

// A model that jobs wait for is brought, and its jobs are carried out; one that cannot be brought
// is asked for once.
func TestModelsAreBroughtToTheirJobs(t *testing.T) {
	q := embedded(t, t.TempDir())
	other := Model{Name: "other", Digest: strings.Repeat("b2", 32)}
	var mu sync.Mutex
	var here []Model
	asked := map[string]int{}
	work(t, q, echo, func(o *WorkerOptions) {
		o.Models = func(context.Context) ([]Model, error) {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(here), nil
		}
		o.Bring = func(_ context.Context, m Model) error {
			mu.Lock()
			defer mu.Unlock()
			if asked[m.Name]++; m != toy {
				return errors.New("it is not there either")
			}
			here = append(here, m)
			return nil
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		_, _ = q.Submit(ctx, Submission{Batch: "none", Items: numbered(1),
			Resolve: func(context.Context, string) (Model, error) { return other, nil }})
	})
	defer waiting.Wait()
	defer cancel()
	count, err := q.Submit(t.Context(), Submission{Batch: "b", Items: numbered(3), Resolve: isToy})
	if err != nil || count.OK != 3 {
		t.Fatalf("%+v, %v", count, err)
	}
	for { // until the other has been asked for, too
		mu.Lock()
		n := asked["other"]
		mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	if asked["toy"] != 1 || asked["other"] != 1 {
		t.Errorf("%v", asked)
	}
}

func TestWorkersSayWhatTheyHave(t *testing.T) {
	q := embedded(t, t.TempDir())
	if list := workersOf(t, q, 50*time.Millisecond); len(list) != 0 {
		t.Error(list)
	}
	work(t, q, echo, func(o *WorkerOptions) { o.Name = "one" })
	for range 100 {
		if list := workersOf(t, q, 50*time.Millisecond); len(list) == 1 && list[0].Name == "one" &&
			len(list[0].Models) == 1 && list[0].Models[0] == toy {
			for range q.Workers(t.Context(), time.Hour) {
				break // whoever has heard enough waits no longer
			}
			return
		}
	}
	t.Error("no worker answers")
}

// workersOf lists the workers that answer within a time.
func workersOf(t *testing.T, q *Queue, d time.Duration) (list []WorkerState) {
	t.Helper()
	for w, err := range q.Workers(t.Context(), d) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, w)
	}
	return list
}

// A worker that lives tells the queue that a job is in its hands, before AckWait is over and the
// queue gives the job to another; one that ends gives it back.
func TestAJobOutlivesItsWorker(t *testing.T) {
	// long beside the sixth of it after which the worker looks for what needs a sign
	q := embedded(t, t.TempDir(), func(o *EmbedOptions) { o.AckWait = 6 * time.Second })
	signs, err := q.nc.SubscribeSync("$JS.ACK.>")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	end := work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
		asked.Add(1)
		<-ctx.Done()
		return nil, nil
	}, func(o *WorkerOptions) { o.Parallel = 1 })
	result := make(chan Count, 1)
	go func() {
		count, err := q.Submit(t.Context(), Submission{Batch: "b", Items: numbered(1),
			Resolve: isToy})
		if err != nil {
			t.Error(err)
		}
		result <- count
	}()
	sign, err := signs.NextMsgWithContext(t.Context())
	if err != nil || string(sign.Data) != "+WPI" { // in progress, as JetStream writes it
		t.Fatal(sign, err)
	}
	s, err := q.js.Stream(t.Context(), jobsStream+toy.key())
	if err != nil || s.CachedInfo().State.Msgs != 1 || asked.Load() != 1 {
		t.Error(s.CachedInfo().State, err, asked.Load())
	}
	end()
	work(t, q, echo)
	if count := <-result; count.OK != 1 {
		t.Errorf("%+v", count)
	}
}

func TestAddressesAreToldWithoutPasswords(t *testing.T) {
	for in, want := range map[string]string{
		"nats://queue:4222":                       "nats://queue:4222",
		"nats://me:p@ss@a:1,tls://token@b:2, c:3": "nats://a:1,tls://b:2, c:3",
		"me:word@queue":                           "queue",
	} {
		if got := Redacted(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// A worker whose answers take long holds no job that another could carry out.
func TestASlowWorkerTakesNoJobAhead(t *testing.T) {
	q := embedded(t, t.TempDir())
	asked, release := make(chan struct{}), make(chan struct{})
	work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
		asked <- struct{}{}
		<-release
		return echo(ctx, task)
	}, func(o *WorkerOptions) { o.Parallel = 1 })
	result := make(chan Count, 1)
	var done atomic.Int32
	go func() {
		count, err := q.Submit(t.Context(), Submission{Batch: "b", Items: numbered(12),
			Resolve: isToy, Done: func(bool, bool) { done.Add(1) }})
		if err != nil {
			t.Error(err)
		}
		result <- count
	}()
	<-asked
	work(t, q, echo, func(o *WorkerOptions) { o.Name = "another" })
	for range 500 {
		if done.Load() == 11 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := done.Load(); n != 11 {
		t.Errorf("%d of the 11 others are done", n)
	}
	close(release)
	if count := <-result; count.OK != 12 {
		t.Errorf("%+v", count)
	}
}

// A worker that is late finds its batch dropped, and makes nothing of it again.
func TestALateResultOfADroppedBatchLeavesNothing(t *testing.T) {
	q := embedded(t, t.TempDir())
	asked, release := make(chan struct{}), make(chan struct{})
	end := work(t, q, func(context.Context, Task) (*Response, *Fault) {
		close(asked)
		<-release
		return &Response{Status: 200, Body: json.RawMessage(`"` + strings.Repeat("x", 1<<20) +
			`"`)}, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	var submitted sync.WaitGroup
	submitted.Go(func() {
		_, _ = q.Submit(ctx, Submission{Batch: "b", Items: numbered(1), Resolve: isToy})
	})
	<-asked
	cancel()
	submitted.Wait()
	if err := q.Drop(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	close(release)
	for range 200 { // until the worker has let go of the job
		if s, err := q.js.Stream(t.Context(), jobsStream+toy.key()); err == nil &&
			s.CachedInfo().State.Msgs == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	end()
	if _, err := q.js.ObjectStore(t.Context(), bucketName+"b"); !errors.Is(err,
		jetstream.ErrBucketNotFound) {
		t.Errorf("the object store is there again: %v", err)
	}
}
