// Bench-batch measures what a queue costs, and what a second worker brings, with the built-in model
// and small pictures:
//
//	go run ./scripts/bench-batch                 # queue: 10,000 pictures through the embedded queue and without one, in turns
//	go run ./scripts/bench-batch -mode workers   # two workers pinned to a core each, against one pinned to one core
//
//	go run ./scripts/bench-batch -mode sizing -model M.gguf -mmproj P.gguf -items 32   # pictures and tokens a day
//
// "queue" asks the same in portions, by turns through the queue and past it, in one process and
// with the same model, and prints the ratio of the throughputs and how much memory the process took
// after each portion. "workers" runs build/bin/eyelet, or what -eyelet names, as a queue, workers
// and submitter of their own, on Linux. Submitter and queue have the cores of the workers and no
// others, so that one worker shares its core with them as two do; what each of them computed is
// printed. "sizing" runs "eyelet batch" over photos of -size pixels that are new to it. Run all on
// a quiet machine.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server"
	"github.com/eyelet-engine/eyelet/models/builtin"
)

type options struct {
	mode     string
	model    string // of the mode sizing, as are the next three
	mmproj   string
	size     int // pixels of a picture
	tokens   int // of an answer
	items    int
	portions int
	parallel int
	eyelet   string
	// files for profiles of the mode queue, "" for none
	cpuProfile, heapProfile string
}

func main() {
	var o options
	flag.StringVar(&o.mode, "mode", "queue", "queue, workers or sizing")
	flag.StringVar(&o.model, "model", "", "of the mode sizing: GGUF `file` (default: the built-in)")
	flag.StringVar(&o.mmproj, "mmproj", "", "of the mode sizing: its projector's `file`")
	flag.IntVar(&o.size, "size", 1024, "of the mode sizing: pixels of a picture, each way")
	flag.IntVar(&o.tokens, "tokens", 16, "of the mode sizing: tokens of an answer")
	flag.IntVar(&o.items, "items", 10_000, "pictures")
	flag.IntVar(&o.portions, "portions", 10, "of the mode queue: portions, each asked both ways")
	flag.IntVar(&o.parallel, "parallel", engine.DefaultParallel,
		"pictures that are asked about at a time")
	flag.StringVar(&o.eyelet, "eyelet", "build/bin/eyelet", "of the mode workers: the program")
	flag.StringVar(&o.cpuProfile, "cpuprofile", "",
		"of the mode queue: `file` for a profile of the portions")
	flag.StringVar(&o.heapProfile, "heapprofile", "",
		"of the mode queue: `file` for a profile of the memory in use at the end")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-batch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "bench-batch-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	pictures := filepath.Join(dir, "pictures")
	// Each way has its own, so that none finds one in the cache.
	n, pixels := 2*o.items, smallPicture
	if o.mode == "sizing" {
		n, pixels = o.items, o.size
	}
	fmt.Printf("drawing %d pictures\n", n)
	if err := draw(pictures, n, pixels); err != nil {
		return err
	}
	switch o.mode {
	case "sizing":
		return sizing(ctx, o, dir, pictures)
	case "queue":
		return queue(ctx, o, dir, pictures)
	case "workers":
		return workers(ctx, o, dir, pictures)
	}
	return fmt.Errorf("there is no mode %q", o.mode)
}

// smallPicture is how many pixels wide and high the pictures of the modes queue and workers are.
const smallPicture = 64

// draw writes square pictures of so many pixels each way, no two the same.
func draw(dir string, n, pixels int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		m := image.NewRGBA(image.Rect(0, 0, pixels, pixels))
		back, front := color.RGBA{uint8(rng.Uint32()), uint8(rng.Uint32()), uint8(i), 255},
			color.RGBA{uint8(rng.Uint32()), uint8(rng.Uint32()), uint8(i >> 8), 255}
		x, y := rng.IntN(pixels*5/8), rng.IntN(pixels*5/8)
		for p := range pixels * pixels {
			c := back
			if p%pixels >= x && p%pixels < x+pixels*3/8 &&
				p/pixels >= y && p/pixels < y+pixels*3/8 {
				c = front
			}
			m.SetRGBA(p%pixels, p/pixels, c)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			return err
		}
		if err := os.WriteFile(name(dir, i), b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func name(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("%06d.png", i)) }

var body = json.RawMessage(`{"model":"eyelet-builtin","temperature":0,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"eyelet:0"}},{"type":"text","text":"What color is the background?"}]}]}`)

// queue asks about portions of the pictures, first one way and then the other, the order changing
// from portion to portion.
func queue(ctx context.Context, o options, dir, pictures string) (err error) {
	e, err := engine.New(engine.Options{})
	if err != nil {
		return err
	}
	pool := pool.New(e, pool.Options{KeepAlive: -1})
	defer func() { err = errors.Join(err, pool.Close(), e.Close()) }()
	s, err := server.New(pool, nil, server.Options{Spec: engine.ModelSpec{Parallel: o.parallel,
		ImageBytes: batch.PictureCache},
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	q, err := batch.Embed(filepath.Join(dir, "queue"), batch.EmbedOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = q.Close() }()
	model, err := s.Resolve(ctx, builtin.Name)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	var worker sync.WaitGroup
	defer worker.Wait()
	defer stop()
	w := batch.NewWorker(q, batch.WorkerOptions{
		Parallel: o.parallel, Folders: []string{"/"}, Answer: s.Answer,
		Models: func(context.Context) ([]batch.Model, error) {
			return []batch.Model{model}, nil
		},
	})
	worker.Go(func() { _ = w.Run(working) })
	through := func(from, to int) (int, error) {
		count, err := q.Submit(ctx, batch.Submission{
			Batch: fmt.Sprintf("b%d", from), ByPath: true, Resolve: s.Resolve,
			Items: func(yield func(batch.Item, error) bool) {
				for i := from; i < to; i++ {
					it := batch.Item{ID: strconv.Itoa(i), URL: "/v1/chat/completions",
						Model: builtin.Name, Body: body,
						Pictures: []batch.Source{{Name: "p", Path: name(pictures, o.items+i),
							Page: -1}}}
					if !yield(it, nil) {
						return
					}
				}
			},
		})
		return count.OK, err
	}
	past := func(from, to int) (good int, err error) {
		tasks := func(yield func(batch.Task) bool) {
			for i := from; i < to; i++ {
				if !yield(batch.Task{ID: strconv.Itoa(i), URL: "/v1/chat/completions", Model: model,
					Body:     body,
					Pictures: []batch.File{{Name: "p", Path: name(pictures, i), Page: -1}}}) {
					return
				}
			}
		}
		answer := func(ctx context.Context, t batch.Task) bool {
			r, fault := s.Answer(ctx, t)
			return fault == nil && r.Status == 200
		}
		for ok := range batch.InOrder(ctx, o.parallel, tasks, answer) {
			if ok {
				good++
			}
		}
		return good, ctx.Err()
	}
	if _, err := past(0, 1); err != nil { // loads the model
		return err
	}
	end, err := profile(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	var times, computed [2]time.Duration
	size := o.items / o.portions
	for p := range o.portions {
		for turn := range 2 {
			way := (turn + p) % 2
			do := past
			if way == 1 {
				do = through
			}
			began, before := time.Now(), processorTime()
			good, err := do(p*size, (p+1)*size)
			if err != nil {
				return err
			}
			if good != size {
				return fmt.Errorf("%d of %d were answered", good, size)
			}
			times[way] += time.Since(began)
			computed[way] += processorTime() - before
		}
		fmt.Printf("portion %2d: without a queue %v, through it %v so far; resident memory %d MiB\n",
			p+1, times[0].Round(time.Millisecond), times[1].Round(time.Millisecond),
			resident()>>20)
	}
	n := float64(size * o.portions)
	fmt.Printf("%d pictures: %.1f a second without a queue, %.1f through it: %.3f of the throughput\n",
		int(n), n/times[0].Seconds(), n/times[1].Seconds(), times[0].Seconds()/times[1].Seconds())
	fmt.Printf("processor time: %.2f ms a picture without a queue, %.2f through it\n",
		computed[0].Seconds()*1000/n, computed[1].Seconds()*1000/n)
	return nil
}

// profile begins the profiles that are asked for. The function that it returns ends them.
func profile(o options) (end func() error, err error) {
	var cpu *os.File
	if o.cpuProfile != "" {
		if cpu, err = os.Create(o.cpuProfile); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, err
		}
	}
	return func() error {
		if cpu != nil {
			pprof.StopCPUProfile()
			if err := cpu.Close(); err != nil {
				return err
			}
		}
		if o.heapProfile == "" {
			return nil
		}
		heap, err := os.Create(o.heapProfile)
		if err != nil {
			return err
		}
		runtime.GC()
		return errors.Join(pprof.Lookup("heap").WriteTo(heap, 0), heap.Close())
	}, nil
}

// processorTime is what this process has computed, with all its threads.
func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the memory that this process has, in bytes; 0 where that cannot be known.
func resident() int64 {
	data, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
