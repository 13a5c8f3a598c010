package builtin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

func TestSumsAreThoseOfTheEmbeddedFiles(t *testing.T) {
	for _, name := range []string{modelFile, projectorFile} {
		content, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := sumOf(name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has SHA-256 %s, SHA256SUMS says %s: run sha256sum *.gguf >SHA256SUMS",
				name, got, want)
		}
	}
	if _, err := sumOf("other.gguf"); err == nil {
		t.Error("sumOf knows a file that is not embedded")
	}
}

func TestTheModelFitsIntoTheProgram(t *testing.T) {
	const limit = 16 << 20
	total := 0
	for _, name := range []string{modelFile, projectorFile} {
		content, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		total += len(content)
	}
	if total > limit {
		t.Errorf("the embedded files are %d bytes, more than %d", total, limit)
	}
}

func TestExtractedFilesAreAModelAndItsProjector(t *testing.T) {
	model, projector, err := Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for path, arch := range map[string]string{model: "llama", projector: "clip"} {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Architecture() != arch {
			t.Errorf("%s has architecture %q, want %q", path, f.Architecture(), arch)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestExtract(t *testing.T) {
	damage := func(f func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := f(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name    string
		before  func(t *testing.T, path string)
		rewrite bool
	}{
		{"leaves whole files alone", func(*testing.T, string) {}, false},
		{"replaces a file with one flipped bit", damage(func(path string) error {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content[len(content)/2] ^= 1
			return os.WriteFile(path, content, 0o644)
		}), true},
		{"replaces a truncated file", damage(func(path string) error {
			return os.Truncate(path, 1000)
		}), true},
		{"replaces an empty file", damage(func(path string) error {
			return os.Truncate(path, 0)
		}), true},
		{"writes a missing file", damage(os.Remove), true},
		{"replaces a dangling link", damage(func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(filepath.Dir(path), "nowhere"), path)
		}), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "deep", "cache")
			model, projector, err := Extract(dir)
			if err != nil {
				t.Fatal(err)
			}
			old := time.Now().Add(-24 * time.Hour)
			for _, path := range []string{model, projector} {
				if err := os.Chtimes(path, old, old); err != nil {
					t.Fatal(err)
				}
			}
			test.before(t, projector)
			again, projectorAgain, err := Extract(dir)
			if err != nil {
				t.Fatal(err)
			}
			if again != model || projectorAgain != projector {
				t.Errorf("paths changed: %s, %s", again, projectorAgain)
			}
			checkWhole(t, dir)
			info, err := os.Lstat(projector)
			if err != nil {
				t.Fatal(err)
			}
			if rewritten := time.Since(info.ModTime()) < time.Hour; rewritten != test.rewrite {
				t.Errorf("rewritten: %v, want %v", rewritten, test.rewrite)
			}
		})
	}
}

// checkWhole fails the test unless dir holds the two files, with the right contents, and nothing
// else.
func checkWhole(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("the cache holds %v", entries)
	}
	for _, name := range []string{modelFile, projectorFile} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the embedded file", name)
		}
	}
}

// TestMain lets this test program play the other processes of TestProcessesMayExtractAtOnce.
func TestMain(m *testing.M) {
	if dir := os.Getenv("EYELET_TEST_EXTRACT"); dir != "" {
		if _, _, err := Extract(dir); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestProcessesMayExtractAtOnce(t *testing.T) {
	dir := t.TempDir()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "EYELET_TEST_EXTRACT="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		group.Go(func() {
			if _, _, err := Extract(dir); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	checkWhole(t, dir)
}

func TestLeftoversOfKilledProcessesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	stale, fresh := filepath.Join(dir, ".a.gguf.1.tmp"), filepath.Join(dir, ".a.gguf.2.tmp")
	for _, path := range []string{stale, fresh} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * staleAfter)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Extract(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("the stale file is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("a file that another process may be writing was removed")
	}
}

func TestTheCacheDirectoryIsTheOneOfTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("EYELET_CACHE", dir)
	model, _, err := Extract("")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "builtin", Digest()[:16], modelFile); model != want {
		t.Errorf("extracted to %s, want %s", model, want)
	}
	t.Setenv("EYELET_CACHE", "")
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "xdg"))
	got, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got, dir) || filepath.Base(got) != "eyelet" {
		t.Errorf("CacheDir() = %s", got)
	}
}

// aFile returns the path of a plain file: a cache below it can be created by nobody, not even by
// root.
func aFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWithoutACacheTheModelGoesToAPrivateTemporaryFolder(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("EYELET_CACHE", filepath.Join(aFile(t), "cache"))
	model, _, err := Extract("")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(model, temp) {
		t.Errorf("extracted to %s, outside of %s", model, temp)
	}
	private := filepath.Dir(filepath.Dir(filepath.Dir(model)))
	info, err := os.Stat(private)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("%s has mode %v", private, info.Mode())
	}

	if err := os.Chmod(private, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Extract(""); err == nil || !strings.Contains(err.Error(), "private") {
		t.Errorf("a folder that everyone can write to was trusted: %v", err)
	}
}

func TestTheErrorSaysWhatToDoWhenNothingCanBeWritten(t *testing.T) {
	file := aFile(t)
	t.Setenv("TMPDIR", file)
	t.Setenv("EYELET_CACHE", filepath.Join(file, "cache"))
	_, _, err := Extract("")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{file, "EYELET_CACHE"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}
