package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// mixed are requests of all kinds, and what they get where their client stays.
func mixed(t testing.TB) []struct {
	method, path, body string
	status             int
} {
	images := []string{}
	for _, name := range []string{"shape-2.png", "shape-4.png", "chart-1.png"} {
		images = append(images, base64.StdEncoding.EncodeToString(picture(t, name)))
	}
	chat := func(question, image, more string) string {
		data, _ := json.Marshal(question)
		list := ""
		if image != "" {
			list = `,"images":["` + image + `"]`
		}
		return `{"model":"seed","options":{"num_predict":24},"messages":[{"role":"user","content":` + string(data) + list + `}]` + more + `}`
	}
	return []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/api/chat", chat("What is in this picture?", images[0], ""), 200},
		{"POST", "/api/chat", chat("What color is the background?", images[1], `,"stream":false`),
			200},
		{"POST", "/api/chat", chat("What color is it?",
			images[2], `,"format":{"type":"object","properties":{"color":{"enum":["red","cyan"]}},"required":["color"]}`), 200},
		{"POST", "/api/chat", chat("Why?", "", `,"logprobs":true,"top_logprobs":2`), 200},
		{"POST", "/api/chat", chat(strings.Repeat("a long story ", 60), "", ""), 200},
		{"POST", "/api/generate",
			`{"model":"seed","prompt":"What color is the star?","options":{"num_predict":16}}`,
			200},
		{"POST", "/api/generate", `{"model":"seed","prompt":"USER: a ASSISTANT:","raw":true,"options":{"num_predict":16,"seed":3}}`, 200},
		{"POST", "/api/embed", `{"model":"seed","input":["a circle","a star"]}`, 200},
		{"POST", "/api/show", `{"model":"seed"}`, 200},
		{"GET", "/api/tags", "", 200},
		{"GET", "/api/ps", "", 200},
		{"GET", "/metrics", "", 200},
		{"POST", "/api/chat", `{"model":"seed","messages":`, 400},
		{"POST", "/api/chat", `{"model":"nothing","messages":[{"role":"user","content":"a"}]}`,
			404},
		{"POST", "/api/chat", chat("What?", base64.StdEncoding.EncodeToString([]byte("no picture")),
			""), 400},
		{"POST", "/api/chat", chat("What?", images[0][:400], ""), 400},
		{"POST", "/api/chat", chat(strings.Repeat("far too long ", 5000), "", `,"truncate":false`),
			400},
		{"POST", "/api/chat",
			chat("What?", "", `,"format":{"type":"object","properties":{"a":{"enum":[]}},"required":["a"]}`), 400},
	}
}

// TestMixedRequestsLeaveNothingBehind sends requests of all kinds, good and bad, of which a tenth
// loses its client at some stage. EYELET_SLOW=1 sends a thousand.
func TestMixedRequestsLeaveNothingBehind(t *testing.T) {
	n := 60
	if os.Getenv("EYELET_SLOW") != "" {
		n = 1000
	}
	ts := serve(t, func(o *Options) { o.Spec.Context = 2048 })
	requests := mixed(t)
	send := func(i int) {
		q := requests[i%len(requests)]
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		drops := i%10 == 3
		var body io.Reader = strings.NewReader(q.body)
		if drops {
			time.AfterFunc(time.Duration(rand.IntN(120))*time.Millisecond, cancel)
			if rand.IntN(2) == 0 {
				// in the middle of the body
				body = io.MultiReader(strings.NewReader(q.body[:len(q.body)/2]), stuck{ctx})
			}
		}
		r, err := http.NewRequestWithContext(ctx, q.method, ts.url+q.path, body)
		if err != nil {
			t.Error(err)
			return
		}
		w, err := ts.http.Do(r)
		if err != nil {
			if !drops {
				t.Errorf("request %d: %v", i, err)
			}
			return
		}
		defer w.Body.Close()
		data, err := io.ReadAll(w.Body)
		if !drops && (err != nil || w.StatusCode != q.status ||
			q.status == 200 && bytes.Contains(data, []byte(`"error"`)) ||
			q.status != 200 && !bytes.Contains(data, []byte(`"error"`))) {
			t.Errorf("request %d: %s %s %.200s: %d %.300s %v, want %d", i, q.method, q.path, q.body,
				w.StatusCode, data, err, q.status)
		}
	}
	run := func(from, to int) {
		var work sync.WaitGroup
		next := make(chan int)
		for range 16 {
			work.Go(func() {
				for i := range next {
					send(i)
				}
			})
		}
		for i := from; i < to; i++ {
			next <- i
		}
		close(next)
		work.Wait()
	}
	run(0, n/4)
	before := settle(t, ts)
	run(n/4, n)
	after := settle(t, ts)
	t.Logf("%d requests: goroutines %d, then %d; heap %.1f MiB, then %.1f MiB; resident %s", n,
		before.goroutines, after.goroutines,
		float64(before.heap)/(1<<20), float64(after.heap)/(1<<20), resident())
	if after.goroutines > before.goroutines+2 {
		t.Errorf("%d goroutines, then %d", before.goroutines, after.goroutines)
	}
	if after.heap > before.heap+16<<20 {
		t.Errorf("a heap of %d bytes, then %d", before.heap, after.heap)
	}
}

// stuck is a body that does not go on until its client gives up.
type stuck struct{ ctx context.Context }

func (s stuck) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, errors.New("given up")
}

// state is what may be left of requests.
type state struct {
	goroutines int
	heap       uint64
}

// settle waits until nothing is under way, and wants nothing to be held any more.
func settle(t *testing.T, ts *testServer) state {
	t.Helper()
	ts.http.CloseIdleConnections()
	what := ""
	for range 4000 {
		what = ""
		for _, l := range ts.models.loaded() {
			s, _ := ts.pool.Stats(l.Status.Name)
			if s.Waiting+s.Reading+s.Writing > 0 || s.Cells.Running > 0 || s.Cells.Active > 0 ||
				l.Leases > 0 || s.Faults > 0 {
				what = fmt.Sprintf("%d waiting, %d reading, %d writing, %d cells running, %d leases, %d faults", s.Waiting, s.Reading, s.Writing, s.Cells.Running, l.Leases, s.Faults)
			}
		}
		if busy := ts.busy.Load(); busy > 0 {
			what += fmt.Sprintf(" %d requests", busy)
		}
		if ts.memory.TryAcquire(ts.limits.Memory) {
			ts.memory.Release(ts.limits.Memory)
		} else {
			what += " memory of bodies"
		}
		if what == "" {
			time.Sleep(100 * time.Millisecond) // connections end behind their requests
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return state{runtime.NumGoroutine(), m.HeapAlloc}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("still there: %s", what)
	return state{}
}

// resident is the memory of the process, as the system counts it.
func resident() string {
	data, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
