package disk

import "errors"

// Kinds of errors, for [errors.Is]. A file or a session that is not there is [io/fs.ErrNotExist];
// after Close it is [os.ErrClosed].
var (
	// ErrForeign is a file that is no snapshot, or one of another version of the format.
	ErrForeign = errors.New("not a saved sequence of this version")
	// ErrDamaged is a snapshot whose bytes are not those that were written, or that contradicts
	// itself.
	ErrDamaged = errors.New("the saved sequence is damaged")
	// ErrModel is a snapshot of cells that another model made, or the same with other cache types.
	ErrModel = errors.New("made by another model")
	// ErrNoRoom is a snapshot that does not fit under the limit of the store beside its sessions.
	ErrNoRoom = errors.New("no room under the limit")
	// ErrReadOnly is a store whose folder another process writes to.
	ErrReadOnly = errors.New("the folder is in use by another process")
)
