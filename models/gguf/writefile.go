package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// WriteFile writes the file to path, all of it or nothing: the bytes go to a
// temporary file beside it, are synced to the disk, and then take the name
// path, replacing what was there. After an error the temporary file is gone.
func (w *Writer) WriteFile(path string) (err error) {
	if w.err != nil {
		return w.err
	}
	// Not os.CreateTemp, whose files only their owner may read.
	tmp := fmt.Sprintf("%s.%016x.tmp", path, rand.Uint64())
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("gguf: %s: %w", path, cause(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("gguf: %s: %w", path, cause(err)), os.Remove(tmp))
		}
	}()
	_, err = w.WriteTo(f)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return err
	}
	// The file is in place: a directory that cannot be synced (some network
	// file systems) only makes the rename less durable.
	_ = syncDir(filepath.Dir(path))
	return nil
}

// cause is what went wrong with a file, without the temporary name, which nobody has given.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	return err
}
