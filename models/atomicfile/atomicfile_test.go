package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestAFileIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, sync := range []Sync{Content, Folder, Nothing} {
		if err := Write(path, Options{Sync: sync, Perm: 0o600}, text("old")); err != nil {
			t.Fatal(err)
		}
	}
	fault := errors.New("the source has ended")
	err := Write(path, Options{}, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, fault)
	})
	if !errors.Is(err, fault) {
		t.Error(err)
	}
	check := func(want string, perm fs.FileMode) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil || string(data) != want {
			t.Errorf("%q, %v, want %q", data, err, want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != perm {
			t.Error(info.Mode(), err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Error(left, err)
		}
	}
	check("old", 0o600)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, Options{Perm: 0o600}, text("new")); err != nil {
		t.Fatal(err)
	}
	check("new", 0o640)
}

func TestErrorsNameThePathThatWasGiven(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(folder, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none", "x"), folder} {
		err := Write(path, Options{}, text("x"))
		if p, ok := errors.AsType[*fs.PathError](err); !ok || p.Path != path ||
			strings.Contains(err.Error(), suffix) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Error(left, err)
	}
}

func TestOnlyFilesAreReplaced(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]error{pipe: ErrNotRegular, dir: syscall.EISDIR} {
		for _, err := range []error{Check(path), Write(path, Options{}, text("x"))} {
			if p, ok := errors.AsType[*fs.PathError](err); !ok || p.Path != path ||
				!errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", path, err, want)
			}
		}
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Error("the pipe was replaced:", info, err)
	}
}

func TestTheLongestNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", longestName))
	if err := Write(path, Options{}, text("x")); err != nil {
		t.Fatal(err)
	}
}

func TestTemporaryNamesAreKnown(t *testing.T) {
	f, err := create(filepath.Join(t.TempDir(), "a.gguf"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if !IsTemporary(f.Name()) || IsTemporary("a.gguf") || IsTemporary("a.tmp") {
		t.Error(f.Name())
	}
}
