package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
	"github.com/gofrs/flock"
)

// Options say how a folder is used.
type Options struct {
	// Model is the identity of the model whose snapshots are read and written; see [Snapshot].
	// Files of other models in the folder are never given out, but they count against the limit,
	// and those without a name are evicted in their turn.
	Model string
	// Bytes is the limit on the size of all files together; 0 means DefaultBytes. Folders that are
	// over it at Open lose entries.
	Bytes int64
	// WholeOnly says that the model's cells cannot be cut at the end, as with recurrent models and
	// sliding windows: a snapshot then serves only prompts that begin with all of its items.
	WholeOnly bool
	// Logger is told of files that are left alone or removed; nil means slog.Default().
	Logger *slog.Logger
}

// DefaultBytes is the limit where Options name none.
const DefaultBytes = 8 << 30

// Entry is a file of a store.
type Entry struct {
	Name  string // of the session, or empty
	Items int
	Bytes int64 // size of the file
	Saved time.Time

	file string
	sum  uint32
}

// Stats are the counters of a store since Open, and what it holds.
type Stats struct {
	Entries  int   // files, sessions among them
	Sessions int   // files with a name
	Bytes    int64 // size of all files
	Limit    int64
	ReadOnly bool // another process writes to the folder

	Puts    int64 // snapshots written
	Failed  int64 // snapshots that could not be written
	Covered int64 // snapshots that need not be written, because a file has all they have
	Loads   int64 // snapshots read
	Evicted int64 // files removed for room
	Damaged int64 // files found damaged
}

// Store is a folder of snapshots. Its methods may be called by several goroutines at once; none
// reads or writes a file while another waits to look something up.
type Store struct {
	dir   string
	opt   Options
	log   *slog.Logger
	mu    sync.Mutex
	lock  *flock.Flock // nil if another process has it
	files map[string]*record
	index index // of the records of opt.Model
	clock uint64
	// pending is the size of what is being written.
	pending int64
	stats   Stats
	closed  bool
}

// Put saves a snapshot, whole or not at all; it must not change meanwhile. A snapshot with a name
// replaces the session of that name. One without is not written if a file serves all of its items
// already. Entries of the cache all of whose items the new file serves are removed, and the least
// recently used others where the limit demands it. If the sessions leave no room, the error is
// [ErrNoRoom], and nothing is evicted.
func (s *Store) Put(snap *Snapshot) error {
	if err := s.put(snap); err != nil {
		err = fmt.Errorf("disk: save %s: %w", title(snap.Name), err)
		s.failed(err, snap.Name)
		return err
	}
	return nil
}

// failed counts a snapshot that could not be written, and logs the first one: a full disk would
// fill the log as well. Of a session, who asked for it is told, and the log is not.
func (s *Store) failed(err error, session string) {
	s.mu.Lock()
	s.stats.Failed++
	first := s.stats.Failed == 1 && session == ""
	s.mu.Unlock()
	if first && !errors.Is(err, ErrReadOnly) && !errors.Is(err, os.ErrClosed) {
		s.log.Warn("A conversation could not be saved; others that fail are only counted", "error",
			err)
	}
}

func title(name string) string {
	if name == "" {
		return "a sequence"
	}
	return fmt.Sprintf("session %q", name)
}

func (s *Store) put(snap *Snapshot) error {
	if err := snap.check(); err != nil {
		return err
	}
	if snap.Model != s.opt.Model {
		return ErrModel
	}
	saved := snap.Saved
	if saved.IsZero() {
		saved = time.Now()
	}
	head, size := encodeHead(snap, saved)
	r := &record{file: fileOf(snap), model: snap.Model, name: snap.Name,
		saved: time.Unix(0, saved.UnixNano()), bytes: size}
	trash, covered, err := s.reserve(r, snap)
	s.sweep(trash)
	if err != nil || covered {
		return err
	}
	r.sum = sealHead(head, sumBody(snap))
	tmp, err := writeTemp(s.path(r.file), head, snap)
	trash, err = s.commit(r, tmp, err)
	s.sweep(trash)
	if err == nil {
		// the file is in place: a folder that cannot be synced only makes that less durable
		_ = atomicfile.SyncFolder(s.dir)
	}
	return err
}

// reserve numbers the pictures of r and makes room for it, unless a file covers it.
func (s *Store) reserve(r *record, snap *Snapshot) (trash []string, covered bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return nil, false, err
	}
	r.prompt = s.index.prompt(&snap.Prompt, snap.key, true)
	r.prompt.pos, r.prompt.whole = slices.Clone(r.prompt.pos), slices.Clone(r.prompt.whole)
	if r.name == "" {
		if other, n := s.index.longest(&r.prompt, s.opt.WholeOnly); n == len(r.items) {
			s.touch(other)
			s.stats.Covered++
			return nil, true, nil
		}
	}
	if old := s.files[r.file]; old != nil && old.model != r.model {
		return nil, false, ErrModel
	}
	trash, err = s.makeRoom(r.bytes, s.replacedBy(r))
	if err == nil {
		s.pending += r.bytes
	}
	return trash, false, err
}

// commit gives the file its name, unless writing it failed, and takes it up in place of what it
// replaces.
func (s *Store) commit(r *record, tmp string, failed error) (trash []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending -= r.bytes
	if failed != nil {
		return nil, failed
	}
	if s.closed {
		return []string{tmp}, os.ErrClosed
	}
	if err := os.Rename(tmp, s.path(r.file)); err != nil {
		return []string{tmp}, err
	}
	for _, old := range s.replacedBy(r) {
		if old.file == r.file {
			s.forget(old)
		} else {
			trash = append(trash, s.discard(old)...)
		}
	}
	s.adopt(r)
	s.touch(r)
	s.stats.Puts++
	return append(trash, s.shrink()...), nil // another Put may have counted on the same room
}

// Longest returns the file that serves the longest prefix of p, and how many items of it; 0 if no
// file serves any. It is for the goroutine that owns pictures, and reads no file. Of several such
// files it returns the smallest.
//
// The prefix ends where both p and the sequence in the file may be cut, and all of its items stand
// at the positions that p gives them.
func (s *Store) Longest(p *kv.Prompt, pictures *kv.Pictures) (Entry, int) {
	if len(p.Pos) != len(p.Items) {
		return Entry{}, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.index.prompt(p, pictures.Key, false)
	r, n := s.index.longest(&q, s.opt.WholeOnly)
	if n == 0 {
		return Entry{}, 0
	}
	return r.entry(), n
}

// Load reads the snapshot of an entry, which then is the one used most recently. If the file was
// evicted or replaced since the entry was returned, the error is [fs.ErrNotExist]; if it is
// damaged, [ErrDamaged], and it is removed.
func (s *Store) Load(e Entry) (*Snapshot, error) {
	r, err := s.begin(e)
	var snap *Snapshot
	if err == nil {
		if snap, err = s.read(r); err != nil {
			s.refuse(r, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("disk: load %s: %w", title(e.Name), err)
	}
	return snap, nil
}

// begin returns the record of an entry, which is about to be read.
func (s *Store) begin(e Entry) (*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, os.ErrClosed
	}
	r := s.files[e.file]
	if r == nil || r.sum != e.sum {
		return nil, fs.ErrNotExist
	}
	s.touch(r)
	s.stats.Loads++
	return r, nil
}

// read reads the file of a record.
func (s *Store) read(r *record) (*Snapshot, error) {
	f, size, err := open(s.path(r.file))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	snap, h, err := readSnapshot(f, size, s.opt.Model)
	if err != nil {
		return nil, err
	}
	if h.sum != r.sum { // another process wrote it, or this one meanwhile
		return nil, fs.ErrNotExist
	}
	return snap, nil
}

// refuse takes a record out whose file could not be read, if it is still there.
func (s *Store) refuse(r *record, err error) {
	s.mu.Lock()
	var trash []string
	if s.files[r.file] == r {
		switch {
		case errors.Is(err, ErrDamaged):
			s.stats.Damaged++
			s.log.Warn("A saved sequence is damaged", "file", s.path(r.file), "error", err)
			trash = s.discard(r)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrForeign), errors.Is(err, ErrModel):
			s.forget(r)
		}
	}
	s.mu.Unlock()
	s.sweep(trash)
}

// Names returns the names of all sessions in the folder, in order, those of other models too.
func (s *Store) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, r := range s.files {
		if r.name != "" {
			names = append(names, r.name)
		}
	}
	slices.Sort(names)
	return names
}

// Get returns the entry of a session: [fs.ErrNotExist] if there is none of that name, [ErrModel] if
// another model made it.
func (s *Store) Get(name string) (Entry, error) {
	r, err := s.session(name)
	if err == nil && r.model != s.opt.Model {
		err = ErrModel
	}
	if err != nil {
		return Entry{}, fmt.Errorf("disk: session %q: %w", name, err)
	}
	return r.entry(), nil
}

func (s *Store) session(name string) (*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "" {
		if r := s.files[fileOf(&Snapshot{Name: name})]; r != nil {
			return r, nil
		}
	}
	return nil, fs.ErrNotExist
}

// Remove removes a session, of whichever model. If there is none of that name, the error is
// [fs.ErrNotExist].
func (s *Store) Remove(name string) error {
	r, err := s.session(name)
	if err == nil {
		err = s.remove(r)
	}
	if err != nil {
		return fmt.Errorf("disk: remove session %q: %w", name, err)
	}
	return nil
}

func (s *Store) remove(r *record) error {
	s.mu.Lock()
	if err := s.writable(); err != nil {
		s.mu.Unlock()
		return err
	}
	if s.files[r.file] != r {
		s.mu.Unlock()
		return fs.ErrNotExist
	}
	trash := s.discard(r)
	s.mu.Unlock()
	s.sweep(trash)
	return nil
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Entries, st.Limit, st.ReadOnly = len(s.files), s.opt.Bytes, s.lock == nil
	for _, r := range s.files {
		if r.name != "" {
			st.Sessions++
		}
	}
	return st
}

// Close gives the folder back. A Put that is under way then fails, and leaves nothing. A second
// call does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

func (s *Store) path(file string) string { return filepath.Join(s.dir, file) }

func (r *record) entry() Entry {
	return Entry{Name: r.name, Items: len(r.items), Bytes: r.bytes, Saved: r.saved, file: r.file,
		sum: r.sum}
}

// key is Pictures.Key for the pictures of a snapshot.
func (s *Snapshot) key(n uint32) (kv.Key, bool) {
	if n == 0 || int64(n) > int64(len(s.Keys)) {
		return kv.Key{}, false
	}
	return s.Keys[n-1], true
}
