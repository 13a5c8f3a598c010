package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/batch"
)

// batchRun is a batch under way.
type batchRun struct {
	cmd     *cobra.Command
	ctx     context.Context
	o       *batchOptions
	args    []string
	dir     string // of the state
	state   batchState
	machine *localMachine
	queue   *batch.Queue
	lock    *flock.Flock // of dir, against other commands
	began   time.Time
	count   batch.Count
	fresh   bool // no run before this one began it

	firstFault string         // of the items without an answer
	codes      map[string]int // how many have which code

	seen   sync.Mutex
	models []batch.Model // that items have named
}

func runBatch(cmd *cobra.Command, o *batchOptions, args []string) (err error) {
	o.quiet = cli.BoolFlag(cmd, "quiet")
	if err := o.check(cmd, args); err != nil {
		return err
	}
	r := &batchRun{cmd: cmd, ctx: cmd.Context(), o: o, args: args, dir: o.output + ".batch",
		began: time.Now()}
	if o.dryRun {
		return r.dry()
	}
	if err := r.hold(); err != nil {
		return err
	}
	defer r.release()
	if err := r.prepare(); err != nil {
		return err
	}
	if r.machine, err = o.open(cmd); err != nil {
		return errors.Join(err, r.abandon())
	}
	defer func() { err = errors.Join(err, r.machine.close()) }()
	if r.queue, err = r.openQueue(); err != nil {
		return errors.Join(err, r.abandon())
	}
	defer func() { _ = r.queue.Close() }()
	if err := r.work(); err != nil {
		if r.ctx.Err() != nil {
			cli.Say(cmd, "%d of %d are done; the same command goes on from there.",
				r.count.OK+r.count.Failed, r.state.Items)
		}
		return err
	}
	return r.finish()
}

// list counts the items, and writes them to a file where they are not lines of OpenAI's format,
// which are checked.
func (r *batchRun) list(path string) (int, error) {
	if r.o.openai {
		return countRequests(r.ctx, r.args[0])
	}
	l := &batchLists{cmd: r.cmd, o: r.o, names: nameSet{}}
	defer func() { r.state.IDs = l.ids }()
	err := cli.WriteFile(path, 0o666, func(w io.Writer) error {
		l.w = cli.NewEncoder(w)
		for _, arg := range r.args {
			if err := l.input(arg, len(r.args)+len(r.o.lists) > 1); err != nil {
				return err
			}
		}
		for _, name := range r.o.lists {
			if err := l.list(name); err != nil {
				return err
			}
		}
		if l.entries == 0 {
			return cli.Inputf("%s: there is nothing to ask about in it",
				strings.Join(slices.Concat(r.args, r.o.lists), ", "))
		}
		return nil
	})
	return l.entries, unwrapInput(err)
}

// unwrapInput is the fault of an input without the file that was being written meanwhile.
func unwrapInput(err error) error {
	if in, ok := errors.AsType[*cli.InputError](err); ok {
		return in
	}
	if use, ok := errors.AsType[*cli.UsageError](err); ok {
		return use
	}
	return err
}

// items are the requests of the batch.
func (r *batchRun) items() iter.Seq2[batch.Item, error] {
	if r.o.openai {
		return func(yield func(batch.Item, error) bool) {
			for it, err := range requestsOf(r.ctx, r.args[0]) {
				if r.o.model != "" {
					it.Model = r.o.model
				}
				if !yield(it, err) {
					return
				}
			}
		}
	}
	return func(yield func(batch.Item, error) bool) {
		for e, err := range entriesOf(r.ctx, r.path("items.jsonl")) {
			var it batch.Item
			if err == nil {
				it, err = r.o.item(e)
			}
			if !yield(it, err) {
				return
			}
		}
	}
}

func (r *batchRun) openQueue() (*batch.Queue, error) {
	if r.o.queue.url == "" {
		q, err := batch.Embed(r.path("queue"), batch.EmbedOptions{Sync: r.o.sync,
			AckWait: r.o.queue.connect.AckWait, Log: func(text string) { r.say("%s", text) }})
		if errors.Is(err, batch.ErrInUse) {
			return nil, cli.Inputf("%s: another eyelet batch works on it", r.dir)
		}
		return q, err
	}
	connect := r.o.queue.connect
	connect.Name = "eyelet batch"
	connect.Log = func(text string) { r.say("%s", text) }
	return batch.Connect(r.ctx, r.o.queue.url, connect)
}

// say tells a person something, unless that is to be quiet.
func (r *batchRun) say(format string, args ...any) { cli.Say(r.cmd, "eyelet: "+format, args...) }

// waitReport is how often a person is told what the batch waits for.
const waitReport = 30 * time.Second

// work has each item get its result.
func (r *batchRun) work() error {
	if r.state.Ended {
		if err := r.askAgain(); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancelCause(r.ctx)
	defer stop(nil)
	var worker sync.WaitGroup
	defer worker.Wait()
	defer stop(nil)
	if r.queue.Embedded() {
		if !r.fresh {
			if err := r.resolveAll(); err != nil {
				return err
			}
		}
		w := batch.NewWorker(r.queue, batch.WorkerOptions{
			Parallel: r.o.spec.Parallel, Folders: []string{"/"}, Answer: r.machine.server.Answer,
			Models: r.ownModels, Log: func(text string) { r.say("%s", text) },
		})
		worker.Go(func() {
			if err := w.Run(ctx); err != nil {
				stop(err)
			}
		})
	}
	p := cli.NewItemProgress(r.cmd.ErrOrStderr(), "items", r.state.Items, r.o.quiet)
	defer p.End()
	reported := time.Time{}
	count, err := r.queue.Submit(ctx, batch.Submission{
		Batch: r.state.Batch, Items: r.items(), Resolve: r.resolve, ByPath: r.queue.Embedded() ||
			r.o.byPath, Tries: r.o.tries,
		Window: r.window(),
		Done: func(ok, known bool) {
			if ok { // for what is said after Ctrl-C
				r.count.OK++
			} else {
				r.count.Failed++
			}
			p.Done(ok, known)
		},
		Wait: func(err error) {
			if time.Since(reported) > waitReport {
				reported = time.Now()
				r.say("%s; waiting", cli.Describe(err))
			}
		},
	})
	r.count = count
	if cause := context.Cause(ctx); err != nil && r.ctx.Err() == nil && cause != nil {
		return cause
	}
	if err == nil && count.Items != r.state.Items {
		return damaged(r.path("items.jsonl"))
	}
	return err
}

// siteWindow is how many items of a batch wait in the queue of a site or are in the hands of its
// workers: a worker whose answers are quick takes some dozens.
const siteWindow = 1024

// window is how many items are under way at a time.
func (r *batchRun) window() int {
	if !r.queue.Embedded() {
		return siteWindow
	}
	return max(128, 8*r.o.spec.Parallel)
}

// finish writes output and failures, and removes what is no longer needed.
func (r *batchRun) finish() error {
	w := cli.StartProgress(r.cmd.ErrOrStderr(), "writing "+cli.Printable(r.o.output), r.o.quiet)
	failures := r.failuresPath()
	err := r.write(failures)
	w.Done()
	if err != nil {
		return err
	}
	if r.count.Failed == 0 {
		if err := r.discard(); err != nil {
			return err
		}
	} else {
		r.state.Ended = true
		if err := r.save(); err != nil {
			return err
		}
	}
	return r.sum(failures)
}

// failuresPath is where what has no answer stands with its reason.
func (r *batchRun) failuresPath() string {
	return r.o.output + ".failures.jsonl" // the whole name, since b.csv and b.jsonl are two batches
}

// sum says what became of the batch.
func (r *batchRun) sum(failures string) error {
	seconds := time.Since(r.began).Seconds()
	if r.o.json {
		summary := map[string]any{"items": r.count.Items, "answered": r.count.OK,
			"failed": r.count.Failed, "known": r.count.Known, "seconds": seconds,
			"output": r.o.output}
		if r.count.Failed > 0 {
			summary["failures"] = failures
		}
		if err := cli.WriteJSON(r.cmd.OutOrStdout(), summary); err != nil {
			return err
		}
	} else if r.count.Failed == 0 {
		fresh, added := r.count.Items-r.count.Known, ""
		if r.count.Known > 0 {
			added = fmt.Sprintf(", %d of them new", fresh)
		}
		cli.Say(r.cmd, "%s: %s%s in %s, %.3g a second", r.o.output,
			cli.Plural(r.count.OK, "answer"), added,
			time.Since(r.began).Round(time.Millisecond), float64(fresh)/seconds)
	}
	if r.count.Failed > 0 {
		where := failures + " says why"
		if r.count.OK > 0 {
			where += ", " + r.o.output + " has the others"
		}
		err := fmt.Errorf("%d of %d could not be answered (the first: %s); %s", r.count.Failed,
			r.count.Items, r.firstFault, where)
		return &cli.CommonError{Code: cli.CommonCode(r.exitCodes()), Err: &cli.InputError{Err: err,
			Remedy: "the same command asks about them again"}}
	}
	return nil
}

// exitCodes are those of what is wrong with the items that failed, as "eyelet run" would end with
// each.
func (r *batchRun) exitCodes() (codes []int) {
	for code := range r.codes {
		codes = append(codes, cli.ItemExitCode(code))
	}
	return codes
}
