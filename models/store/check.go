package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Problem is a fault of the store.
type Problem struct {
	Path   string
	Err    error
	Names  []Name // that cannot be used because of it
	Repair string // what Repair does about it, or did
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

// Check looks at every manifest and reads every blob. The store is whole if the report has no problems. Files that nothing refers to are
// none, nor are the beginnings of transfers. The error is for what kept it from looking.
func (s *Store) Check(ctx context.Context, o CheckOptions) (*Report, error) {
	// The lock keeps names from being taken away while their blobs are looked for. A store that cannot be written needs none.
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

// Repair removes damaged blobs, and names that cannot be used without them. What it did is in the report, whose problems are solved. It needs
// the store for itself: ErrBusy.
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
		if err := os.RemoveAll(p.Path); err != nil {
			return r, fmt.Errorf("store: %w", err)
		}
		for _, n := range p.Names {
			if err := os.Remove(s.manifestPath(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return r, fmt.Errorf("store: %w", err)
			}
		}
	}
	if err := errors.Join(syncDir(s.dir("manifests")), syncDir(s.dir("blobs"))); err != nil {
		return r, fmt.Errorf("store: %w", err)
	}
	return r, nil
}

func (s *Store) check(ctx context.Context, o CheckOptions) (*Report, error) {
	r := &Report{}
	models, err := s.own()
	if err != nil {
		return nil, err
	}
	sizes, users := map[Digest]int64{}, map[Digest][]Name{}
	for _, m := range models {
		r.Models++
		if m.Err != nil {
			r.Problems = append(r.Problems, Problem{Path: s.manifestPath(m.Name), Err: m.Err, Names: []Name{m.Name}, Repair: "remove the name"})
			continue
		}
		for _, d := range m.Manifest.Blobs() {
			sizes[d.Digest] = d.Size
			users[d.Digest] = append(users[d.Digest], m.Name)
		}
	}
	if err := s.checkBlobs(ctx, o, r, sizes, users); err != nil {
		return nil, err
	}
	for d, names := range users { // what checkBlobs has not found
		path := s.blobPath(d)
		r.Problems = append(r.Problems, Problem{Path: path, Err: fmt.Errorf("store: %w: %s", ErrMissing, path), Names: names, Repair: "remove the names that need it"})
	}
	return r, s.countParts(r)
}

// checkBlobs looks at each file of blobs/, and takes those that are there out of users.
func (s *Store) checkBlobs(ctx context.Context, o CheckOptions, r *Report, sizes map[Digest]int64, users map[Digest][]Name) error {
	entries, err := os.ReadDir(s.dir("blobs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: %w", err)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		path := filepath.Join(s.dir("blobs"), e.Name())
		d, err := ParseDigest(e.Name())
		if err != nil {
			r.Problems = append(r.Problems, Problem{Path: path, Err: fmt.Errorf("store: %s is named like no blob", path), Repair: "remove it"})
			continue
		}
		names := users[d]
		delete(users, d)
		size, used := sizes[d]
		if !used {
			size = -1
		}
		n, err := checkBlob(ctx, path, d, size, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // an unused one, removed since
		}
		if err != nil {
			r.Problems = append(r.Problems, Problem{Path: path, Err: err, Names: names, Repair: "remove it and the names that need it"})
			continue
		}
		r.Blobs, r.Bytes = r.Blobs+1, r.Bytes+n
		if !used {
			r.Unused += n
		}
	}
	return nil
}

// checkBlob holds one file to its name, and to the size that manifests tell, if that is not negative.
func checkBlob(ctx context.Context, path string, d Digest, size int64, o CheckOptions) (int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("store: %s is no regular file", path)
	}
	if size >= 0 && info.Size() != size {
		return 0, fmt.Errorf("store: %w: %s has %d bytes, manifests say %d", ErrDigest, path, info.Size(), size)
	}
	if o.Quick {
		return info.Size(), nil
	}
	got, err := hashFile(ctx, path, o.Progress)
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
	entries, err := os.ReadDir(s.dir("partial"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			r.Unused += info.Size()
		}
	}
	return nil
}
