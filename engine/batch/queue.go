package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrInUse marks the folder of a queue that another program has open.
	ErrInUse = errors.New("batch: the queue is in use by another program")
	// ErrConfig marks a file of NATS's configuration that cannot be read.
	ErrConfig = errors.New("batch: bad configuration")
	// ErrNoRoom marks a queue whose disk or limit is full.
	ErrNoRoom = errors.New("batch: the queue has no room left")
	// ErrQueue marks a queue that cannot be reached or does not work.
	ErrQueue = errors.New("batch: the queue fails")
)

// Queue is an open queue. Its methods may be called from many goroutines.
type Queue struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	embedded *natsd.Server // nil for a queue elsewhere, as are the next three
	disk     *storeDisk
	lock     *flock.Flock
	healing  func() // ends what watches the disk, and waits
	replicas int
	ackWait  time.Duration
	close    sync.Once

	mu      sync.Mutex
	buckets map[string]jetstream.ObjectStore // by batch
	streams map[string]jetstream.Stream      // of results, by batch
}

// EmbedOptions are the options of Embed.
type EmbedOptions struct {
	// Room is the most bytes that the store takes; 0 for as many as its disk has, but for some that
	// stay free. A message that does not fit is refused. Where the disk is full, whoever fills it,
	// the queue waits until there is room.
	Room int64
	// Sync has each message reach the disk before it counts as stored, which outlives a power
	// failure and costs some milliseconds each. Without it, what was stored outlives the end of the
	// program, whatever ends it.
	Sync bool
	// AckWait is how long a job stays with a worker that says nothing; 0 for DefaultAckWait.
	AckWait time.Duration
	// Log is told of a full disk, and that there is room again; nil for nobody.
	Log func(text string)
}

// DefaultAckWait is how long a job stays with a worker that says nothing, where nothing else is
// asked for.
const DefaultAckWait = 15 * time.Second

// Embed opens a queue that runs inside this program, without any socket, and keeps it in a folder,
// which is made if needed. Errors wrap ErrInUse or ErrQueue.
func Embed(dir string, o EmbedOptions) (*Queue, error) {
	lock, err := lockStore(dir)
	if err != nil {
		return nil, err
	}
	q, err := embed(dir, o)
	if err != nil {
		_ = lock.Unlock()
		return nil, err
	}
	q.lock = lock
	return q, nil
}

// lockStore makes the folder of a store and keeps it from other programs, which would write the
// same files. Errors wrap ErrInUse if one has it.
func lockStore(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	} else if !ok {
		return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	return lock, nil
}

// startTime bounds how long an embedded queue may take to read its store.
const startTime = 2 * time.Minute

func embed(dir string, o EmbedOptions) (*Queue, error) {
	disk := newStoreDisk(dir)
	s, err := natsd.NewServer(&natsd.Options{
		ServerName: "eyelet", DontListen: true, NoSigs: true, NoLog: true, NoSystemAccount: true,
		JetStream: true, StoreDir: dir, JetStreamMaxStore: cmp.Or(o.Room, unbounded),
		JetStreamMaxMemory: 64 << 20,
		SyncAlways:         o.Sync, DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrQueue, err)
	}
	// Without this, a store that cannot be read is told to nobody but a log.
	note := &logNote{hear: disk.hear}
	s.SetLoggerV2(note, false, false, false)
	s.Start()
	fail := func(err error) (*Queue, error) {
		s.Shutdown()
		s.WaitForShutdown()
		if text := note.text(); text != "" {
			return nil, fmt.Errorf("%w: %s: %s", ErrQueue, dir, text)
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrQueue, dir, err)
	}
	if !started(s, note) {
		return fail(errors.New("it does not start"))
	}
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.Name("eyelet"),
		nats.MaxReconnects(-1))
	if err != nil {
		return fail(err)
	}
	q, err := newQueue(nc, 1, o.AckWait)
	if err != nil {
		nc.Close()
		return fail(err)
	}
	q.embedded, q.disk = s, disk
	watching, stop := context.WithCancel(context.Background())
	var over sync.WaitGroup
	say := o.Log
	if say == nil {
		say = func(string) {}
	}
	over.Go(func() { disk.heal(watching, s, say) })
	q.healing = func() { stop(); over.Wait() }
	return q, nil
}

// unbounded is a limit of a store that its disk bounds.
const unbounded = 1 << 60

// started waits until a server is ready, or has said that it cannot be.
func started(s *natsd.Server, note *logNote) bool {
	for began := time.Now(); time.Since(began) < startTime; {
		if note.fatal() {
			return false
		}
		if s.ReadyForConnections(startPause) {
			return s.JetStreamEnabled()
		}
	}
	return false
}

// startPause is how often a server that starts is looked at.
const startPause = 100 * time.Millisecond

// ConnectOptions say how to reach the queue of a site. What they leave out, the address may hold,
// as nats://user:password@host.
type ConnectOptions struct {
	Credentials string // file of a user's JWT and key, as "nsc" makes it
	NKey        string // file of a seed
	Cert, Key   string // files of a certificate of this client
	CA          string // file of the authorities that the server's certificate is checked by
	Name        string // of this program, for who looks at the queue
	// Replicas is on how many servers of the cluster streams lie that this program makes; 0 means
	// 1.
	Replicas int
	// AckWait is for streams that this program makes; 0 for DefaultAckWait.
	AckWait time.Duration
	// Log is told of lost and found connections; nil for nobody.
	Log func(text string)
}

// Redacted is a list of addresses as Connect takes it, for logs: passwords and tokens are left out.
func Redacted(addresses string) string {
	list := strings.Split(addresses, ",")
	for i, address := range list {
		if at := strings.LastIndexByte(address, '@'); at >= 0 {
			scheme, _, found := strings.Cut(address, "://")
			if list[i] = address[at+1:]; found {
				list[i] = scheme + "://" + list[i]
			}
		}
	}
	return strings.Join(list, ",")
}

// Connect opens the queue of a site: the addresses of NATS servers with JetStream, with commas
// between them. A connection that is lost later is made again, for as long as the queue is open.
func Connect(ctx context.Context, url string, o ConnectOptions) (*Queue, error) {
	say := o.Log
	if say == nil {
		say = func(string) {}
	}
	options := []nats.Option{
		nats.Name(cmp.Or(o.Name, "eyelet")), nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				say(fmt.Sprintf("the connection to the queue is lost (%v); trying again", err))
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			say("connected to the queue again, at " + c.ConnectedAddr())
		}),
		// A server says why it refuses through this alone, if at all.
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			say("the queue: " + err.Error())
		}),
	}
	if o.Credentials != "" {
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	if o.NKey != "" {
		option, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrQueue, o.NKey, err)
		}
		options = append(options, option)
	}
	if o.Cert != "" {
		options = append(options, nats.ClientCert(o.Cert, o.Key))
	}
	if o.CA != "" {
		options = append(options, nats.RootCAs(o.CA))
	}
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrQueue, Redacted(url), err)
	}
	q, err := newQueue(nc, cmp.Or(o.Replicas, 1), o.AckWait)
	if err == nil {
		_, err = q.js.AccountInfo(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%w: JetStream at %s: %w", ErrQueue, nc.ConnectedAddr(), err)
	}
	return q, nil
}

func newQueue(nc *nats.Conn, replicas int, ackWait time.Duration) (*Queue, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(callTime),
		jetstream.WithPublishAsyncTimeout(callTime))
	if err != nil {
		return nil, err
	}
	return &Queue{nc: nc, js: js, replicas: replicas, ackWait: cmp.Or(ackWait, DefaultAckWait),
		buckets: map[string]jetstream.ObjectStore{}, streams: map[string]jetstream.Stream{}}, nil
}

// callTime is how long a call to the queue may take.
const callTime = 10 * time.Second

// Embedded reports whether the queue is inside this program, so that nobody else works for it.
func (q *Queue) Embedded() bool { return q.embedded != nil }

// Close lets go of the queue. An embedded one ends, and can be opened again. It may be called more
// than once.
func (q *Queue) Close() error {
	q.close.Do(func() {
		if q.embedded != nil {
			q.healing()
			q.giveBack()
		}
		q.nc.Close()
		if q.embedded != nil {
			q.embedded.Shutdown()
			q.embedded.WaitForShutdown()
		}
		if q.lock != nil {
			_ = q.lock.Unlock()
		}
	})
	return nil
}

// giveBack makes jobs that were in hand when a program ends well jobs like any other. A consumer
// would remember when it delivered them, and that it did, and wait for their worker after the next
// start.
func (q *Queue) giveBack() {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	for name := range q.js.StreamNames(ctx, jetstream.WithStreamListSubject(jobsSubject+">")).
		Name() {
		for i := range slots {
			_ = q.js.DeleteConsumer(ctx, name, slotName(i)) // made anew by the next Submit
		}
	}
}

// logNote keeps the first error that a server inside this program logs, or the one that ends it.
type logNote struct {
	hear  func(line string) // is told of all errors; nil for nobody
	mu    sync.Mutex
	line  string
	grave bool // the server ends because of it
}

func (n *logNote) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.line
}

func (n *logNote) fatal() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.grave
}

func (n *logNote) keep(grave bool, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if n.hear != nil {
		n.hear(line)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.line == "" || grave && !n.grave {
		n.line, n.grave = line, grave
	}
}

func (n *logNote) Noticef(string, ...any)            {}
func (n *logNote) Warnf(string, ...any)              {}
func (n *logNote) Debugf(string, ...any)             {}
func (n *logNote) Tracef(string, ...any)             {}
func (n *logNote) Fatalf(format string, args ...any) { n.keep(true, format, args...) }
func (n *logNote) Errorf(format string, args ...any) { n.keep(false, format, args...) }

// Pauses between tries to reach a queue.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 3 * time.Second
)

// retry does something with the queue until it works. A queue elsewhere may come back, however long
// it takes, and a full disk may get room; else what was refused for a reason stays refused.
func (q *Queue) retry(ctx context.Context, tell func(error), do func() error) error {
	pause := firstPause
	for {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, errFull) && !q.mayComeBack(err) {
			return err
		}
		if tell != nil {
			tell(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// mayComeBack reports whether an error is one of a queue elsewhere that is away for a time.
func (q *Queue) mayComeBack(err error) bool {
	_, refused := errors.AsType[*jetstream.APIError](err)
	return q.embedded == nil && errors.Is(err, ErrQueue) &&
		(!refused || !q.nc.IsConnected() || passing(err))
}

// passing reports whether a cluster refused because it is just choosing a leader or starting.
func passing(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code >= 500
}
