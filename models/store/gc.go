package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// DefaultGrace is the age under which [Store.GC] spares what no manifest refers to: it may be the
// beginning of an import that somebody will go on with.
const DefaultGrace = time.Hour

// GC removes files that no manifest refers to and that are older than grace: blobs, parts of
// interrupted transfers, temporary files. While models are being added it returns ErrBusy. A
// manifest that cannot be read might refer to anything: then nothing is removed.
func (s *Store) GC(grace time.Duration) (Removed, error) {
	if _, err := os.Stat(s.root); errors.Is(err, fs.ErrNotExist) {
		return Removed{}, nil
	}
	l, err := s.exclusive()
	if err != nil {
		return Removed{}, err
	}
	defer l.Close()
	var candidates []Digest
	entries, err := s.entries("blobs")
	if err != nil {
		return Removed{}, err
	}
	before := time.Now().Add(-grace)
	for _, e := range entries {
		if d, err := ParseDigest(e.Name()); err == nil && olderThan(e, before) {
			candidates = append(candidates, d)
		}
	}
	removed, err := s.collect(candidates)
	if err != nil {
		return removed, err
	}
	return removed, s.sweep(before, &removed)
}

func olderThan(e os.DirEntry, t time.Time) bool {
	info, err := e.Info()
	return err == nil && !info.ModTime().After(t)
}

// collect removes those of the candidates that no manifest refers to. The caller holds the lock
// exclusively.
func (s *Store) collect(candidates []Digest) (r Removed, err error) {
	models, err := s.own()
	if err != nil {
		return r, err
	}
	strays, err := s.strays()
	if err != nil {
		return r, err
	}
	used, views := map[Digest]bool{}, map[string]bool{}
	for _, m := range append(models, strays...) {
		if m.Err != nil {
			return r, fmt.Errorf("%w; nothing is removed before it is repaired", m.Err)
		}
		views[m.Digest.Hex()] = true
		for _, d := range m.Manifest.Blobs() {
			used[d.Digest] = true
		}
	}
	for _, d := range candidates {
		if used[d] {
			continue
		}
		info, err := os.Lstat(s.blobPath(d))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.Remove(s.blobPath(d))
		}
		if err != nil {
			return r, fmt.Errorf("store: %w", err)
		}
		r.Blobs, r.Bytes = r.Blobs+1, r.Bytes+info.Size()
	}
	return r, s.dropViews(views)
}

// dropViews removes the links of split models that are gone.
func (s *Store) dropViews(used map[string]bool) error {
	entries, err := s.entries("parts")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if used[e.Name()] || len(e.Name()) != hexDigits || !isHex(e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.dir("parts"), e.Name())); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}

// sweep removes what writers left behind. The caller holds the lock exclusively, so none is at
// work.
func (s *Store) sweep(before time.Time, r *Removed) error {
	entries, err := s.entries("partial")
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, digestErr := ParseDigest(strings.TrimSuffix(e.Name(), ".lock"))
		if digestErr != nil && !strings.HasSuffix(e.Name(), ".tmp") || !olderThan(e, before) {
			continue
		}
		if info, err := e.Info(); err == nil {
			r.Bytes += info.Size()
		}
		if err := os.RemoveAll(filepath.Join(s.dir("partial"), e.Name())); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}
