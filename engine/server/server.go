package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/store"
)

// Options are the options of New. The zero value serves the models of the store to programs on this
// machine.
type Options struct {
	// Models are served beside those of the store, and hide them where names are the same.
	Models []NamedModel
	// Folder is a folder of GGUF files that are served, each by the name that [store.SuggestName]
	// gives it; empty for none.
	Folder string
	// NoBuiltin leaves the model inside the program out.
	NoBuiltin bool
	// ReadOnly refuses requests that would change the store.
	ReadOnly bool
	// Spec is how models are loaded, whatever they are: context, parallel requests, queue and so
	// on. Name, Model, Projector and the templates are each model's own.
	Spec engine.ModelSpec
	// Context is the context length of models where neither Spec nor the model's own manifest says
	// one; 0 for the engine's default.
	Context int

	// Hosts are names that the Host header may hold beside those of this machine and literal
	// addresses; "*" lets all in.
	Hosts []string
	// Origins are the origins of web pages that may use the server beside those of this machine, as
	// "https://chat.example.org"; a "*" stands for any text in between, alone for all.
	Origins []string
	// Pictures names where pictures may come from that a request gives the address of: hosts as
	// "example.org" or "example.org:8080", folders as "file:///srv/pictures". Nothing is fetched
	// from elsewhere; data URLs are always taken.
	Pictures []string
	// Keys, where not nil, are demanded of every request but those for health.
	Keys *Keys

	// TLS, where not nil, is how Serve encrypts.
	TLS *tls.Config
	// Reports is a folder of reports of "eyelet bench quants" that the page shows; empty for none.
	Reports string
	// DrawThreads is how many threads a child has that draws pictures; 0 for one a core. It runs
	// with less priority than answers.
	DrawThreads int
	// Batches is the folder for files that clients upload and for batches, which go on when the
	// server starts again; empty for none.
	Batches string
	// Preload names models that Serve loads at once. The server is not ready before they are.
	Preload []string

	Limits  Limits
	Log     *slog.Logger // nil for slog's default
	Version string       // of the program
}

// NamedModel is a model that is served under a name of the operator's.
type NamedModel struct {
	Name string // as "llava" or "llava:7b"
	Spec engine.ModelSpec
}

// Limits bound what requests cost. A zero stands for the default.
type Limits struct {
	Body int64 // bytes of a request's body; 64 MiB
	Blob int64 // bytes of an uploaded blob; 64 GiB
	// bytes of all bodies and fetched pictures that are in memory; 512 MiB
	Memory     int64
	Images     int   // pictures of a request; 64
	ImageBytes int64 // of one picture file; 32 MiB
	// the longest context that a request can ask for; 32768, or that of Options.Spec if longer
	Context     int
	Connections int           // open at a time; more wait to be accepted; 1024
	Requests    int           // under way at a time, waiting ones included; more get 503; 512
	ReadTime    time.Duration // for a body, and between two pieces of a blob; 60 s
	WriteTime   time.Duration // for a piece of an answer to be taken; 60 s
	Time        time.Duration // for a whole request; none
	Grace       time.Duration // for running requests when the server ends; 10 s
}

func (l Limits) withDefaults(context int) Limits {
	l.Body = cmp.Or(l.Body, 64<<20)
	l.Blob = cmp.Or(l.Blob, 64<<30)
	l.Images = cmp.Or(l.Images, 64)
	l.ImageBytes = cmp.Or(l.ImageBytes, 32<<20)
	// A body, or a picture that is fetched, is copied as it grows. The largest of both must find
	// room in a server that does nothing else, or a client would be told for ever to come back.
	l.Memory = max(cmp.Or(l.Memory, 512<<20), 2*l.Body+2*l.ImageBytes)
	l.Context = cmp.Or(l.Context, max(32768, context))
	l.Connections = cmp.Or(l.Connections, 1024)
	l.Requests = cmp.Or(l.Requests, 512)
	l.ReadTime = cmp.Or(l.ReadTime, time.Minute)
	l.WriteTime = cmp.Or(l.WriteTime, time.Minute)
	l.Grace = cmp.Or(l.Grace, 10*time.Second)
	return l
}

// Server serves models over HTTP.
type Server struct {
	options  Options
	limits   Limits
	log      *slog.Logger
	pool     *pool.Pool
	models   *models
	gate     *gate
	pictures *pictureSource
	metrics  *metrics
	drawing  *drawing
	docs     documents // of tasks of batches
	batches  *batches
	routed   handler // the routes, without the gates
	handler  http.Handler
	anyone   map[string]bool     // paths that need no key and no room
	memory   *semaphore.Weighted // of bodies and fetched pictures, in bytes
	intake   *intake
	waits    waits
	busy     atomic.Int64 // requests under way
	loading  atomic.Int64 // models of Options.Preload that are not there yet
	ending   atomic.Bool  // no longer ready
}

// New makes a server over the models of a pool. models may be nil for a server without a store. The
// pool and its engine are the caller's to close, after Serve has returned. Errors are those of
// Options.
func New(pool *pool.Pool, models *store.Store, options Options) (*Server, error) {
	s := &Server{options: options, limits: options.Limits.withDefaults(max(options.Spec.Context,
		options.Context)), log: options.Log, pool: pool}
	if s.log == nil {
		s.log = slog.Default()
	}
	var err error
	if s.gate, err = newGate(options.Hosts, options.Origins); err != nil {
		return nil, err
	}
	s.gate.open.Store(options.Keys != nil)
	if s.pictures, err = newPictureSource(options.Pictures, s.limits.ImageBytes); err != nil {
		return nil, err
	}
	if s.models, err = newModels(pool, models, &s.options, s.limits); err != nil {
		return nil, err
	}
	s.memory = semaphore.NewWeighted(s.limits.Memory)
	s.intake = newIntake(intakeBytes)
	s.metrics = newMetrics(s)
	s.drawing = newDrawing(s)
	s.batches = newBatches(s, options.Batches)
	s.routed = s.routes()
	s.handler = s.chain(s.routed)
	return s, nil
}

// Handler returns the server's handler, gates included, for those who have a listener of their own.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers what comes in by the listener, and closes it. Once ctx is done nothing new is
// accepted; running requests get Limits.Grace to end, and are then ended, streams with an error
// that says why. It returns nil after an end that ctx asked for.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	running, end := context.WithCancelCause(context.Background())
	defer end(failure.ErrShutdown)
	hs := s.httpServer(running)
	s.gate.listens(listener.Addr())
	listener = netutil.LimitListener(listener, s.limits.Connections)
	if s.options.TLS != nil {
		config := s.options.TLS.Clone()
		config.NextProtos = []string{"h2", "http/1.1"}
		listener = tls.NewListener(listener, config)
	}
	loading, stopLoading := context.WithCancel(ctx)
	preloaded := s.preload(loading)
	defer preloaded()
	defer stopLoading() // where the listener fails, nobody waits for the models
	defer s.batches.serve(ctx)()
	failed := make(chan error, 1)
	go func() { failed <- hs.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("server: %w", err)
	case <-ctx.Done():
	}
	s.ending.Store(true)
	s.waits.refuse(true)
	defer func() {
		s.ending.Store(false)
		s.waits.refuse(false)
	}()
	s.log.Info("ending", "requests", s.busy.Load(), "grace", s.limits.Grace)
	grace, cancel := context.WithTimeout(context.Background(), s.limits.Grace)
	defer cancel()
	s.drain(grace)
	err := hs.Shutdown(grace)
	if err != nil {
		end(failure.ErrShutdown)
		last, cancel := context.WithTimeout(context.Background(), endTime)
		defer cancel()
		if err = hs.Shutdown(last); err != nil {
			err = hs.Close()
		}
	}
	<-failed
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// httpServer makes a server whose requests have running as the parent of their contexts.
func (s *Server) httpServer(running context.Context) *http.Server {
	hs := &http.Server{
		Handler:           s.handler,
		BaseContext:       func(net.Listener) context.Context { return running },
		ReadHeaderTimeout: min(s.limits.ReadTime, 10*time.Second),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		Protocols:         &http.Protocols{},
	}
	hs.Protocols.SetHTTP1(true)
	hs.Protocols.SetHTTP2(true)
	hs.Protocols.SetUnencryptedHTTP2(true) // where the client knows beforehand, as proxies do
	return hs
}

// drain waits for the requests under way, at most as long as ctx lasts. Meanwhile the listener
// stays open, so that those who ask are told to go elsewhere, and /readyz says so.
func (s *Server) drain(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.busy.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// preload loads models beside, and returns what waits for the end of that. A model that cannot be
// loaded is told of in the log, and to those who ask for it.
func (s *Server) preload(ctx context.Context) (wait func()) {
	var work sync.WaitGroup
	s.loading.Store(int64(len(s.options.Preload)))
	for _, name := range s.options.Preload {
		work.Go(func() {
			defer s.loading.Add(-1)
			m, err := s.models.find(name)
			if err == nil {
				var l *lease
				if l, err = s.models.use(ctx, m, 0, nil); err == nil {
					l.Release()
				}
			}
			if err != nil && ctx.Err() == nil {
				s.log.Error("a model cannot be loaded", "model", name, "error", err)
			}
		})
	}
	return work.Wait
}

// endTime is how long requests have to notice that they were ended.
const endTime = 5 * time.Second
