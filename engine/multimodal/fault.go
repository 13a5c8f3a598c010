package multimodal

import (
	"errors"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/media"
)

// badFile is the error of a picture whose name is added later.
func badFile(err error) error {
	return fmt.Errorf("%w: %s", fault.ErrImage, strings.TrimPrefix(err.Error(), "imaging: "))
}

// badPicture is the error of a picture that cannot be read, with its name.
func badPicture(name string, err error) error { return bad(fault.ErrImage, name, err) }

// badSound is the error of a sound that cannot be read, with its name.
func badSound(name string, err error) error { return bad(fault.ErrSound, name, err) }

// bad is an error of a kind, which the text of err need not say again.
func bad(kind error, name string, err error) error {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), kind.Error()+": "), "imaging: ")
	return fmt.Errorf("%w: %s: %w", kind, name, fault.Named{Kind: err, Text: text})
}

// Fault returns err as the caller of a request understands it, if it is about one of the request's
// pictures.
func Fault(err error) error {
	var f *media.Fault
	switch {
	case !errors.As(err, &f):
		return err
	case errors.Is(err, fault.ErrSound):
		return badSound(f.Name, f.Err)
	case errors.Is(err, fault.ErrImage):
		return badPicture(f.Name, f.Err)
	}
	return fmt.Errorf("engine: %s: %w", f.Name, f.Err)
}
