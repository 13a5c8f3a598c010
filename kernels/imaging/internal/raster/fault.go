package raster

import (
	"errors"
	"fmt"
)

// The kinds of fault of a file, for errors.Is, beside io.ErrUnexpectedEOF.
var (
	// ErrUnsupported: the file is sound, and its decoder lacks what it uses.
	ErrUnsupported = errors.New("unsupported")
	// ErrCorrupt: the file contradicts its format.
	ErrCorrupt = errors.New("corrupt")
)

// fault is an error whose text stands alone and whose kind errors.Is finds.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }

// Unsupported returns an error of kind [ErrUnsupported].
func Unsupported(format string, args ...any) error {
	return &fault{ErrUnsupported, fmt.Sprintf(format, args...)}
}

// Corrupt returns an error of kind [ErrCorrupt].
func Corrupt(format string, args ...any) error {
	return &fault{ErrCorrupt, fmt.Sprintf(format, args...)}
}
