package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// Problem is a fault of the store.
type Problem struct {
	Path  string
	Err   error
	Names []Name // that cannot be used because of it
	// what Repair does about it, or did; "" for what only cannot be read, which is left alone
	Repair string
}

// Report is the result of a check.
type Report struct {
	Models, Blobs int
	Bytes         int64 // of blobs
	Unused        int64 // bytes of blobs and parts that no name needs; no fault: GC removes them
	Problems      []Problem
}

// CheckOptions are the options of Check and Repair.
type CheckOptions struct {
	Quick    bool          // compare sizes, do not read blobs
	Progress func(n int64) // is told of bytes as they are read; may be nil
}

// Check looks at every manifest and reads every blob. The store is whole if the report has no
// problems. Files that nothing refers to are none, nor are the beginnings of transfers. The error
// is for what kept it from looking.
func (s *Store) Check(ctx context.Context, o CheckOptions) (*Report, error) {
	// The lock keeps names from being taken away while their blobs are looked for. A store that
	// cannot be written needs none.
	if l := s.newLock(); s.exists() {
		if _, err := l.TryRLockContext(ctx, lockPause); err == nil {
			defer l.Close()
		} else if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return s.check(ctx, o)
}

func (s *Store) exists() bool {
	_, err := os.Stat(s.dir("blobs"))
	return err == nil
}

// Repair removes damaged blobs, and names that cannot be used without them. What it did is in the
// report: problems with a Repair are solved. A file that cannot be read may be whole, and one that
// is named like no blob may be anybody's: both stay. It needs the store for itself: ErrBusy.
func (s *Store) Repair(ctx context.Context, o CheckOptions) (*Report, error) {
	if !s.exists() {
		return s.check(ctx, o)
	}
	l, err := s.exclusive()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	r, err := s.check(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, p := range r.Problems {
		if p.Repair == "" {
			continue
		}
		if err := os.RemoveAll(p.Path); err != nil {
			return r, fmt.Errorf("store: %w", err)
		}
		for _, n := range p.Names {
			if err := os.Remove(s.manifestPath(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return r, fmt.Errorf("store: %w", err)
			}
		}
	}
	if err := errors.Join(atomicfile.SyncFolder(s.dir("manifests")),
		atomicfile.SyncFolder(s.dir("blobs"))); err != nil {
		return r, fmt.Errorf("store: %w", err)
	}
	return r, nil
}

// use is what a manifest says of a blob.
type use struct {
	name Name
	size int64
}

func (s *Store) check(ctx context.Context, o CheckOptions) (*Report, error) {
	r := &Report{}
	models, err := s.own()
	if err != nil {
		return nil, err
	}
	users := map[Digest][]use{}
	for _, m := range models {
		r.Models++
		if m.Err != nil {
			p := Problem{Path: s.manifestPath(m.Name), Err: m.Err, Names: []Name{m.Name}}
			if errors.Is(m.Err, ErrManifest) {
				p.Repair = "remove the name"
			}
			r.Problems = append(r.Problems, p)
			continue
		}
		for _, d := range m.Manifest.Blobs() {
			users[d.Digest] = append(users[d.Digest], use{m.Name, d.Size})
		}
	}
	if err := s.checkBlobs(ctx, o, r, users); err != nil {
		return nil, err
	}
	for d, uses := range users { // what checkBlobs has not found
		path := s.blobPath(d)
		r.Problems = append(r.Problems, Problem{Path: path, Err: fmt.Errorf("store: %w: %s",
			ErrMissing, path), Names: namesOf(uses), Repair: "remove the names that need it"})
	}
	return r, s.countParts(r)
}

func namesOf(uses []use) (names []Name) {
	for _, u := range uses {
		names = append(names, u.name)
	}
	return names
}

// checkBlobs looks at each blob, and takes those that are there out of users. Files that are named
// like no blob are somebody else's and passed over.
func (s *Store) checkBlobs(ctx context.Context, o CheckOptions, r *Report,
	users map[Digest][]use) error {
	entries, err := s.entries("blobs")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d, err := ParseDigest(e.Name())
		if err != nil {
			continue
		}
		uses := users[d]
		delete(users, d)
		path := s.blobPath(d)
		n, err := checkBlob(ctx, path, d, uses, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // an unused one, removed since
		}
		if err != nil {
			p := Problem{Path: path, Err: err, Names: namesOf(uses)}
			if errors.Is(err, ErrDigest) {
				p.Repair = "remove it and the names that need it"
			}
			r.Problems = append(r.Problems, p)
			continue
		}
		r.Blobs, r.Bytes = r.Blobs+1, r.Bytes+n
		if len(uses) == 0 {
			r.Unused += n
		}
		for _, u := range uses {
			if u.size != n {
				path := s.manifestPath(u.name)
				err := fmt.Errorf("store: %w: %s says that %s has %d bytes, it has %d", ErrManifest,
					path, d.Short(), u.size, n)
				r.Problems = append(r.Problems, Problem{Path: path, Err: err, Names: []Name{u.name},
					Repair: "remove the name"})
			}
		}
	}
	return nil
}

// checkBlob holds one file to its name. What it wraps in ErrDigest is damage; other errors say that
// the file could not be looked at. With Quick, a file is read only where manifests give it another
// size, to see who is right.
func checkBlob(ctx context.Context, path string, d Digest, uses []use,
	o CheckOptions) (int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("store: %w: %s is no regular file", ErrDigest, path)
	}
	if o.Quick && !slices.ContainsFunc(uses, func(u use) bool { return u.size != info.Size() }) {
		return info.Size(), nil
	}
	got, err := HashFile(ctx, path, o.Progress)
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	if got != d {
		return 0, fmt.Errorf("store: %w: %s has the digest %s", ErrDigest, path, got)
	}
	return info.Size(), nil
}

// countParts adds what interrupted writers left to the unused bytes.
func (s *Store) countParts(r *Report) error {
	entries, err := s.entries("partial")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			r.Unused += info.Size()
		}
	}
	return nil
}
