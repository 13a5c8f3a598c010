package builtin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// staleAfter is the age at which a temporary file must be the leftover of a program that was killed
// while writing it.
const staleAfter = time.Hour

// Extract returns the paths of the language model and of its projector, after writing the files to
// dir if they are not there. With dir "" it takes builtin/DIGEST in the cache directory (see
// [CacheDir]) and, where nothing can be written there, a private folder of this user in the
// temporary directory.
//
// The contents are compared with their SHA-256 on every call, which takes some ten milliseconds,
// and a file that differs is written again. A file appears under its name only when it is complete,
// so several processes may extract at once, and one that has the file open is not disturbed. Files
// that are whole are used even where nothing may be written.
func Extract(dir string) (model, projector string, err error) {
	if dir != "" {
		return extractTo(dir)
	}
	cache, err := CacheDir()
	if err == nil {
		model, projector, err = extractTo(filepath.Join(cache, "builtin", Digest()[:16]))
	}
	if err == nil {
		return model, projector, nil
	}
	temp, tempErr := privateTempDir()
	if tempErr == nil {
		model, projector, tempErr = extractTo(filepath.Join(temp, "builtin", Digest()[:16]))
	}
	if tempErr != nil {
		return "", "", fmt.Errorf("%w; and in the temporary directory: %w; set EYELET_CACHE to a folder with 12 MB of free space that can be written", err, tempErr)
	}
	return model, projector, nil
}

// CacheDir returns the directory in which Eyelet keeps what it can make again: the one named by
// EYELET_CACHE, or else eyelet in the user's cache directory ([os.UserCacheDir]). It may not exist
// yet.
func CacheDir() (string, error) {
	if dir := os.Getenv("EYELET_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("builtin: there is no cache directory: %w", err)
	}
	return filepath.Join(dir, "eyelet"), nil
}

// privateTempDir returns a folder in the temporary directory that is this user's alone. Its name is
// the same on every call, so that runs do not pile up copies; a folder of that name which others
// could write to is refused.
func privateTempDir() (string, error) {
	dir := filepath.Join(os.TempDir(), "eyelet-"+strconv.Itoa(os.Geteuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("builtin: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("builtin: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 || !ownedByUser(info) {
		return "", fmt.Errorf("builtin: %s is not a private folder of this user; remove it", dir)
	}
	return dir, nil
}

func extractTo(dir string) (model, projector string, err error) {
	model, err = extractFile(dir, modelFile)
	if err != nil {
		return "", "", err
	}
	projector, err = extractFile(dir, projectorFile)
	if err != nil {
		return "", "", err
	}
	return model, projector, nil
}

// extractFile makes sure that dir holds one of the embedded files, and returns its path.
func extractFile(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	want, err := sumOf(name)
	if err != nil {
		return "", err
	}
	if got, err := sumFile(path); err == nil && got == want {
		return path, nil
	}
	content, err := files.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("builtin: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("builtin: %w", err)
	}
	removeStale(dir)
	err = atomicfile.Write(path, atomicfile.Options{}, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("builtin: writing the built-in model: %w", err)
	}
	return path, nil
}

// sumFile returns the SHA-256 of a file in hexadecimal.
func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// removeStale removes what killed processes left of [atomicfile.Write]. It is a courtesy: errors
// change nothing.
func removeStale(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && atomicfile.IsTemporary(e.Name()) &&
			time.Since(info.ModTime()) > staleAfter {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
