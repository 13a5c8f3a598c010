package batch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/batch"
)

// batchState is what a batch remembers between runs, beside the queue's store.
type batchState struct {
	Format  int    `json:"format"`
	Batch   string `json:"batch"`   // its name in the queue
	Request string `json:"request"` // a hash of what is asked about what
	Items   int    `json:"items"`
	IDs     bool   `json:"ids,omitempty"` // items have ids that are not the names of their pictures
	Ended   bool   `json:"ended"`         // all items have results, some of them failures
}

const batchFormat = 1

// hold keeps the state of the batch from other commands, which would write the same files, until
// release. It makes the folder.
func (r *batchRun) hold() error {
	for {
		if err := os.MkdirAll(r.dir, 0o755); err != nil {
			return cli.Inputf("%s: %w", r.dir, cli.Cause(err))
		}
		lock := flock.New(r.path(lockName))
		ok, err := lock.TryLock()
		switch {
		case errors.Is(err, fs.ErrNotExist): // another command has just removed the folder
			continue
		case err != nil:
			return cli.Inputf("%s: %w", r.path(lockName), cli.Cause(err))
		case !ok:
			return cli.Inputf("%s: another eyelet batch works on it", r.dir)
		}
		mine, errMine := lock.Stat()
		there, errThere := os.Stat(r.path(lockName))
		if errMine == nil && errThere == nil && os.SameFile(mine, there) {
			r.lock = lock
			return nil
		}
		_ = lock.Close() // the file was removed by a command that ended since
	}
}

// lockName is the file by which commands keep others away.
const lockName = "lock"

// release lets other commands work on the batch. Where there is no state of a batch, nothing stays.
func (r *batchRun) release() {
	if _, err := os.Stat(r.path("batch.json")); errors.Is(err, fs.ErrNotExist) {
		// one that comes now makes both anew
		_ = os.Remove(r.path(lockName))
		_ = os.Remove(r.dir) // unless it holds something else
	}
	_ = r.lock.Unlock()
}

// prepare finds the state of an earlier run, or begins a new one.
func (r *batchRun) prepare() error {
	if r.o.force {
		if err := r.discard(); err != nil {
			return err
		}
	}
	request, err := r.fingerprint()
	if err != nil {
		return err
	}
	data, err := cli.ReadLimited(r.path("batch.json"), 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(r.o.output); err == nil && !r.o.force {
			return cli.Inputf("%s is there already; name another file, or replace it with --force",
				r.o.output)
		}
		return r.begin(request)
	case err != nil:
		return cli.Inputf("%s: %w", r.path("batch.json"), cli.Cause(err))
	}
	if json.Unmarshal(data, &r.state) != nil || r.state.Format != batchFormat ||
		batch.CheckBatch(r.state.Batch) != nil {
		return cli.Inputf("%s is no state of a batch that this version knows; begin anew with --force",
			r.dir)
	}
	if r.state.Request != request {
		return cli.Inputf("%s is about other inputs, another question, model or setting; name another -o, or begin anew with --force", r.dir)
	}
	return nil
}

func (r *batchRun) path(name string) string { return filepath.Join(r.dir, name) }

// fingerprint is the same for two commands that ask the same.
func (r *batchRun) fingerprint() (string, error) {
	o := r.o
	var inputs []string
	for _, arg := range append(append([]string{}, r.args...), o.lists...) {
		absolute, err := filepath.Abs(arg)
		if err != nil {
			return "", err
		}
		inputs = append(inputs, absolute)
		if info, err := os.Stat(arg); err == nil && o.openai {
			// its lines are read again
			inputs = append(inputs, fmt.Sprint(info.Size(), info.ModTime().UnixNano()))
		}
	}
	data, err := json.Marshal([]any{inputs, o.prompt, o.system, string(o.schemaJSON), o.model,
		o.projector, o.recursive, o.material.Pages, o.maxTokens, o.temp, o.imageText,
		o.spec.Context, o.queue.url})
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), err
}

// begin lists the items and makes the state of a new batch, whole or not at all.
func (r *batchRun) begin(request string) error {
	w := cli.StartProgress(r.cmd.ErrOrStderr(), "listing what there is", r.o.quiet)
	r.fresh = true
	items, err := r.list(r.path("items.jsonl"))
	w.Done()
	if err != nil {
		return errors.Join(err, r.abandon())
	}
	sum := sha256.Sum256(fmt.Append(nil, request, r.dir, os.Getpid(), r.began.UnixNano()))
	r.state.Format, r.state.Batch = batchFormat, "cli-"+hex.EncodeToString(sum[:8])
	r.state.Request, r.state.Items = request, items
	return r.save()
}

func (r *batchRun) save() error {
	return cli.WriteFile(r.path("batch.json"), 0o666, func(w io.Writer) error {
		return json.NewEncoder(w).Encode(r.state)
	})
}

// discard removes the state of the batch, and what the queue of a site holds of it.
func (r *batchRun) discard() error {
	data, err := cli.ReadLimited(r.path("batch.json"), 1<<20)
	if err == nil && r.o.queue.url != "" {
		var old batchState
		if json.Unmarshal(data, &old) == nil && batch.CheckBatch(old.Batch) == nil {
			q := r.queue
			if q == nil {
				if q, err = r.openQueue(); err != nil {
					return err
				}
				defer func() { _ = q.Close() }()
			}
			if err := q.Drop(r.ctx, old.Batch); err != nil {
				return err
			}
		}
	}
	if r.queue != nil && r.queue.Embedded() {
		_ = r.queue.Close()
	}
	return r.clear()
}

// abandon removes the state of a batch that could not begin, so that the next command is free to
// ask something else.
func (r *batchRun) abandon() error {
	if !r.fresh {
		return nil
	}
	return r.clear()
}

// clear removes the state that lies here. The folder goes when it is released.
func (r *batchRun) clear() error {
	// nothing that somebody else has put there
	for _, name := range []string{"queue", "items.jsonl", "batch.json"} {
		if err := os.RemoveAll(r.path(name)); err != nil {
			return fmt.Errorf("%s: %w", r.path(name), cli.Cause(err))
		}
	}
	left, err := os.ReadDir(r.dir)
	if err == nil && slices.ContainsFunc(left, func(e fs.DirEntry) bool {
		return e.Name() != lockName
	}) {
		r.say("%s stays, for it holds something else too", r.dir)
	}
	return nil
}
