package disk

import (
	"fmt"
	"os"
	"time"
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
	tmp, err := writeTemp(path, head, s)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return nil
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
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, _, err := readSnapshot(f, info.Size(), model)
	return s, err
}
