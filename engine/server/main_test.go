package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ollama/ollama/api"
	"go.uber.org/goleak"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server/offlinetest"
	"github.com/eyelet-engine/eyelet/models/store"
)

func TestMain(m *testing.M) {
	offlinetest.Enter()
	goleak.VerifyTestMain(m)
}

const (
	seedModel     = "../../models/builtin/eyelet-builtin-q8_0.gguf"
	seedProjector = "../../models/builtin/mmproj-eyelet-builtin-q8_0.gguf"
)

// endlessFormat is a schema that no answer fulfils before its context is full.
const endlessFormat = `{"type":"object","properties":{"a":{"type":"array","items":` +
	`{"type":"array","items":{"type":"integer"},"minItems":900},"minItems":900}},"required":["a"]}`

// eventually waits for a condition, which a busy machine may take long to meet.
func eventually(t testing.TB, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !met(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// testServer is a server on a loopback listener, with the built-in model as "seed".
type testServer struct {
	*Server
	url    string
	http   *http.Client
	log    *lockedBuffer
	engine *engine.Engine
	store  *store.Store
	end    context.CancelFunc // asks Serve to end
	ended  chan error         // what Serve returned
}

// lockedBuffer is a log that tests read while the server writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a server, with changes to its options, and ends it with the test.
func serve(t testing.TB, change ...func(*Options)) *testServer {
	t.Helper()
	return serveAs(t, func(*Server) {}, change...)
}

// serveAs is serve with changes to the server itself, before it begins.
func serveAs(t testing.TB, setUp func(*Server), change ...func(*Options)) *testServer {
	t.Helper()
	ts := &testServer{log: &lockedBuffer{}, http: &http.Client{Transport: &http.Transport{}},
		ended: make(chan error, 1)}
	var err error
	if ts.engine, err = engine.New(engine.Options{}); err != nil {
		t.Fatal(err)
	}
	pool := pool.New(ts.engine, pool.Options{})
	if ts.store, err = store.Open(store.Options{Root: t.TempDir(), NoOllama: true}); err != nil {
		t.Fatal(err)
	}
	options := Options{
		Models: []NamedModel{{Name: "seed", Spec: engine.ModelSpec{Model: seedModel,
			Projector: seedProjector}}},
		Log: slog.New(slog.NewTextHandler(ts.log,
			&slog.HandlerOptions{Level: slog.LevelDebug})),
		Version: "test",
	}
	for _, c := range change {
		c(&options)
	}
	if ts.Server, err = New(pool, ts.store, options); err != nil {
		t.Fatal(err)
	}
	setUp(ts.Server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ts.url = "http://" + listener.Addr().String()
	ctx, end := context.WithCancel(context.Background())
	ts.end = end
	go func() { ts.ended <- ts.Serve(ctx, listener) }()
	t.Cleanup(func() {
		ts.http.CloseIdleConnections()
		end()
		select {
		case err := <-ts.ended:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("Serve does not end")
		}
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
		if err := ts.engine.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", ts.log)
		}
	})
	return ts
}

// client is Ollama's own Go client.
func (ts *testServer) client(t testing.TB) *api.Client {
	t.Helper()
	u, err := url.Parse(ts.url)
	if err != nil {
		t.Fatal(err)
	}
	return api.NewClient(u, ts.http)
}

// httpReply is an answer read whole.
type httpReply struct {
	status int
	header http.Header
	text   string
}

// do sends a request. Headers come in pairs of a name and a value; Host is one.
func (ts *testServer) do(t testing.TB, method, path, body string, headers ...string) httpReply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, ts.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := ts.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	data, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return httpReply{w.StatusCode, w.Header, string(data)}
}

// ollamaError is the message of an error in Ollama's shape.
func (r httpReply) ollamaError(t testing.TB) string {
	t.Helper()
	var e struct{ Error *string }
	if err := json.Unmarshal([]byte(r.text), &e); err != nil || e.Error == nil {
		t.Fatalf("%d %q is no error of Ollama's", r.status, r.text)
	}
	return *e.Error
}

const pictures = "../../models/builtin/testdata/pictures/"

func picture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(pictures + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// borrowSeed borrows the seed model until the test ends, for a context of so many tokens.
func borrowSeed(t *testing.T, ts *testServer, context int) *lease {
	t.Helper()
	m, err := ts.models.find("seed")
	if err != nil {
		t.Fatal(err)
	}
	l, err := ts.models.use(t.Context(), m, context, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	return l
}

func dataURL(t testing.TB, name string) string {
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture(t, name))
}

// idle waits until no request is under way.
func (ts *testServer) idle(t testing.TB) {
	t.Helper()
	eventually(t, "no request is under way", func() bool {
		running := ts.busy.Load()
		for _, l := range ts.models.loaded() {
			running += int64(l.Status.Leases)
		}
		return running == 0
	})
}

const paintSchema = `{"type":"object","properties":{"color":{"enum":["red","cyan"]}},"required":["color"],"additionalProperties":false}`
