package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// The methods here change what the store knows of its folder, and are called with its mutex held,
// but for sweep.

func (s *Store) writable() error {
	switch {
	case s.closed:
		return os.ErrClosed
	case s.lock == nil:
		return ErrReadOnly
	}
	return nil
}

// touch makes r the record used most recently, for those who open the folder later as well.
func (s *Store) touch(r *record) {
	s.use(r)
	if s.lock != nil {
		// a file that is gone is found out by who reads it
		_ = os.Chtimes(s.path(r.file), time.Time{}, time.Now())
	}
}

func (s *Store) use(r *record) {
	s.clock++
	r.used = s.clock
}

// adopt takes up a record whose file is in place, as the one used most recently.
func (s *Store) adopt(r *record) {
	s.use(r)
	s.files[r.file] = r
	s.stats.Bytes += r.bytes
	if r.model == s.opt.Model {
		s.index.add(r)
	}
}

// forget takes a record out and leaves the file to others.
func (s *Store) forget(r *record) {
	delete(s.files, r.file)
	s.stats.Bytes -= r.bytes
	s.index.remove(r)
}

// discard takes a record out and returns what its file is called now, for sweep to remove it:
// removing hundreds of megabytes takes a while, and the old name may be given to another file
// before.
func (s *Store) discard(r *record) (trash []string) {
	s.forget(r)
	if s.lock == nil || s.closed {
		return nil
	}
	name := s.path(fmt.Sprintf("%s.%d.tmp", r.file, rand.Uint64()))
	if err := os.Rename(s.path(r.file), name); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("A saved sequence could not be removed", "error", err)
		}
		return nil
	}
	return []string{name}
}

// sweep removes files, without the mutex.
func (s *Store) sweep(trash []string) {
	for _, path := range trash {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("A saved sequence could not be removed", "error", err)
		}
	}
}

// replacedBy returns the records that r makes superfluous: the one with its file name, and entries
// of the cache it serves in full.
func (s *Store) replacedBy(r *record) []*record {
	var old []*record
	if same := s.files[r.file]; same != nil {
		old = append(old, same)
	}
	for other := range s.index.within(r, s.opt.WholeOnly) {
		if other.name == "" && other.file != r.file {
			old = append(old, other)
		}
	}
	return old
}

// makeRoom evicts entries until size bytes more fit under the limit once the replaced records are
// gone, or none if that cannot be.
func (s *Store) makeRoom(size int64, replaced []*record) (trash []string, err error) {
	free := s.opt.Bytes - s.stats.Bytes - s.pending
	for _, r := range replaced {
		free += r.bytes
	}
	entries := s.evictable(replaced)
	most := free
	for _, r := range entries {
		most += r.bytes
	}
	if size > most {
		return nil, fmt.Errorf("%w of %d bytes: %d, beside %d that must stay", ErrNoRoom,
			s.opt.Bytes, size, s.opt.Bytes-most)
	}
	return s.evict(entries, size-free), nil
}

// shrink evicts entries until the folder is under the limit, or only sessions are left.
func (s *Store) shrink() (trash []string) {
	return s.evict(s.evictable(nil), s.stats.Bytes+s.pending-s.opt.Bytes)
}

// evictable returns the entries that may be evicted, in the order in which they are.
func (s *Store) evictable(replaced []*record) []*record {
	var entries []*record
	for _, r := range s.files {
		if r.name == "" && !slices.Contains(replaced, r) {
			entries = append(entries, r)
		}
	}
	slices.SortFunc(entries, func(a, b *record) int { return cmp.Compare(a.used, b.used) })
	return entries
}

// evict removes entries until their sizes sum to want.
func (s *Store) evict(entries []*record, want int64) (trash []string) {
	for _, r := range entries {
		if want <= 0 {
			break
		}
		want -= r.bytes
		trash = append(trash, s.discard(r)...)
		s.stats.Evicted++
	}
	return trash
}
