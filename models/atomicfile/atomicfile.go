// Package atomicfile writes files that are there whole or not at all: under a hidden name beside
// their place, which they take by a rename.
package atomicfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Sync says what has reached the disk when a file has its name.
type Sync int

const (
	// Content syncs the file, so that a power cut leaves the old file or the new one.
	Content Sync = iota
	// Folder syncs the file and then its folder, so that a power cut leaves the new one. That the
	// folder cannot be synced is no error.
	Folder
	// Nothing syncs nothing, for what can be made again.
	Nothing
)

// Options say how a file is written. The zero value is for files of the user that all may read.
type Options struct {
	// Perm are the access rights of a new file, less those that the umask takes; 0 is 0o666. A file
	// that is replaced hands its own down.
	Perm fs.FileMode
	Sync Sync
}

// suffix ends the hidden names.
const suffix = ".tmp"

// ErrNotRegular marks a place where something stands that is neither a file nor a folder, as a
// device.
var ErrNotRegular = errors.New("it is no regular file")

// Check says why no file may take a place: a rename would replace even a device. A place where
// nothing stands may be taken. Errors are of type [*fs.PathError] and wrap [syscall.EISDIR] or
// ErrNotRegular.
func Check(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil // creating the file tells what is wrong
	case info.IsDir():
		return &fs.PathError{Op: "create", Path: path, Err: syscall.EISDIR}
	case !info.Mode().IsRegular():
		return &fs.PathError{Op: "create", Path: path, Err: ErrNotRegular}
	}
	return nil
}

// Write writes a file with what write writes. An error of write comes back as it is, and other
// errors are of type [*fs.PathError] with the path that was given. After an error the place is as
// it was.
func Write(path string, o Options, write func(io.Writer) error) error {
	if err := Check(path); err != nil {
		return err
	}
	f, err := create(path, cmp.Or(o.Perm, 0o666))
	if err != nil {
		return named(err, "create", path)
	}
	if info, err := os.Stat(path); err == nil {
		err = f.Chmod(info.Mode().Perm())
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			return named(err, "chmod", path)
		}
	}
	if err = write(f); err == nil && o.Sync != Nothing {
		err = named(f.Sync(), "sync", path)
	}
	if closeErr := f.Close(); err == nil {
		err = named(closeErr, "close", path)
	}
	if err == nil {
		err = named(os.Rename(f.Name(), path), "rename", path)
	}
	if err != nil {
		os.Remove(f.Name())
		if p, ok := errors.AsType[*fs.PathError](err); ok && p.Path == f.Name() {
			p.Path = path // the hidden name would only confuse
		}
		return err
	}
	if o.Sync == Folder {
		// The file is in place: a folder that cannot be synced only makes that less durable.
		_ = SyncFolder(filepath.Dir(path))
	}
	return nil
}

// longestName is how many bytes a file's name may have on the usual file systems.
const longestName = 255

// create makes a file of a new name. It is not os.CreateTemp, whose files only their owner may
// read.
func create(path string, perm fs.FileMode) (f *os.File, err error) {
	base := filepath.Base(path)
	base = base[:min(len(base), longestName-len(".."+suffix)-16)]
	for range 100 {
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%016x%s", base, rand.Uint64(),
			suffix))
		if f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL,
			perm); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return f, err
}

// IsTemporary reports whether a file's name is one under which [Write] writes.
func IsTemporary(name string) bool {
	name = filepath.Base(name)
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, suffix)
}

// named is an error of the system about the path that was given, nil for none.
func named(err error, op, path string) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	} else if l, ok := errors.AsType[*os.LinkError](err); ok {
		err = l.Err
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// SyncFolder makes renames in a folder durable. Some network file systems cannot, which is no
// error: there a crash of the machine may undo a rename.
func SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); !cannotSync(err) {
		return err
	}
	return nil
}

// cannotSync reports whether an error of syncing says that this cannot be done here, not that it
// failed. Some file systems call it an invalid argument, for which package fs has no word.
func cannotSync(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported)
}
