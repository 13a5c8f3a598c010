package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"
)

// Open opens a folder, which it makes if need be for its owner only, and reads the heads of the
// files in it. Files that are not the store's are left alone; those that are and are damaged, and
// those that a crash left half-written, are removed.
func Open(dir string, opt Options) (*Store, error) {
	if opt.Bytes == 0 {
		opt.Bytes = DefaultBytes
	}
	switch {
	case opt.Bytes < 0:
		return nil, fmt.Errorf("disk: a limit of %d bytes", opt.Bytes)
	case opt.Model == "" || len(opt.Model) > maxModel:
		return nil, fmt.Errorf("disk: a model identity of %d bytes, where 1 to %d may be",
			len(opt.Model), maxModel)
	}
	s := &Store{dir: dir, opt: opt, log: opt.Logger, files: map[string]*record{}}
	if s.log == nil {
		s.log = slog.Default()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	var err error
	if s.lock, err = lock(s.path(lockName)); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	trash, err := s.scan()
	if err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("disk: %w", err)
	}
	if s.lock != nil {
		s.sweep(append(trash, s.shrink()...))
		if s.stats.Bytes > opt.Bytes {
			s.log.Warn("Saved sessions are over the limit", "folder", dir, "bytes", s.stats.Bytes,
				"limit", opt.Bytes)
		}
	}
	return s, nil
}

// scan reads the folder, in the order in which its files were last used, and returns the files that
// its owner should remove.
func (s *Store) scan() (trash []string, err error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	type found struct {
		name string
		used time.Time
	}
	var ours []found
	for _, f := range files {
		switch name := f.Name(); {
		case name == lockName:
		case f.Type().IsRegular() && tempName.MatchString(name):
			trash = append(trash, s.path(name))
		case f.Type().IsRegular() && fileName.MatchString(name):
			info, err := f.Info()
			if err == nil {
				ours = append(ours, found{name, info.ModTime()})
			}
		default:
			s.log.Info("A file that is no saved sequence is left alone", "file", s.path(name))
		}
	}
	slices.SortStableFunc(ours, func(a, b found) int {
		return cmp.Compare(a.used.UnixNano(), b.used.UnixNano())
	})
	for _, f := range ours {
		r, err := s.readRecord(f.name)
		switch {
		case err == nil:
			s.adopt(r)
		case errors.Is(err, ErrDamaged):
			s.stats.Damaged++
			s.log.Warn("A saved sequence is damaged", "file", s.path(f.name), "error", err)
			trash = append(trash, s.path(f.name))
		case !errors.Is(err, fs.ErrNotExist):
			s.log.Warn("A file that is no saved sequence is left alone", "file", s.path(f.name),
				"error", err)
		}
	}
	return trash, nil
}

// readRecord reads the head of a file.
func (s *Store) readRecord(name string) (*record, error) {
	f, size, err := open(s.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, err := readHeader(f, size)
	if err != nil {
		return nil, err
	}
	if own := fileOf(&h.Snapshot); own != name {
		return nil, fmt.Errorf("%w: its name should be %s", ErrForeign, own)
	}
	r := &record{file: name, model: h.Model, name: h.Name, saved: h.Saved, bytes: h.size,
		sum: h.sum}
	if r.model == s.opt.Model {
		r.prompt = s.index.prompt(&h.Prompt, h.key, true)
	}
	return r, nil
}
