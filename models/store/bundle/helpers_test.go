package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Root: filepath.Join(t.TempDir(), "models"), NoOllama: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// addModel imports a model whose file has random bytes and zeros: the first are not packed, the
// second are.
func addModel(t testing.TB, s *store.Store, name string, random, zeros int) *store.Model {
	t.Helper()
	dir := t.TempDir()
	write := func(file, arch string, data []byte) string {
		w := gguf.NewWriter(arch)
		w.Set("general.name", name)
		w.Set("general.license", "apache-2.0")
		w.AddTensor("x", gguf.F32, []uint64{uint64(len(data) / 4)}, data)
		path := filepath.Join(dir, file)
		if err := w.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	noise := make([]byte, random)
	rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(noise)
	thin := make([]byte, zeros)
	for i := range thin {
		thin[i] = noise[i%len(noise)] & 3 // a quarter of the information
	}
	n, err := store.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Import(t.Context(), n, store.Files{Model: write("m.gguf", "llama", noise),
		Projector: write("p.gguf", "clip", thin)}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func export(t testing.TB, path string, o ExportOptions) []string {
	t.Helper()
	files, err := Export(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func importFrom(t testing.TB, s *store.Store, path string, o ImportOptions) (*Result, error) {
	t.Helper()
	src, err := OpenSource(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return Import(t.Context(), s, src, o)
}

// left lists the files of a store, its lock aside.
func left(t testing.TB, s *store.Store) (files []string) {
	t.Helper()
	err := filepath.WalkDir(s.Root(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path != filepath.Join(s.Root(), "lock") {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func mustBeWhole(t testing.TB, s *store.Store) *store.Report {
	t.Helper()
	r, err := s.Check(t.Context(), store.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Errorf("%s: %v", p.Path, p.Err)
	}
	return r
}

// entry is a member of a tar in memory.
type entry struct {
	tar.Header
	data []byte
}

func readTar(t testing.TB, path string) (entries []entry) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{*h, data})
	}
}

func tarBytes(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Size = int64(len(e.data))
		if e.Typeflag != tar.TypeReg {
			e.Size = 0
		}
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if e.Size > 0 {
			if _, err := w.Write(e.data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// editIndex changes the index of a bundle in memory, as one who forges it would.
func editIndex(t testing.TB, entries []entry, edit func(x *Index)) []entry {
	t.Helper()
	var x Index
	if err := json.Unmarshal(entries[0].data, &x); err != nil {
		t.Fatal(err)
	}
	edit(&x)
	data, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	entries[0].data = data
	return entries
}

// find returns the place of the first member whose path begins so.
func find(t testing.TB, entries []entry, prefix string) int {
	t.Helper()
	for i, e := range entries {
		if strings.HasPrefix(e.Name, folder+prefix) {
			return i
		}
	}
	t.Fatalf("no member begins with %q", prefix)
	return 0
}

func writeFile(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
