package engine

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// footprint is what a process that leaks has ever more of.
type footprint struct {
	rss        int // KiB of memory in use, after the Go heap was collected and given back
	threads    int // of the operating system: libgomp's workers are not goroutines
	goroutines int
	files      int // open file descriptors
}

func footprintNow(t *testing.T) footprint {
	t.Helper()
	runtime.GC()         // runs the finalizers of what is dead
	debug.FreeOSMemory() // collects what they let go, and returns it
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	now := footprint{goroutines: runtime.NumGoroutine(), files: len(files)}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		switch key {
		case "VmRSS":
			now.rss, err = strconv.Atoi(number)
		case "Threads":
			now.threads, err = strconv.Atoi(number)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if now.rss == 0 || now.threads == 0 {
		t.Fatalf("no VmRSS or Threads in /proc/self/status:\n%s", status)
	}
	return now
}

// cycle opens the built-in model, asks it about a picture and closes it.
func cycle(image *Image) (answer string, err error) {
	e, err := New(Options{})
	if err != nil {
		return "", err
	}
	defer e.Close()
	m, err := e.Load(context.Background(), ModelSpec{Model: seedModel, Projector: seedProjector})
	if err != nil {
		return "", err
	}
	a, err := collect(context.Background(), m, Request{Messages: []Message{User(Picture(image), Text("What color is the background?"))}})
	if err != nil {
		return "", err
	}
	if err := m.Close(); err != nil {
		return "", err
	}
	return a.text, e.Close()
}

// soak runs cycles, the first of which warm up: libraries load, allocators and the Go runtime find their size. What the process
// holds then must be all it holds at the end, but for growth KiB of memory, which is noise of the allocators.
func soak(t *testing.T, warm, cycles, growth int) {
	image := picture(t, "shape-4.png")
	began := time.Now()
	var first, last footprint
	step := max((cycles-warm)/20, 1)
	for n := 1; n <= cycles; n++ {
		answer, err := cycle(image)
		if err != nil || answer != " cyan" {
			t.Fatalf("cycle %d: %q, %v", n, answer, err)
		}
		if (n-warm)%step != 0 && n != cycles && n != 1 {
			continue
		}
		last = footprintNow(t)
		t.Logf("cycle %5d: %6d KiB, %d threads, %d goroutines, %d files, %v a cycle", n, last.rss, last.threads, last.goroutines, last.files,
			(time.Since(began) / time.Duration(n)).Round(time.Millisecond))
		if n == warm {
			first = last
		}
	}
	if grown := last.rss - first.rss; grown > growth {
		t.Errorf("memory grew by %d KiB over %d cycles (%.2f KiB each), want at most %d", grown, cycles-warm, float64(grown)/float64(cycles-warm), growth)
	}
	if last.goroutines > first.goroutines || last.files > first.files {
		t.Errorf("%d goroutines and %d open files at the end, %d and %d before", last.goroutines, last.files, first.goroutines, first.files)
	}
	// The Go runtime makes threads as it likes, but not one a cycle.
	if last.threads > first.threads+8 {
		t.Errorf("%d threads at the end, %d before", last.threads, first.threads)
	}
}

func TestSixtyCyclesLeakNothing(t *testing.T) { soak(t, 20, 60, 8<<10) }

// EYELET_SOAK_CYCLES gives another number of cycles.
func TestTenThousandCyclesLeakNothing(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("takes half an hour; set EYELET_SLOW=1, or run make test-slow")
	}
	cycles := 10000
	if s := os.Getenv("EYELET_SOAK_CYCLES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 100 {
			t.Fatalf("EYELET_SOAK_CYCLES=%s: want a number of at least 100", s)
		}
		cycles = n
	}
	soak(t, min(500, cycles/4), cycles, 8<<10)
}
