package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
)

const workerLong = `Worker carries out jobs that "eyelet batch --nats" puts into the queue of a site, for as
long as it runs. Any number of workers, on any machines, share the work.

It works for the models of its store and the built-in one, which are known by their
digests. A model that is not here comes from the registry or mirror of --pull, if that has
it with the same digest; else its jobs are left to others, and the log says so.
--model restricts it to some. A job is acknowledged only when its result is stored; one
whose worker ends without a word goes to another worker.

Pictures come through the queue. Where a batch names them by path, they are read from the
folders of --folder alone. Ctrl-C gives jobs in hand back at once.`

const workerExample = `  eyelet worker --nats nats://queue:4222
  eyelet worker --nats tls://queue:4222 --nats-creds site.creds --model llava:7b
  eyelet worker --nats nats://queue:4222 --folder /srv/scans --parallel 8
  eyelet worker --nats nats://queue:4222 --pull registry.site:5000/models`

// workerOptions are the flags of worker.
type workerOptions struct {
	queue   queueOptions
	only    []string
	folders []string
	from    supplier
	name    string
	spec    engine.ModelSpec
	threads int
}

// NewWorkerCommand returns the command "eyelet worker".
func NewWorkerCommand() *cobra.Command {
	var o workerOptions
	cmd := &cobra.Command{
		Use:     "worker --nats URL",
		Short:   "Carry out jobs of batches, from the queue of a site",
		Long:    workerLong,
		Example: workerExample,
		Args:    cli.ExactArgs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runWorker(cmd, &o) },
	}
	f := cli.OrderedFlags(cmd)
	o.queue.bind(f)
	f.StringArrayVarP(&o.only, "model", "m", nil,
		"work for this model alone; may be repeated (default: all that are here)")
	f.StringArrayVar(&o.folders, "folder", nil,
		"folder from which pictures may be read that jobs name by path; may be repeated")
	o.from.bind(f)
	f.StringVar(&o.name, "name", "", "what the worker is called (default: host and process)")
	f.IntVar(&o.spec.Parallel, "parallel", engine.DefaultParallel,
		"jobs that are carried out at a time")
	f.IntVarP(&o.spec.Context, "ctx", "c", 0,
		"context length in tokens (default: what the model's manifest says, or 4096)")
	cli.AddThreadsFlag(f, &o.threads)
	cli.AddPlacementFlags(f, &o.spec)
	_ = cmd.RegisterFlagCompletionFunc("model", cli.CompleteModels)
	return cmd
}

func runWorker(cmd *cobra.Command, o *workerOptions) (err error) {
	if o.queue.url == "" {
		return cli.Usagef("say with --nats where the queue is, as nats://queue:4222")
	}
	if err := cli.CheckRanges(cmd.Flags(), "parallel", "ctx", "threads"); err != nil {
		return err
	}
	if err := errors.Join(o.queue.check(cmd.Flags()), o.from.check()); err != nil {
		return err
	}
	if o.from.where != "" && len(o.only) > 0 {
		return cli.Usagef("--pull and --model cannot be used together: models that are named are here")
	}
	for i, folder := range o.folders {
		if info, err := os.Stat(folder); err != nil {
			return cli.Inputf("--folder %s: %w", folder, cli.Cause(err))
		} else if !info.IsDir() {
			return cli.Inputf("--folder %s is no folder", folder)
		}
		if o.folders[i], err = filepath.Abs(folder); err != nil {
			return err
		}
	}
	say := func(text string) { cli.Say(cmd, "eyelet: %s", text) }
	m, err := openMachine(machineOptions{spec: o.spec, threads: o.threads, log: slog.Default()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	wanted := map[string]bool{}
	for _, name := range o.only {
		model, err := m.server.Resolve(cmd.Context(), name)
		if err != nil {
			return &cli.InputError{Err: err, Remedy: `"eyelet list" shows the models`}
		}
		wanted[model.Digest] = true
	}
	q, err := connectPatiently(cmd.Context(), o.queue, say)
	switch {
	case cmd.Context().Err() != nil: // a service that is told to end has not failed
		return nil
	case err != nil:
		return err
	}
	defer func() { _ = q.Close() }()
	say("working for the queue at " + batch.Redacted(o.queue.url))
	bring := o.from.bring
	if o.from.where == "" {
		bring = nil
	}
	w := batch.NewWorker(q, batch.WorkerOptions{
		Name: o.name, Parallel: o.spec.Parallel, Folders: o.folders, Answer: m.server.Answer,
		Log: say, Bring: bring,
		Models: func(ctx context.Context) ([]batch.Model, error) {
			list, err := m.server.SharedModels(ctx)
			if len(wanted) > 0 {
				list = slices.DeleteFunc(list, func(m batch.Model) bool {
					return !wanted[m.Digest]
				})
			}
			return list, err
		},
	})
	return w.Run(cmd.Context())
}

// connectPatiently connects to the queue of a site. One that is not there yet may come, as when
// machines start together; one that refuses does not.
func connectPatiently(ctx context.Context, o queueOptions, say func(string)) (*batch.Queue, error) {
	connect := o.connect
	connect.Name, connect.Log = "eyelet worker", say
	for told := false; ; told = true {
		q, err := batch.Connect(ctx, o.url, connect)
		if err == nil || !batch.Absent(err) {
			return q, err
		}
		if !told {
			say(fmt.Sprintf("%s; trying again", cli.Describe(err)))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
