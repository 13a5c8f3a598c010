package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
	"github.com/eyelet-engine/eyelet/models/convert"
)

// Cause is what went wrong with a file, without the system call and the path that package os
// adds.
func Cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// ReadText reads a text file that a flag names.
func ReadText(path, what string) (string, error) {
	data, err := ReadLimited(path, 1<<20)
	if err != nil {
		return "", Inputf("%s %s: %w", what, path, Cause(err))
	}
	return string(data), nil
}

// ReadLimited reads a whole file of at most limit bytes.
func ReadLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tooLarge := fmt.Errorf("the file is larger than %s", BytesText(uint64(limit)))
	if info, err := f.Stat(); err == nil && info.Size() > limit {
		return nil, tooLarge
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1)) // a pipe has no size
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, tooLarge
	}
	return data, nil
}

// HeadOf reads the first bytes of a file, none if it cannot be read.
func HeadOf(path string, n int) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, n)
	n, _ = io.ReadFull(f, head)
	return head[:n]
}

// HasMagic reports whether a file begins with the bytes.
func HasMagic(path, magic string) bool {
	return string(HeadOf(path, len(magic))) == magic
}

// WriteBytes is [WriteFile] for what is in memory.
func WriteBytes(path string, data []byte) error {
	return WriteFile(path, 0o666, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// CheckOutput finds out, before anything is computed, whether a file can be written at path. what
// is what it will hold, as "the embeddings".
func CheckOutput(path, what string) error {
	if err := atomicfile.Check(path); err != nil {
		return Inputf("%s is no regular file; give the name of a file for %s", path, what)
	}
	dir := filepath.Dir(targetOf(path))
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return Inputf("%s: there is no folder %s", path, dir)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return &InputError{Err: fmt.Errorf("%s: no file can be made in the folder %s: %w", path,
			dir, err), Remedy: "name a file in another folder"}
	}
	return nil
}

// targetOf is the file that is written at path: where a link stands, the one that it names.
func targetOf(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// CheckNewOutput is [CheckOutput] for a file that must not be there yet, unless force is set.
func CheckNewOutput(path, what string, force bool) error {
	if _, err := os.Lstat(path); !force && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, convert.ErrExists)
	}
	return CheckOutput(path, what)
}

// WriteFile writes a file, whole or not at all. Where a link stands, the file that it names is
// written. A new file gets perm, as far as the user gives new files any.
func WriteFile(path string, perm os.FileMode, write func(io.Writer) error) error {
	target := targetOf(path)
	err := atomicfile.Write(target, atomicfile.Options{Perm: perm}, write)
	p, ok := errors.AsType[*fs.PathError](err)
	switch {
	case err == nil:
		return nil
	case ok && p.Path == target && (p.Op == "create" || p.Op == "rename"):
		return Inputf("%s: %w", path, p.Err)
	case ok && p.Path == target:
		err = p.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// NumberedName is the file of one of several results: x-2.npy for the second of x.npy.
func NumberedName(path string, i, n int) string {
	if n < 2 {
		return path
	}
	extension := filepath.Ext(path)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, extension), i+1, extension)
}
