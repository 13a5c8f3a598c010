package engine

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
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
	a, err := collect(context.Background(), m,
		Request{Messages: []Message{User(Picture(image), Text("What color is the background?"))}})
	if err != nil {
		return "", err
	}
	if err := m.Close(); err != nil {
		return "", err
	}
	return a.text, e.Close()
}

// soakProcess runs the calling test again in a process of its own, and returns true in that
// process. What earlier tests left behind does not count there, and the C library's allocator keeps
// little of what is freed: with one arena for all threads and low thresholds, memory that stays is
// memory that nobody freed. (As it comes, it keeps an arena for each of up to 8 threads a core,
// which fill over some hundred cycles, and a leak of some KiB a cycle would be lost in them.)
func soakProcess(t *testing.T) bool {
	t.Helper()
	if underRaceDetector() {
		t.Skip("a process with the race detector grows by some 180 KiB a cycle, where one without does not; run without -race")
	}
	const child = "EYELET_SOAK_PROCESS"
	if os.Getenv(child) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=0")
	cmd.Env = append(os.Environ(), child+"="+t.Name(), "MALLOC_ARENA_MAX=1",
		"MALLOC_MMAP_THRESHOLD_=65536", "MALLOC_TRIM_THRESHOLD_=65536")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A process that finds no test of the name exits with 0 as well.
	ran := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		t.Log(lines.Text())
		ran = ran || strings.Contains(lines.Text(), "--- PASS: "+t.Name())
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil || !ran {
		t.Errorf("the process of the cycles: %v, passed: %v", err, ran)
	}
	return false
}

func underRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// soak runs cycles. The first of them warm up: libraries load, allocators and the Go runtime find
// their size. What the process holds then must be all that it holds at the end, but for growth KiB
// of memory, the noise of the allocators. Readings jump by some MiB, always upwards, for a page
// that is in use keeps those below it; so the lowest of a fifth of all readings stands for the
// beginning, and the lowest of another for the end.
func soak(t *testing.T, warm, cycles, growth int) {
	image := picture(t, "shape-4.png")
	began := time.Now()
	const readings, sample = 50, 10
	var seen []footprint
	for n := 1; n <= cycles; n++ {
		answer, err := cycle(image)
		if err != nil || answer != "cyan" {
			t.Fatalf("cycle %d: %q, %v", n, answer, err)
		}
		if n <= warm || (n-warm)*readings/(cycles-warm) == len(seen) {
			continue
		}
		f := footprintNow(t)
		seen = append(seen, f)
		t.Logf("cycle %5d: %6d KiB, %d threads, %d goroutines, %d files, %v a cycle", n, f.rss,
			f.threads, f.goroutines, f.files,
			(time.Since(began) / time.Duration(n)).Round(time.Millisecond))
	}
	if len(seen) != readings {
		t.Fatalf("%d readings, want %d", len(seen), readings)
	}
	first, last := lowest(seen[:sample]), lowest(seen[readings-sample:])
	grown, apart := last.rss-first.rss, (cycles-warm)*(readings-sample)/readings
	t.Logf("%+d KiB over %d cycles, %.2f KiB each", grown, apart, float64(grown)/float64(apart))
	if grown > growth {
		t.Errorf("memory grew by %d KiB, want at most %d", grown, growth)
	}
	if last.goroutines > first.goroutines || last.files > first.files {
		t.Errorf("%d goroutines and %d open files at the end, %d and %d before", last.goroutines,
			last.files, first.goroutines, first.files)
	}
	// The Go runtime starts threads for blocking calls as it needs them, and keeps them.
	if last.threads > first.threads+4 {
		t.Errorf("%d threads at the end, %d before", last.threads, first.threads)
	}
}

// lowest is the least of each figure.
func lowest(seen []footprint) footprint {
	low := seen[0]
	for _, f := range seen[1:] {
		low = footprint{min(low.rss, f.rss), min(low.threads, f.threads),
			min(low.goroutines, f.goroutines), min(low.files, f.files)}
	}
	return low
}

func TestSeventyCyclesLeakNothing(t *testing.T) {
	if soakProcess(t) {
		soak(t, 20, 70, 2<<10)
	}
}

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
	if soakProcess(t) {
		soak(t, min(500, cycles/4), cycles, 4<<10)
	}
}
