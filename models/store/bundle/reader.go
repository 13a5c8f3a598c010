package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// whole reads a part of a bundle, whose early end means that the bundle is cut.
type whole struct{ io.LimitedReader }

func (w *whole) Read(p []byte) (int, error) {
	left := w.N > 0
	n, err := w.LimitedReader.Read(p)
	if err == io.EOF && left && w.N > 0 {
		return n, truncated(err)
	}
	return n, err
}

// unpacking names the bundle's fault when its packed bytes are none.
type unpacking struct {
	io.ReadCloser
	path string
}

func (u unpacking) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if _, medium := errors.AsType[*fs.PathError](err); err != nil && err != io.EOF && !medium {
		err = fmt.Errorf("bundle: %w: unpacking %s: %w", ErrBundle, u.path, err)
	}
	return n, err
}

// unread puts back the last block that was read, which began at an offset.
func (s *Source) unread(offset int64, block []byte) {
	if s.stream == nil {
		_ = s.seekTo(offset) // fails only where reading will too
		return
	}
	s.stream = io.MultiReader(bytes.NewReader(block), s.stream)
	s.offset = offset
}
