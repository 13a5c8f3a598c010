package atomicfile

import (
	"errors"
	"fmt"
	"os"

	"github.com/gofrs/flock"
)

// ErrClaimed marks a file or folder that another process writes to.
var ErrClaimed = errors.New("another process writes to it")

// Claim keeps a file or folder, which is there, for whoever called until release is called or the
// process ends, against all others that claim it. Errors wrap ErrClaimed if somebody has it. Where
// a file system knows no locks, nobody is kept out.
func Claim(path string) (release func(), err error) {
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
	ok, err := lock.TryLock()
	if err != nil || !ok {
		_ = lock.Close()
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return func() {}, nil
	case err != nil:
		return nil, fmt.Errorf("claiming %s: %w", path, err)
	case !ok:
		return nil, fmt.Errorf("%s: %w; wait for it, or name another place", path, ErrClaimed)
	}
	return func() { _ = lock.Close() }, nil
}
