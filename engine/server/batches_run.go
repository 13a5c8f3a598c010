package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

const (
	maxBatchRequests = 1_000_000
	maxBatchesAtOnce = 64
	maxBatchErrors   = 100 // of lines, that a batch which is not begun tells of
)

// errCancelled is why the work of a batch ends that a client cancels.
var errCancelled = errors.New("the batch was cancelled")

// serve lets batches run until the returned function is called, and goes on with those that an
// earlier server left.
func (b *batches) serve(ctx context.Context) (end func()) {
	if b.dir == "" {
		return func() {}
	}
	ctx, stop := context.WithCancelCause(ctx)
	b.mu.Lock()
	b.ctx = ctx
	b.mu.Unlock()
	// nothing is made before a client asks
	if _, err := os.Stat(filepath.Join(b.dir, "batches")); err == nil {
		b.resume()
	}
	return func() {
		stop(failure.ErrShutdown)
		b.work.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ctx = nil
		if b.queue != nil {
			_ = b.queue.Close()
			b.queue = nil
		}
	}
}

// resume goes on with the batches that have not ended.
func (b *batches) resume() {
	if _, err := b.ready(); err != nil {
		b.s.log.Error("the batches of before cannot be read", "folder", b.dir, "error", err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.list {
		if !o.Ended() {
			if err := b.start(o); err != nil {
				b.s.log.Error("a batch cannot go on", "batch", o.ID, "error", err)
			}
		}
	}
}

// begin takes a new batch in.
func (b *batches) begin(o *openai.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.cancel) >= maxBatchesAtOnce {
		return failure.Busy(
			"%d batches run already, as many as there may; try again when one has ended", len(
				b.cancel))
	}
	if err := b.save("batches", o.ID, o); err != nil {
		return err
	}
	b.list[o.ID] = o
	if err := b.start(o); err != nil {
		delete(b.list, o.ID)
		_ = os.Remove(filepath.Join(b.dir, "batches", o.ID+".json"))
		return err
	}
	return nil
}

// start runs a batch beside. The caller holds the lock.
func (b *batches) start(o *openai.Batch) error {
	if b.ctx == nil || b.ctx.Err() != nil {
		return failure.ErrShutdown
	}
	if b.queue == nil {
		q, err := batch.Embed(filepath.Join(b.dir, "queue"), batch.EmbedOptions{})
		if errors.Is(err, batch.ErrInUse) {
			return failure.Busy("another server runs the batches of this folder")
		}
		if err != nil {
			return err
		}
		b.queue = q
		b.works(b.ctx, q)
	}
	ctx, cancel := context.WithCancelCause(b.ctx)
	if o.Status == openai.BatchCancelling {
		cancel(errCancelled)
	}
	b.cancel[o.ID] = cancel
	serving := b.ctx
	b.work.Go(func() {
		b.run(serving, ctx, o)
		cancel(nil)
		b.mu.Lock()
		delete(b.cancel, o.ID)
		b.mu.Unlock()
	})
	return nil
}

// works carries out the jobs of the queue. One place of a model's is left to requests that somebody
// waits for.
func (b *batches) works(ctx context.Context, q *batch.Queue) {
	parallel := b.s.options.Spec.Parallel
	if parallel == 0 {
		parallel = engine.DefaultParallel
	}
	w := batch.NewWorker(q, batch.WorkerOptions{
		Parallel: max(1, parallel-1), Answer: b.s.Answer, Log: func(text string) {
			b.s.log.Info("batches", "note", text)
		},
		Models: func(context.Context) ([]batch.Model, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return slices.Collect(maps.Values(b.models)), nil
		},
	})
	b.work.Go(func() {
		if err := w.Run(ctx); err != nil && ctx.Err() == nil {
			b.s.log.Error("the queue of batches has ended", "error", err)
		}
	})
}

// resolve is Server.Resolve, with a memory for who works.
func (b *batches) resolve(ctx context.Context, name string) (batch.Model, error) {
	m, err := b.s.Resolve(ctx, name)
	if err == nil {
		b.mu.Lock()
		b.models[m.Digest] = m
		b.mu.Unlock()
	}
	return m, err
}

// stop cancels a batch.
func (b *batches) stop(o *openai.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o.Ended() || o.Status == openai.BatchFinalizing {
		return failure.New(http.StatusConflict, failure.KindRequest,
			"Cannot cancel a batch with status '%s'.", o.Status)
	}
	at := now()
	o.Status, o.Cancelling = openai.BatchCancelling, &at
	if cancel := b.cancel[o.ID]; cancel != nil {
		cancel(errCancelled)
	}
	return b.save("batches", o.ID, o)
}

// change changes a batch, and keeps it.
func (b *batches) change(o *openai.Batch, change func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	return b.save("batches", o.ID, o)
}

// state returns the batch as clients see it now.
func (b *batches) state(o *openai.Batch) *openai.Batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	return o.Shown()
}

// Pauses between tries of what a batch needs, as while its disk is full.
const (
	firstBatchPause = 5 * time.Second
	lastBatchPause  = 5 * time.Minute
)

// run does all that a batch needs, until ctx, which the batch's client may cancel, or serving is
// done. What cannot be done now is tried again, by the next server where this one ends first.
func (b *batches) run(serving, ctx context.Context, o *openai.Batch) {
	for pause := b.pause; ; pause = min(2*pause, lastBatchPause) {
		cancelled := ctx.Done()
		if ctx.Err() != nil {
			cancelled = nil // which is known
		}
		err := b.attempt(ctx, o)
		if err == nil || serving.Err() != nil {
			return
		}
		if b.state(o).Ended() {
			b.s.log.Error("what the queue holds of a batch cannot be removed", "batch", o.ID,
				"error", err)
			return
		}
		b.s.log.Error("a batch waits, and is tried again", "batch", o.ID, "error", err, "in", pause)
		select {
		case <-time.After(pause):
		case <-cancelled:
		case <-serving.Done():
			return
		}
	}
}

// attempt is a try of run.
func (b *batches) attempt(ctx context.Context, o *openai.Batch) error {
	err := b.validate(ctx, o)
	if err == nil && b.state(o).Status == openai.BatchFailed {
		return nil
	}
	if err == nil {
		err = b.submit(ctx, o)
	}
	cancelled := errors.Is(context.Cause(ctx), errCancelled)
	if err == nil || cancelled {
		err = b.finish(context.WithoutCancel(ctx), o, cancelled)
	}
	return err
}

// requests returns the lines of a batch's file, counted from 1.
func (b *batches) requests(ctx context.Context, o *openai.Batch) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		f, err := os.Open(b.content(o.Input))
		if err != nil {
			return // as a file without lines, which is a fault of the batch
		}
		defer f.Close()
		s := batch.NewScanner(f)
		n := 0
		for s.Scan() && ctx.Err() == nil {
			n++
			if len(bytes.TrimSpace(s.Bytes())) > 0 && !yield(n, s.Bytes()) {
				return
			}
		}
		if s.Err() != nil {
			yield(n+1, nil) // longer than any line may be
		}
	}
}

// validate looks at each line of a new batch's file.
func (b *batches) validate(ctx context.Context, o *openai.Batch) error {
	if b.state(o).Status != openai.BatchValidating {
		return nil
	}
	var faults []openai.BatchFaultLine
	fault := func(line int, code, format string, args ...any) {
		if len(faults) < maxBatchErrors {
			faults = append(faults, openai.BatchFaultLine{Code: code, Line: &line,
				Message: fmt.Sprintf(format, args...)})
		}
	}
	seen := map[[16]byte]struct{}{}
	for n, line := range b.requests(ctx, o) {
		it, err := batch.ParseLine(line)
		sum := sha256.Sum256([]byte(it.ID))
		_, twice := seen[[16]byte(sum[:16])]
		switch {
		case err != nil:
			fault(n, "invalid_json_line", "%s", strings.TrimPrefix(err.Error(),
				batch.ErrLine.Error()+": "))
		case it.URL != o.Endpoint:
			fault(n, "mismatched_endpoint", "the url is %s; that of the batch is %s", it.URL,
				o.Endpoint)
		case twice:
			fault(n, "duplicate_custom_id", "the custom_id %.80q stands twice", it.ID)
		case len(seen) == maxBatchRequests:
			fault(n, "too_many_requests", "the file has more than %d requests", maxBatchRequests)
		}
		seen[[16]byte(sum[:16])] = struct{}{}
		if len(faults) == maxBatchErrors || len(seen) > maxBatchRequests {
			break
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(seen) == 0 {
		faults = append(faults, openai.BatchFaultLine{Code: "empty_file",
			Message: "the file has no requests"})
	}
	at := now()
	return b.change(o, func() {
		switch {
		case o.Status != openai.BatchValidating: // cancelled meanwhile
		case len(faults) > 0:
			o.Status, o.Failed, o.Errors = openai.BatchFailed, &at, &openai.BatchFault{
				Object: "list", Data: faults}
		default:
			o.Status, o.Begun, o.Counts.Total = openai.BatchRunning, &at, len(seen)
		}
	})
}

// submit has each request get its result.
func (b *batches) submit(ctx context.Context, o *openai.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	q := b.queue
	o.Counts.Completed, o.Counts.Failed = 0, 0
	b.mu.Unlock()
	_, err := q.Submit(ctx, batch.Submission{
		Batch: o.ID, Resolve: b.resolve, Window: 64, Bytes: 256 << 20,
		Items: func(yield func(batch.Item, error) bool) {
			for _, line := range b.requests(ctx, o) {
				it, err := batch.ParseLine(line)
				it.Body = bytes.Clone(it.Body) // the line's memory is used again
				if !yield(it, err) {
					return
				}
			}
		},
		Done: func(ok, _ bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if ok {
				o.Counts.Completed++
			} else {
				o.Counts.Failed++
			}
		},
	})
	return err
}

// finish makes the files of results, of a batch that was cancelled those that are there.
func (b *batches) finish(ctx context.Context, o *openai.Batch, cancelled bool) error {
	begun := now()
	if err := b.change(o, func() {
		if !cancelled {
			o.Status, o.Finalizing = openai.BatchFinalizing, &begun
		}
	}); err != nil {
		return err
	}
	output, err := b.results(ctx, o, "output", true, cancelled)
	if err != nil {
		return err
	}
	reasons, err := b.results(ctx, o, "error", false, cancelled)
	if err != nil {
		return err
	}
	ended := now() // and not begun anew, which clients may be reading
	if err := b.change(o, func() {
		o.Output, o.ErrorFile = output, reasons
		if cancelled {
			o.Status, o.Cancelled = openai.BatchCancelled, &ended
		} else {
			o.Status, o.Completed = openai.BatchCompleted, &ended
		}
	}); err != nil {
		return err
	}
	b.mu.Lock()
	q := b.queue
	b.mu.Unlock()
	drop, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	return q.Drop(drop, o.ID)
}

// results writes the results of a batch that are answers, or those that are not, to a file. It
// returns nil where there are none.
func (b *batches) results(ctx context.Context, o *openai.Batch, kind string, ok,
	cancelled bool) (*string, error) {
	b.mu.Lock()
	q := b.queue
	b.mu.Unlock()
	f := &openai.FileObject{ID: "file-" + strings.TrimPrefix(o.ID, "batch_") + kind, Object: "file",
		Created: now(), Name: o.ID + "_" + kind + ".jsonl", Purpose: "batch_output",
		Status: "processed", Owner: o.Owner}
	f.Keep(o.OutputLife)
	lines := 0
	err := b.write(b.content(f.ID), func(w io.Writer) error {
		counted := &countingWriter{w: w}
		e := json.NewEncoder(counted)
		e.SetEscapeHTML(false)
		// a batch that was cancelled early has no place for results yet
		if _, err := q.Begin(ctx, o.ID); err != nil {
			return err
		}
		ids := func(yield func(string, error) bool) {
			for _, line := range b.requests(ctx, o) {
				if it, err := batch.ParseLine(line); !yield(it.ID, err) {
					return
				}
			}
		}
		for k, err := range batch.Results(ctx, q, o.ID, ids, func(id string) string {
			return id
		}) {
			switch {
			case err != nil:
				return err
			case !k.Found && cancelled:
				continue
			case !k.Found:
				return fmt.Errorf("the result of %.80q is lost", k.Item)
			case k.Result.OK() != ok:
				continue
			}
			lines++
			if err := e.Encode(k.Result); err != nil {
				return err
			}
		}
		f.Bytes = counted.n
		return nil
	})
	if err != nil {
		return nil, err
	}
	if lines == 0 {
		return nil, os.Remove(b.content(f.ID))
	}
	return &f.ID, b.addFile(f)
}

// countingWriter counts bytes.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
