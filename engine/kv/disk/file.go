package disk

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// WriteFile writes a snapshot to a file of its own, whole or not at all. A file of that name is
// replaced.
func WriteFile(path string, s *Snapshot) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	saved := s.Saved
	if saved.IsZero() {
		saved = time.Now()
	}
	head, _ := encodeHead(s, saved)
	sealHead(head, sumBody(s))
	return atomicfile.Write(path, atomicfile.Options{Perm: 0o600}, func(w io.Writer) error {
		return writeAll(w, head, s)
	})
}

// ReadFile reads what WriteFile has written for a model. Errors are ErrForeign, ErrDamaged,
// ErrModel or the operating system's.
func ReadFile(path, model string) (*Snapshot, error) {
	info, err := os.Stat(path) // before it is opened, which would wait at a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is no regular file", ErrForeign)
	}
	f, size, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, _, err := readSnapshot(f, size, model)
	return s, err
}

// open opens a file, and returns its size too.
func open(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
