package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// record is what the server knows of a request beside itself.
type record struct {
	id     string
	began  time.Time // when its body was read, of those that hold a JSON object
	client string    // whose turn it is when many wait: the name of the key, or the address
	key    *Key      // nil where none is demanded
	memory held      // for its body and the pictures that were fetched for it
	waits  *waits    // of the server
	route  string    // pattern of the mux, "" for none
	model  string    // that answered, for the log
	err    error     // that ended it, for the log

	relax    sync.Once // for what follows
	relaxed  []string  // parts of the schemas of tools that nothing holds, for the log
	header   http.Header
	attempts int // at an answer that turns out not to be valid under its schema, beside the first

	priority int                      // of what is computed; 0 for requests that somebody waits for
	pictures map[string]*engine.Image // by addresses that stand for them, of a task of a batch
}

type recordKey struct{}

// recordOf returns what the server knows of a request.
func recordOf(ctx context.Context) *record {
	if rec, ok := ctx.Value(recordKey{}).(*record); ok {
		return rec
	}
	return &record{}
}

// answerWriter notes what has been written.
type answerWriter struct {
	http.ResponseWriter
	limit  func() // gives the client a time to take what is written
	body   *watchedBody
	status int // 0 before the header is written
	bytes  int64
}

// watchedBody notes whether a body has been read to its end.
type watchedBody struct {
	io.ReadCloser
	ended bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended = true
	}
	return n, err
}

// leftTime is how long a connection may still bring what is left of a body that nobody wants any
// more.
const leftTime = 2 * time.Second

// restTime bounds how long the rest of a body is taken in all.
const restTime = 30 * time.Second

// takeRest takes, and throws away, what a client still sends of a body that was answered before its
// end. A connection that is closed with bytes unread is reset, and the client, which reads only
// when it has sent all, would never see the answer. It ends when nothing comes for a while.
func (w *answerWriter) takeRest(r *http.Request) {
	if w.body.ended {
		return
	}
	rc := http.NewResponseController(w.ResponseWriter)
	if r.ProtoMajor == 1 && w.status != 0 && r.Header.Get("Expect") == "" && rc.Flush() == nil {
		buffer, end := make([]byte, 64<<10), time.Now().Add(restTime)
		for time.Now().Before(end) {
			_ = rc.SetReadDeadline(time.Now().Add(leftTime))
			if _, err := w.body.Read(buffer); err != nil {
				break
			}
		}
	}
	_ = rc.SetReadDeadline(time.Now().Add(leftTime))
}

// begin begins an answer, and closes the connection of a request whose body is not at its end.
// [http.Server] would read on before it answers, for as long as a client likes.
func (w *answerWriter) begin() {
	w.limit() // the time of the connection's last answer may be over
	if !w.body.ended {
		w.Header().Set("Connection", "close")
	}
}

func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.begin()
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.begin()
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// chain puts the gates before the routes, the outermost last.
func (s *Server) chain(next handler) http.Handler {
	h := s.admit(next)
	h = s.authorize(h)
	h = s.guard(h)
	return s.observe(h)
}

// observe gives a request its id and its line in the access log, tells the client of errors, and
// turns panics into one.
func (s *Server) observe(next handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &record{id: r.Header.Get("X-Request-Id"), client: address(r),
			memory: held{of: s.memory}, waits: &s.waits}
		if !requestID.MatchString(rec.id) {
			rec.id = rand.Text()
		}
		aw := &answerWriter{ResponseWriter: w, body: &watchedBody{r.Body, r.ContentLength == 0},
			limit: func() { s.limitWrite(w) }}
		aw.Header().Set("X-Request-Id", rec.id)
		rec.header, rec.attempts = aw.Header(), retriesOf(r)
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
		r.Body = aw.body
		defer func() { aw.takeRest(r) }()
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler {
					panic(v)
				}
				s.log.Error("panic", "id", rec.id, "value", fmt.Sprint(v), "stack",
					string(debug.Stack()))
				rec.err = errors.New("panic")
				if aw.status != 0 {
					// Part of an answer has gone out: cut off, it must not look whole.
					s.access(aw, r, rec, time.Since(began))
					panic(http.ErrAbortHandler)
				}
				s.sendFailure(aw, r, failure.Of(r.Context(), rec.err))
			}
			s.access(aw, r, rec, time.Since(began))
		}()
		if rec.err = next(aw, r); rec.err != nil {
			s.sendFailure(aw, r, failure.Of(r.Context(), rec.err))
		}
	})
}

// sendFailure sends an error in the shape of the API that the path belongs to. Where the answer has
// begun, it is too late: streams tell of errors themselves.
func (s *Server) sendFailure(w *answerWriter, r *http.Request, f *failure.Failure) {
	if w.status != 0 {
		return
	}
	if f.Status == failure.StatusClientClosed {
		w.status = f.Status
		return
	}
	if f.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.Retry.Seconds()))))
	}
	if f.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	s.limitWrite(w)
	_ = s.fail(w, r, f) // the client may be gone
}

func (s *Server) access(w *answerWriter, r *http.Request, rec *record, d time.Duration) {
	s.metrics.observe(rec.route, w.status, d)
	level := slog.LevelInfo
	if w.status >= 500 {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("id", rec.id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", w.status),
		slog.Int64("bytes", w.bytes), slog.Duration("time", d), slog.String("client", rec.client),
	}
	if rec.model != "" {
		attrs = append(attrs, slog.String("model", rec.model))
	}
	if len(rec.relaxed) > 0 {
		attrs = append(attrs, slog.Any("schema_relaxed", rec.relaxed))
	}
	if rec.err != nil {
		text := rec.err.Error()
		if f, ok := errors.AsType[*failure.Failure](rec.err); ok && f.Cause != nil {
			text = f.Cause.Error()
		}
		attrs = append(attrs, slog.String("error", text))
	}
	s.log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", attrs...)
}

// guard checks Host and Origin, and answers the questions that browsers ask before a request of
// another origin.
func (s *Server) guard(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.gate.check(r); err != nil {
			return err
		}
		if s.gate.allow(w, r) {
			return nil
		}
		return next(w, r)
	}
}

// admit bounds how many requests are under way, and the time of each, and gives its memory back.
func (s *Server) admit(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.anyone[r.URL.Path] {
			return next(w, r)
		}
		if s.ending.Load() {
			w.Header().Set("Connection", "close")
			return failure.ErrShutdown
		}
		defer s.busy.Add(-1)
		if s.busy.Add(1) > int64(s.limits.Requests) {
			return failure.Busy(
				"the server is busy: %d requests are under way already; try again later",
				s.limits.Requests)
		}
		defer recordOf(r.Context()).memory.release()
		if s.limits.Time == 0 {
			return next(w, r)
		}
		ctx, cancel := context.WithTimeout(r.Context(), s.limits.Time)
		defer cancel()
		err := next(w, r.WithContext(ctx))
		if err != nil && ctx.Err() != nil {
			// Who sends the failure has the connection's context, which knows of no limit.
			return failure.Of(ctx, err)
		}
		return err
	}
}

// routes returns the handler behind the gates: the table of routes.
func (s *Server) routes() handler {
	mux := http.NewServeMux()
	s.anyone = map[string]bool{}
	for _, row := range s.table() {
		mux.Handle(row.pattern, routed(row.handle))
		if row.access == anyone {
			_, path, _ := strings.Cut(row.pattern, " ")
			s.anyone[path] = true
		}
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		h, pattern := mux.Handler(r)
		if pattern == "" {
			return notRouted(w, r, h)
		}
		recordOf(r.Context()).route = pattern
		// The mux fills in the path's values, and hands them to routed's ServeHTTP, which leaves
		// the error here.
		var err error
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), routeKey{}, &err)))
		return err
	}
}

// routed is a handler as the mux takes it.
type routed handler

type routeKey struct{}

func (h routed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h(w, r)
	if to, ok := r.Context().Value(routeKey{}).(*error); ok {
		*to = err
	}
}

// notRouted says why the mux has no handler: no such path, or no such method.
func notRouted(w http.ResponseWriter, r *http.Request, h http.Handler) error {
	probe := &probeWriter{header: http.Header{}}
	h.ServeHTTP(probe, r)
	if allow := probe.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		return failure.New(http.StatusMethodNotAllowed, failure.KindRequest,
			"%s is not a method of %s; it has %s", r.Method, r.URL.Path, allow)
	}
	return failure.New(http.StatusNotFound, failure.KindNotFound,
		"there is no %s here; docs/api.md lists the endpoints", r.URL.Path)
}

// probeWriter takes an answer that nobody is to see.
type probeWriter struct{ header http.Header }

func (p *probeWriter) Header() http.Header         { return p.header }
func (p *probeWriter) Write(b []byte) (int, error) { return len(b), nil }
func (p *probeWriter) WriteHeader(int)             {}

// address returns the client's address without its port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
