package gguf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// WriteFile writes the file to path, all of it or nothing: the bytes go to a
// temporary file beside it, are synced to the disk, and then take the name
// path, replacing what was there. After an error the temporary file is gone.
func (w *Writer) WriteFile(path string) error {
	if w.err != nil {
		return w.err
	}
	err := atomicfile.Write(path, atomicfile.Options{Sync: atomicfile.Folder},
		func(to io.Writer) error {
			_, err := w.WriteTo(to)
			return err
		})
	if p, ok := errors.AsType[*fs.PathError](err); ok && p.Path == path {
		err = p.Err
	}
	if err != nil {
		return fmt.Errorf("gguf: %s: %w", path, err)
	}
	return nil
}
