package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// batches keeps files and batches in a folder, and runs the batches:
//
//	files/ID       the bytes of a file
//	files/ID.json  what is known of it
//	batches/ID.json
//	queue/         the store of the queue
type batches struct {
	s   *Server
	dir string // "" where the operator keeps none

	pause time.Duration // before what a batch needs is tried again the first time

	mu     sync.Mutex
	ctx    context.Context // of Serve; nil before and after
	opened bool
	files  map[string]*openai.FileObject
	list   map[string]*openai.Batch
	cancel map[string]context.CancelCauseFunc // of batches that run
	queue  *batch.Queue                       // nil before the first batch
	work   sync.WaitGroup
	models map[string]batch.Model // that requests have named
}

func newBatches(s *Server, dir string) *batches {
	return &batches{s: s, dir: dir, pause: firstBatchPause,
		cancel: map[string]context.CancelCauseFunc{}, models: map[string]batch.Model{}}
}

// newID makes an id that nobody guesses.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

func (b *batches) content(id string) string { return filepath.Join(b.dir, "files", id) }

// ready reads what there is in the folder, once.
func (b *batches) ready() (*batches, error) {
	if b.dir == "" {
		return nil, failure.New(http.StatusNotImplemented, failure.KindRequest,
			"this server keeps no files and runs no batches; the operator has turned them off")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opened {
		return b, nil
	}
	files, list := map[string]*openai.FileObject{}, map[string]*openai.Batch{}
	for _, dir := range []string{"files", "batches"} {
		if err := os.MkdirAll(filepath.Join(b.dir, dir), 0o700); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(readAll(filepath.Join(b.dir, "files"), files),
		readAll(filepath.Join(b.dir, "batches"), list)); err != nil {
		return nil, err
	}
	b.files, b.list, b.opened = files, list, true
	b.tidy()
	return b, nil
}

// orphanAge is how old bytes are that belong to no file before they are removed: they may be those
// of an upload to another server with this folder.
const orphanAge = 24 * time.Hour

// tidy removes what a server that was killed left of uploads and results that were not whole.
func (b *batches) tidy() {
	entries, err := os.ReadDir(filepath.Join(b.dir, "files"))
	if err != nil {
		return // which says whoever reads a file
	}
	known := map[string]bool{} // what is known of a file, and the files that something is known of
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			known[e.Name()], known[id] = true, true
		}
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && !known[e.Name()] && time.Since(info.ModTime()) > orphanAge {
			_ = os.Remove(filepath.Join(b.dir, "files", e.Name())) // only takes room
		}
	}
}

// readAll reads the JSON files of a folder, by the ids that they are named after. One that is
// damaged is passed over: it is of a file that was never whole.
func readAll[T any](dir string, to map[string]*T) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || strings.HasPrefix(id, ".") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		v := new(T)
		if json.Unmarshal(data, v) == nil {
			to[id] = v
		}
	}
	return nil
}

// save writes what is known of a file or batch, whole or not at all.
func (b *batches) save(dir, id string, v any) error {
	return b.write(filepath.Join(b.dir, dir, id+".json"), func(w io.Writer) error {
		return json.NewEncoder(w).Encode(v)
	})
}

func (b *batches) write(path string, write func(io.Writer) error) error {
	return atomicfile.Write(path, atomicfile.Options{Perm: 0o600}, write)
}

// receive writes the bytes of a file as they come.
func (b *batches) receive(id string, from io.Reader) (n int64, err error) {
	err = b.write(b.content(id), func(w io.Writer) error {
		n, err = io.Copy(w, from)
		return err
	})
	return n, err
}

func (b *batches) addFile(f *openai.FileObject) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	if len(b.files) >= maxBatchFiles {
		return failure.New(http.StatusInsufficientStorage, failure.KindStorage,
			"there are %d files already; delete some", len(b.files))
	}
	if err := b.save("files", f.ID, f); err != nil {
		return err
	}
	b.files[f.ID] = f
	return nil
}

func (b *batches) file(id, owner string) *openai.FileObject {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	if f := b.files[id]; f != nil && f.Owner == owner {
		return f
	}
	return nil
}

func (b *batches) filesOf(owner string) (list []*openai.FileObject) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	for _, f := range b.files {
		if f.Owner == owner {
			list = append(list, f)
		}
	}
	newestFirst(list)
	return list
}

// reader is the batch that reads a file, nil if none does. The caller holds the lock.
func (b *batches) reader(f *openai.FileObject) *openai.Batch {
	for _, o := range b.list {
		if o.Input == f.ID && !o.Ended() {
			return o
		}
	}
	return nil
}

// removeFile removes a file that no running batch reads.
func (b *batches) removeFile(f *openai.FileObject) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.reader(f); o != nil {
		return failure.New(http.StatusConflict, failure.KindRequest,
			"%s reads the file; cancel it first", o.ID)
	}
	return b.dropFile(f)
}

// dropFile removes a file. The caller holds the lock.
func (b *batches) dropFile(f *openai.FileObject) error {
	// What is known goes first: bytes alone are nobody's.
	if err := os.Remove(filepath.Join(b.dir, "files", f.ID+".json")); err != nil && !errors.Is(err,
		os.ErrNotExist) {
		return err
	}
	delete(b.files, f.ID)
	if err := os.Remove(b.content(f.ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// expire removes the files whose time is over, but for those that a batch reads. The caller holds
// the lock.
func (b *batches) expire() {
	for _, f := range b.files {
		if f.Expires == nil || *f.Expires > now() || b.reader(f) != nil {
			continue
		}
		if err := b.dropFile(f); err != nil {
			b.s.log.Error("a file whose time is over cannot be removed", "file", f.ID, "error", err)
		}
	}
}
