package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/adrg/xdg"
	"github.com/gofrs/flock"
)

// Options are the options of Open. The zero value opens the user's store and sees the user's Ollama
// store.
type Options struct {
	// Root is the store's folder; "" means [DefaultRoot]. It need not exist.
	Root string
	// Ollama is the folder of Ollama's models; "" means OLLAMA_MODELS, or where Ollama keeps them
	// by default.
	Ollama string
	// NoOllama leaves Ollama's models out.
	NoOllama bool
}

// Store is a folder of models. Its methods may be called from several goroutines, and several
// processes may use one folder.
type Store struct {
	root   string
	ollama []string // folders of Ollama's models, which are only read
}

// Open names a store. Nothing is created before something is added. Ollama's folder is no store of
// ours: ErrForeign.
func Open(o Options) (*Store, error) {
	s := &Store{root: o.Root}
	if s.root == "" {
		var err error
		if s.root, err = DefaultRoot(); err != nil {
			return nil, err
		}
	}
	var err error
	if s.root, err = filepath.Abs(s.root); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	ollama := ollamaRoots(o.Ollama)
	if err := refuseOllama(s.root, ollama); err != nil {
		return nil, err
	}
	if !o.NoOllama {
		s.ollama = ollama
	}
	return s, nil
}

// DefaultRoot returns the folder that EYELET_MODELS names, or else eyelet/models in the user's data
// directory (XDG_DATA_HOME).
func DefaultRoot() (string, error) {
	if dir := os.Getenv("EYELET_MODELS"); dir != "" {
		return filepath.Abs(dir)
	}
	if !filepath.IsAbs(xdg.DataHome) {
		return "", errors.New(
			"store: there is no home directory to keep models in; set EYELET_MODELS to a folder")
	}
	return filepath.Join(xdg.DataHome, "eyelet", "models"), nil
}

// Root returns the store's folder.
func (s *Store) Root() string { return s.root }

func (s *Store) dir(name string) string   { return filepath.Join(s.root, name) }
func (s *Store) blobPath(d Digest) string { return filepath.Join(s.root, "blobs", d.FileName()) }
func (s *Store) partialPath(d Digest) string {
	return filepath.Join(s.root, "partial", d.FileName())
}
func (s *Store) manifestPath(n Name) string {
	return filepath.Join(s.root, "manifests", n.FileName())
}
func (s *Store) newLock() *flock.Flock {
	return flock.New(s.dir("lock"), flock.SetPermissions(0o666))
}
func (s *Store) partLock(d Digest) *flock.Flock {
	return flock.New(s.partialPath(d)+".lock", flock.SetPermissions(0o666))
}

// prepare makes the folders of the store.
func (s *Store) prepare() error {
	for _, name := range []string{"blobs", "manifests", "partial"} {
		if err := os.MkdirAll(s.dir(name), 0o777); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}

// lockPause is the time between two attempts at a lock that another process holds.
const lockPause = 50 * time.Millisecond

// exclusive takes the lock of those who remove, or returns ErrBusy.
func (s *Store) exclusive() (*flock.Flock, error) {
	l := s.newLock()
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("store: locking %s: %w", s.root, err)
	}
	if !ok {
		return nil, fmt.Errorf("store: %s: %w: another process is adding or removing models",
			s.root, ErrBusy)
	}
	return l, nil
}

// Session adds models. While it is open, no blob is removed from the store, by whatever process.
type Session struct {
	s     *Store
	lock  *flock.Flock
	added []Digest // blobs that this session brought
	tried []Digest // blobs of which this session may have left parts
}

// Begin opens a session, after waiting for a garbage collection that is under way. The caller must
// call Close or Discard.
func (s *Store) Begin(ctx context.Context) (*Session, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	s.removeLeftovers()
	l := s.newLock()
	if _, err := l.TryRLockContext(ctx, lockPause); err != nil {
		return nil, fmt.Errorf("store: locking %s: %w", s.root, err)
	}
	return &Session{s: s, lock: l}, nil
}

// removeLeftovers removes the temporary files of sessions that were killed, if no session is open:
// each of them is named anew and nobody goes on from it. The beginnings of blobs of known digest
// stay. Nothing depends on it, so errors are passed over; GC tells them.
func (s *Store) removeLeftovers() {
	left, _ := filepath.Glob(filepath.Join(s.dir("partial"), "*.tmp"))
	if len(left) == 0 {
		return
	}
	l, err := s.exclusive()
	if err != nil {
		return
	}
	defer l.Close()
	for _, path := range left {
		_ = os.RemoveAll(path)
	}
}

// Close ends the session. What it added stays, whether a manifest refers to it or not: an
// interrupted import goes on from it.
func (t *Session) Close() error {
	if err := t.lock.Close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Discard ends the session and removes the blobs that it brought, unless a manifest refers to them.
// If other processes use the store, they stay for [Store.GC].
func (t *Session) Discard() error {
	for _, d := range t.tried {
		t.s.removePartial(d)
	}
	if err := t.Close(); err != nil || len(t.added)+len(t.tried) == 0 {
		return err
	}
	l, err := t.s.exclusive()
	if errors.Is(err, ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.Close()
	for _, d := range t.tried {
		// nobody holds it: that would take the store's lock
		_ = os.Remove(t.s.partialPath(d) + ".lock")
	}
	_, err = t.s.collect(t.added)
	return err
}

// Has reports whether the store holds the blob that d refers to, in its full size.
func (t *Session) Has(d Descriptor) bool {
	return d.Digest.valid() && t.s.hasBlob(d.Digest, d.Size)
}

// Room returns an error that wraps ErrSpace if the store's file system has not the space for those
// of the blobs that are not there. What came of one in an attempt before needs none. Where the
// system does not tell, there is room.
func (t *Session) Room(blobs []Descriptor) error {
	var need int64
	for _, d := range blobs {
		if t.Has(d) {
			continue
		}
		left := d.Size
		if info, err := os.Lstat(t.s.partialPath(d.Digest)); err == nil && info.Size() <= d.Size {
			left -= info.Size()
		}
		if left < 0 || left > maxTotalBytes-need {
			return fmt.Errorf("store: %w: more than %d bytes are needed in %s", ErrSpace,
				int64(maxTotalBytes), t.s.root)
		}
		need += left
	}
	if free, known := freeSpace(t.s.root); known && need > free {
		return fmt.Errorf("store: %w: %d bytes are needed in %s, %d are free", ErrSpace, need,
			t.s.root, free)
	}
	return nil
}

// entries lists a folder of the store, which has nothing in it before it is there.
func (s *Store) entries(folder string) ([]os.DirEntry, error) {
	list, err := os.ReadDir(s.dir(folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	return list, nil
}

// tempName returns an unused path for a file that is being written.
func (s *Store) tempName() string {
	return filepath.Join(s.root, "partial", fmt.Sprintf("%016x.tmp", rand.Uint64()))
}
