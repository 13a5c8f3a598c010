package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server"
	"github.com/eyelet-engine/eyelet/models/builtin"
)

var body = json.RawMessage(`{"model":"eyelet-builtin","temperature":0,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"eyelet:0"}},{"type":"text","text":"What color is the background?"}]}]}`)

// queue asks about portions of the pictures, first one way and then the other, the order changing
// from portion to portion.
func queue(ctx context.Context, o options, dir, pictures string) (err error) {
	debug.SetGCPercent(50) // as "eyelet batch" does
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
	// Each way has pictures of its own, so that none finds one in the cache.
	items := func(from, to, shift int) iter.Seq2[batch.Item, error] {
		return func(yield func(batch.Item, error) bool) {
			for i := from; i < to; i++ {
				it := batch.Item{ID: strconv.Itoa(i), URL: "/v1/chat/completions",
					Model: builtin.Name, Body: body, Pictures: []batch.Source{{Name: "p",
						Path: name(pictures, i+shift), Page: -1}}}
				if !yield(it, nil) {
					return
				}
			}
		}
	}
	through := func(from, to int) (int, error) {
		count, err := q.Submit(ctx, batch.Submission{Batch: fmt.Sprintf("b%d", from), ByPath: true,
			Resolve: s.Resolve, Items: items(from, to, o.items)})
		return count.OK, err
	}
	past := func(from, to int) (int, error) {
		count, err := batch.Local{Items: items(from, to, 0), Resolve: s.Resolve, Answer: s.Answer,
			Parallel: o.parallel}.Run(ctx, func(batch.Result) error { return nil })
		return count.OK, err
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
		fmt.Printf("portion %2d: without a queue %v, through it %v so far; %s\n", p+1,
			times[0].Round(time.Millisecond), times[1].Round(time.Millisecond), ownMemory())
		if err := heapProfile(o, p+1); err != nil {
			return err
		}
	}
	n := float64(size * o.portions)
	fmt.Printf("%d pictures: %.1f a second without a queue, %.1f through it: %.3f of the throughput\n",
		int(n), n/times[0].Seconds(), n/times[1].Seconds(), times[0].Seconds()/times[1].Seconds())
	fmt.Printf("processor time: %.2f ms a picture without a queue, %.2f through it\n",
		computed[0].Seconds()*1000/n, computed[1].Seconds()*1000/n)
	return nil
}

// profile begins the profile of the processor's time, if it is asked for. The function that it
// returns ends it.
func profile(o options) (end func() error, err error) {
	if o.cpuProfile == "" {
		return func() error { return nil }, nil
	}
	cpu, err := os.Create(o.cpuProfile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		return cpu.Close()
	}, nil
}

// heapProfile writes what Go's heap holds after a portion, if it is asked for.
func heapProfile(o options, portion int) error {
	if o.heapProfile == "" {
		return nil
	}
	heap, err := os.Create(fmt.Sprintf("%s.%d", o.heapProfile, portion))
	if err != nil {
		return err
	}
	runtime.GC()
	return errors.Join(pprof.Lookup("heap").WriteTo(heap, 0), heap.Close())
}

// processorTime is what this process has computed, with all its threads.
func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
