package disk

import "github.com/gofrs/flock"

// lock locks the file at path, which it makes if need be, for this process and until it is closed.
// It returns nil if another has it.
func lock(path string) (*flock.Flock, error) {
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil || !ok {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}
