//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package disk

import (
	"errors"
	"fmt"
	"os"
)

// lock is an error: without it two processes would remove each other's files.
func lock(string) (*os.File, error) {
	return nil, fmt.Errorf("sequences cannot be saved on this system, which has no flock: %w",
		errors.ErrUnsupported)
}

func syncDir(string) error { return errors.ErrUnsupported }
