package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names of what lies in the queue. A site can give programs rights by them: eyelet.> for subjects,
// EYELET_* for streams.
const (
	jobsStream    = "EYELET_JOBS_"    // and the model's key
	resultsStream = "EYELET_RESULTS_" // and the batch
	bucketName    = "EYELET_"         // and the batch
	jobsSubject   = "eyelet.jobs."    // key, slot, batch, hash of the id
	resultSubject = "eyelet.results." // batch, hash of the id
	doneSubject   = "eyelet.done."    // batch: hashes of ids whose results are stored now
	wakeSubject   = "eyelet.wake"     // there is work
	askSubject    = "eyelet.workers"  // who works, for what
)

// slots is how many consumers the stream of a model has. The jobs of one picture share a slot, and
// a worker stays with a slot as long as it has jobs: so questions about a picture come to the
// worker that has it in its cache, and none waits where another slot has work.
const slots = 8

// inlineMost is how many bytes of a body or a result lie in the message itself; more go to the
// object store. It is half of what NATS servers take by default.
const inlineMost = 512 << 10

// Model is a model by what its files hold. Two machines that say the same digest have the same
// model.
type Model struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // 64 hexadecimal digits
}

var digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// key is the token of names that stands for a model.
func (m Model) key() string { return m.Digest[:32] }

var batchPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckBatch refuses names of batches that cannot be parts of names in the queue.
func CheckBatch(name string) error {
	if !batchPattern.MatchString(name) {
		return fmt.Errorf("batch: %.80q is no name of a batch; give letters, digits, _ and -, 64 at most", name)
	}
	return nil
}

// jobs makes sure that the stream of a model is there, with its consumers.
func (q *Queue) jobs(ctx context.Context, m Model) error {
	if !digestPattern.MatchString(m.Digest) {
		return fmt.Errorf("batch: the digest of %s is %.80q; it must be 64 hexadecimal digits",
			m.Name, m.Digest)
	}
	name := jobsStream + m.key()
	s, err := q.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: name, Subjects: []string{jobsSubject + m.key() + ".>"},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
		Replicas: q.replicas,
		// One message for each item, and a second one is refused.
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		AllowDirect: true,
		Metadata:    map[string]string{"eyelet_model": m.Name, "eyelet_digest": m.Digest},
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		s, err = q.js.Stream(ctx, name) // of another name for the same model
	}
	if err != nil {
		return q.fault("the stream of jobs", err)
	}
	for i := range slots {
		_, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: slotName(i), FilterSubject: fmt.Sprintf("%s%s.%d.>", jobsSubject, m.key(), i),
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.ackWait, MaxDeliver: -1,
			MaxAckPending: -1,
		})
		if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
			return q.fault("the consumers of jobs", err)
		}
	}
	return nil
}

func slotName(i int) string { return "slot_" + strconv.Itoa(i) }

// results makes sure that the stream of a batch's results is there.
func (q *Queue) results(ctx context.Context, batch string) error {
	_, err := q.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: resultsStream + batch, Subjects: []string{resultSubject + batch + ".*"},
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: q.replicas,
		// The first result of an item stays.
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		AllowDirect: true,
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return q.fault("the stream of results", err)
	}
	return nil
}

// Drop removes what the queue holds of a batch: results, bodies and pictures. Jobs that still wait
// end as nobody's.
func (q *Queue) Drop(ctx context.Context, batch string) error {
	if err := CheckBatch(batch); err != nil {
		return err
	}
	names := q.js.StreamNames(ctx, jetstream.WithStreamListSubject(jobsSubject+">"))
	for name := range names.Name() {
		if s, err := q.js.Stream(ctx, name); err == nil {
			// a job that stays finds no place for its result
			_ = s.Purge(ctx, jetstream.WithPurgeSubject(jobsSubject+"*.*."+batch+".*"))
		}
	}
	if err := q.js.DeleteStream(ctx, resultsStream+batch); err != nil && !errors.Is(err,
		jetstream.ErrStreamNotFound) {
		return q.fault("removing results", err)
	}
	q.mu.Lock()
	delete(q.streams, batch)
	q.mu.Unlock()
	if err := q.dropObjects(ctx, batch); err != nil {
		return q.fault("removing pictures", err)
	}
	return nil
}

// bucket is the object store of a batch; it is made if it is not there and make says so.
func (q *Queue) bucket(ctx context.Context, batch string,
	make bool) (jetstream.ObjectStore, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b := q.buckets[batch]; b != nil {
		return b, nil
	}
	b, err := q.js.ObjectStore(ctx, bucketName+batch)
	if make && errors.Is(err, jetstream.ErrBucketNotFound) {
		b, err = q.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: bucketName + batch,
			Replicas: q.replicas})
	}
	if err != nil {
		return nil, q.fault("the object store", err)
	}
	if len(q.buckets) >= mostKnown {
		clear(q.buckets)
	}
	q.buckets[batch] = b
	return b, nil
}

// mostKnown is how many batches are remembered with what the queue holds of them: a worker may live
// through many.
const mostKnown = 64

// putResult stores the large body of a result. A batch that is over gets no object store again: the
// error wraps ErrStreamNotFound.
func (q *Queue) putResult(ctx context.Context, batch, name string, data []byte) error {
	err := q.put(ctx, batch, name, data)
	if err != nil && !errors.Is(err, jetstream.ErrNoStreamResponse) && ctx.Err() == nil {
		return err
	}
	// A worker that ends has time for this: the object store may have been made just now.
	last, end := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer end()
	if q.over(last, batch) {
		_ = q.dropObjects(last, batch) // which Drop may have removed before they were made
		return q.fault("storing "+name, jetstream.ErrStreamNotFound)
	}
	return err
}

// dropObjects removes the object store of a batch, if there is one.
func (q *Queue) dropObjects(ctx context.Context, batch string) error {
	q.mu.Lock()
	delete(q.buckets, batch)
	q.mu.Unlock()
	err := q.js.DeleteObjectStore(ctx, bucketName+batch)
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	return err
}

// put stores an object, unless it is there already.
func (q *Queue) put(ctx context.Context, batch, name string, data []byte) error {
	b, err := q.bucket(ctx, batch, true)
	if err != nil {
		return err
	}
	if info, err := b.GetInfo(ctx, name); err == nil && info.Size == uint64(len(data)) {
		return nil
	}
	release, err := q.reserve(len(data), object)
	if err != nil {
		return err
	}
	defer release()
	if _, err := b.PutBytes(ctx, name, data); err != nil {
		return q.fault("storing "+name, err)
	}
	return nil
}

// errGone marks an object that is not there, as when its item has its result.
var errGone = errors.New("batch: the object is gone")

// get reads an object of at most most bytes.
func (q *Queue) get(ctx context.Context, batch, name string, most int64) ([]byte, error) {
	b, err := q.bucket(ctx, batch, false)
	var o jetstream.ObjectResult
	if err == nil {
		o, err = b.Get(ctx, name)
	}
	if errors.Is(err, jetstream.ErrObjectNotFound) || errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("%w: %s", errGone, name)
	}
	if err != nil {
		return nil, q.fault("reading "+name, err)
	}
	defer o.Close()
	data, err := io.ReadAll(io.LimitReader(o, most+1))
	if err != nil {
		return nil, q.fault("reading "+name, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("batch: %s is larger than %d MiB", name, most>>20)
	}
	return data, nil
}

// forget removes an object. That it fails costs room until the batch is dropped, and no more.
func (q *Queue) forget(ctx context.Context, batch, name string) {
	if b, err := q.bucket(ctx, batch, false); err == nil {
		_ = b.Delete(ctx, name)
	}
}

// stored is a result as it lies in its stream.
type stored struct {
	Result
	Object string `json:"object,omitempty"` // of the response's body, where it is large
	Worker string `json:"worker,omitempty"`
	Tries  uint64 `json:"tries,omitempty"`
}

// keep stores the result of an item. One that is there already stays, and is no error.
func (q *Queue) keep(ctx context.Context, batch string, r stored) error {
	if isLarge(r) {
		response := *r.Response
		r.Object = "result-" + hashOf(r.CustomID)
		if err := q.putResult(ctx, batch, r.Object, response.Body); err != nil {
			return err
		}
		response.Body = nil
		r.Response = &response
	}
	m, release, err := q.resultMessage(batch, r)
	if err != nil {
		return err
	}
	defer release()
	_, err = q.js.PublishMsg(ctx, m)
	if err != nil && !isDouble(err) {
		return q.fault("storing a result", err)
	}
	q.hint(ctx, batch, []stored{r}, []bool{err != nil})
	return nil
}

// isLarge reports whether the body of a response lies in the object store.
func isLarge(r stored) bool { return r.Response != nil && len(r.Response.Body) > inlineMost }

// resultMessage is a result, without a large body, as it is published. There is room for it until
// release is called.
func (q *Queue) resultMessage(batch string, r stored) (m *nats.Msg, release func(), err error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, nil, fmt.Errorf("batch: %w", err)
	}
	what := message
	if r.Error != nil {
		what = reason
	}
	if release, err = q.reserve(len(data), what); err != nil {
		return nil, nil, err
	}
	m = &nats.Msg{Subject: resultSubject + batch + "." + hashOf(r.CustomID), Data: data}
	return m, release, nil
}

// hint tells the submitter of a batch which items have their results now, and which of these are
// answers. taken marks results whose place was taken: of those the first one stays. Who misses a
// hint looks.
func (q *Queue) hint(ctx context.Context, batch string, list []stored, taken []bool) {
	var text []byte
	for i, r := range list {
		hash := hashOf(r.CustomID)
		if taken[i] {
			var ok bool
			var err error
			if r, _, ok, err = q.find(ctx, batch, hash); err != nil || !ok {
				continue
			}
		}
		state := "f"
		if r.OK() {
			state = "k"
		}
		text = append(append(append(text, state...), hash...), ' ')
	}
	_ = q.nc.Publish(doneSubject+batch, text)
}

// over reports whether a batch has no place for results any more, so that nobody wants them.
func (q *Queue) over(ctx context.Context, batch string) bool {
	_, err := q.js.Stream(ctx, resultsStream+batch)
	return errors.Is(err, jetstream.ErrStreamNotFound)
}

// reserve is that of the disk of a queue inside this program; of others the server says whether
// there is room.
func (q *Queue) reserve(size int, what cargo) (release func(), err error) {
	if q.disk == nil {
		return func() {}, nil
	}
	return q.disk.reserve(size, what)
}

// resultsOf is the stream of a batch's results.
func (q *Queue) resultsOf(ctx context.Context, batch string) (jetstream.Stream, error) {
	q.mu.Lock()
	s := q.streams[batch]
	q.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := q.js.Stream(ctx, resultsStream+batch)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	if len(q.streams) >= mostKnown {
		clear(q.streams)
	}
	q.streams[batch] = s
	q.mu.Unlock()
	return s, nil
}

// find reads the result of an item, as it lies in its stream, and its place there; ok is false
// where there is none yet.
func (q *Queue) find(ctx context.Context, batch,
	hash string) (r stored, seq uint64, ok bool, err error) {
	s, err := q.resultsOf(ctx, batch)
	if err != nil {
		return r, 0, false, q.fault("results", err)
	}
	m, err := s.GetLastMsgForSubject(ctx, resultSubject+batch+"."+hash)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return r, 0, false, nil
	case err != nil:
		return r, 0, false, q.fault("results", err)
	}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return r, 0, false, fmt.Errorf("%w: a result is damaged: %w", ErrQueue, err)
	}
	return r, m.Sequence, true, nil
}

// lastResult is the number in its stream of the last result of a batch.
func (q *Queue) lastResult(ctx context.Context, batch string) (uint64, error) {
	s, err := q.resultsOf(ctx, batch)
	if err != nil {
		return 0, q.fault("results", err)
	}
	info, err := s.Info(ctx)
	if err != nil {
		return 0, q.fault("results", err)
	}
	return info.State.LastSeq, nil
}

// resultMost bounds the body of a response, in bytes.
const resultMost = 64 << 20

// Result returns the result of an item; ok is false where there is none yet.
func (q *Queue) Result(ctx context.Context, batch, id string) (r Result, ok bool, err error) {
	found, _, ok, err := q.find(ctx, batch, hashOf(id))
	if err == nil && ok {
		err = q.fill(ctx, batch, &found)
	}
	if err != nil || !ok {
		return r, false, err
	}
	return found.Result, true, nil
}

// Forget removes the result of an item that failed, so that a further Submit asks again. It reports
// whether there was one.
func (q *Queue) Forget(ctx context.Context, batch, id string) (bool, error) {
	r, seq, ok, err := q.find(ctx, batch, hashOf(id))
	if err != nil || !ok || r.OK() {
		return false, err
	}
	s, err := q.resultsOf(ctx, batch)
	if err == nil {
		err = s.DeleteMsg(ctx, seq)
	}
	if err != nil {
		return false, q.fault("forgetting a failure", err)
	}
	return true, nil
}

// Begin makes the place for a batch's results, or finds that of an earlier beginning. known is how
// many results are there.
func (q *Queue) Begin(ctx context.Context, batch string) (known uint64, err error) {
	if err := CheckBatch(batch); err != nil {
		return 0, err
	}
	if err := q.results(ctx, batch); err != nil {
		return 0, err
	}
	s, err := q.js.Stream(ctx, resultsStream+batch)
	if err != nil {
		return 0, q.fault("results", err)
	}
	return s.CachedInfo().State.Msgs, nil
}

// isDouble reports whether a message was refused because its subject has one.
func isDouble(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && strings.Contains(api.Description, "per subject")
}

// fault puts what went wrong with the queue into words.
func (q *Queue) fault(what string, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, nats.ErrReconnectBufExceeded): // nothing is kept for later
		return fmt.Errorf("%w: %s: there is no connection", ErrQueue, what)
	case q.disk != nil && (q.disk.sick.Load() || !q.embedded.JetStreamEnabled() ||
		q.disk.fits(0, message) != nil):
		return q.disk.full()
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	if ok && (api.Code == 503 && strings.Contains(api.Description, "resource") ||
		api.ErrorCode == jetstream.ErrorCode(natsd.JSStorageResourcesExceededErr) ||
		strings.Contains(api.Description, "maximum bytes") || strings.Contains(api.Description,
		"no space left")) {
		return fmt.Errorf("%w: %s: %w", ErrNoRoom, what, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrQueue, what, err)
}
