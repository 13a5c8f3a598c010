package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A disk that is full for everything has the batch wait, and an item that is too large for what is
// free fails alone.
func TestAFullDiskHasTheBatchWait(t *testing.T) {
	dir, q := t.TempDir(), embedded(t, t.TempDir())
	var free atomic.Int64
	free.Store(1 << 40)
	q.disk.free = free.Load
	q.disk.keep = 1 << 20
	var told atomic.Int32 // by the worker, whose results wait, or by the submitter
	heard := func(text string) {
		if told.Add(1); !strings.Contains(text, "is full; the batch goes on when") {
			t.Error(text)
		}
	}
	work(t, q, echo, func(o *WorkerOptions) { o.Log = heard })
	small, large := filepath.Join(dir, "small"), filepath.Join(dir, "large")
	if err := errors.Join(os.WriteFile(small, []byte("small"), 0o600),
		os.WriteFile(large, bytes.Repeat([]byte("x"), 3<<20), 0o600)); err != nil {
		t.Fatal(err)
	}
	count, err := q.Submit(t.Context(), Submission{Batch: "b", Resolve: isToy, Window: 4,
		Items: func(yield func(Item, error) bool) {
			for i := range 60 {
				path := small
				switch i {
				case 20:
					free.Store(3 << 20) // of which 2 MiB may be taken
					path = large
				case 40:
					free.Store(1000)
					time.AfterFunc(400*time.Millisecond, func() { free.Store(1 << 40) })
				}
				if !yield(Item{ID: fmt.Sprint(i), URL: Endpoints[0], Body: json.RawMessage(`{}`),
					Pictures: []Source{{Name: "p", Path: path, Page: -1}}}, nil) {
					return
				}
			}
		},
		Wait: func(err error) { heard(err.Error()) }})
	if err != nil || count != (Count{Items: 60, OK: 59, Failed: 1}) || told.Load() == 0 {
		t.Fatalf("%+v, %v; told %d times", count, err, told.Load())
	}
	r, _, err := q.Result(t.Context(), "b", "20")
	if code, text := r.Reason(); code != "no_room" || err != nil {
		t.Errorf("%s: %s, %v", code, text, err)
	}
}

// Messages on their way take no more room than there is, however many of them are looked at before
// one arrives.
func TestWhatIsOnItsWayFitsTheDisk(t *testing.T) {
	q := embedded(t, t.TempDir())
	const room = 2 << 20
	var most atomic.Int64
	q.disk.keep = 1 << 20
	q.disk.free = func() int64 { // as of a disk that has not got any of them yet
		for n := q.disk.onTheWay.Load(); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				return q.disk.keep + room
			}
		}
	}
	large := strings.Repeat("x", inlineMost-1000)
	work(t, q, func(context.Context, Task) (*Response, *Fault) {
		body, _ := json.Marshal(large)
		return &Response{Status: 200, Body: body}, nil
	}, func(o *WorkerOptions) { o.Parallel = 8 })
	body, err := json.Marshal(map[string]string{"text": large})
	if err != nil {
		t.Fatal(err)
	}
	count, err := q.Submit(t.Context(), Submission{Batch: "b", Resolve: isToy,
		Items: func(yield func(Item, error) bool) {
			for i := range 64 {
				if !yield(Item{ID: fmt.Sprint(i), URL: Endpoints[0], Body: body}, nil) {
					return
				}
			}
		}})
	if err != nil || count.OK != 64 {
		t.Errorf("%+v, %v", count, err)
	}
	if m := most.Load(); m <= inlineMost || m > room {
		t.Errorf("up to %d KiB were on their way, to a disk with room for %d", m>>10, room>>10)
	}
	if left := q.disk.onTheWay.Load(); left != 0 {
		t.Errorf("%d bytes are still on their way at the end", left)
	}
}

// JetStream itself meets a full disk, and goes on when there is room.
func TestJetStreamOutlivesAFullDisk(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("EYELET_SLOW is not set: what meets the full disk is given up after ten seconds")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skip("no small disk can be made here: ", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	var mu sync.Mutex
	var said []string
	q := embedded(t, filepath.Join(dir, "queue"), func(o *EmbedOptions) {
		o.Log = func(text string) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, text)
		}
	})
	defer func() { _ = q.Close() }()
	real := q.disk.free
	var blind atomic.Bool // the fill comes between the look at the disk and the writing
	q.disk.free = func() int64 {
		if blind.Load() && !q.disk.sick.Load() {
			return 1 << 40
		}
		return real()
	}
	full, filler := make(chan struct{}), filepath.Join(dir, "filler")
	var fill sync.Once // its job comes again
	work(t, q, func(ctx context.Context, task Task) (*Response, *Fault) {
		if task.ID == "item 50" {
			fill.Do(func() {
				blind.Store(true)
				f, err := os.Create(filler)
				if err != nil {
					t.Error(err)
				}
				if _, err = io.Copy(f, neverEnding{}); !errors.Is(err, syscall.ENOSPC) {
					t.Error(err)
				}
				_ = f.Close()
				close(full)
			})
		}
		return echo(ctx, task)
	})
	go func() {
		<-full
		for range 100 { // until JetStream has noticed
			if q.disk.sick.Load() {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		blind.Store(false)
		_ = os.Remove(filler)
	}()
	count, err := q.Submit(t.Context(), Submission{Batch: "b", Items: numbered(200), Resolve: isToy,
		ByPath: true, Window: 16})
	if err != nil || count.OK != 200 {
		t.Fatalf("%+v, %v", count, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(said) != 2 || !strings.Contains(said[0], "is full; waiting") {
		t.Errorf("%q", said)
	}
}

// neverEnding is a file without an end.
type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// A store without room for a stream or a consumer says no more than that making it failed.
func TestAFullDiskIsSeenBehindOtherFaults(t *testing.T) {
	q := embedded(t, t.TempDir())
	free := int64(1 << 40)
	q.disk.free = func() int64 { return free }
	fault := &jetstream.APIError{Code: 500, Description: "error creating store for consumer"}
	if err := q.fault("the consumers", fault); !errors.Is(err, ErrQueue) {
		t.Error(err)
	}
	free = 1000
	if err := q.fault("the consumers", fault); !errors.Is(err, ErrNoRoom) {
		t.Error(err)
	}
}
