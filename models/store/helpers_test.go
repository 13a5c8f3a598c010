package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// newStore opens a store in an empty folder, which sees nobody else's models.
func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(Options{Root: filepath.Join(t.TempDir(), "models"), NoOllama: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// writeModel writes a GGUF file without tensors.
func writeModel(t *testing.T, path, arch string, keys map[string]any) string {
	t.Helper()
	w := gguf.NewWriter(arch)
	for key, value := range keys {
		w.Set(key, value)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// pair writes a model and a projector that differ by a name.
func pair(t *testing.T, name string) Files {
	t.Helper()
	dir := t.TempDir()
	return Files{
		Model: writeModel(t, filepath.Join(dir, name+".gguf"), "llama",
			map[string]any{"general.name": name}),
		Projector: writeModel(t, filepath.Join(dir, "mmproj.gguf"), "clip", nil),
	}
}

func mustName(t *testing.T, s string) Name {
	t.Helper()
	n, err := ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustImport(t *testing.T, s *Store, name string, files Files) *Model {
	t.Helper()
	m, err := s.Import(t.Context(), mustName(t, name), files, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mustBeWhole fails the test unless the store checks without a problem.
func mustBeWhole(t *testing.T, s *Store) *Report {
	t.Helper()
	r, err := s.Check(t.Context(), CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Errorf("%s: %v", p.Path, p.Err)
	}
	return r
}

// tree maps the files under a folder to the sums of their contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		files[path] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func encodeManifest(t *testing.T, m *Manifest) []byte {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
