package bundle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/models/store"
)

// FuzzIndex checks that no index crashes the reader, and that what is taken stays within its folder
// and its limits.
func FuzzIndex(f *testing.F) {
	s := newStore(f)
	a := addModel(f, s, "a", 3000, 100_000)
	for _, e := range readTar(f, export(f, filepath.Join(f.TempDir(), "a.eyb"),
		ExportOptions{Models: []*store.Model{a}})[0]) {
		if e.Name == folder+indexName {
			f.Add(e.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := parseIndex(data)
		if err != nil {
			if !errors.Is(err, ErrBundle) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		for _, file := range x.Files {
			if !filepath.IsLocal(file.Path) || file.Size < 0 || file.contentSize() > maxTotal {
				t.Fatalf("taken: %+v", file)
			}
			if _, err := header(file.Path, file.Size, false); err != nil {
				t.Fatalf("taken, and cannot be written: %v", err)
			}
		}
	})
}

// FuzzImport checks that no bundle crashes the importer, that what is refused leaves nothing, and
// that what is taken leaves a whole store.
func FuzzImport(f *testing.F) {
	from := newStore(f)
	a := addModel(f, from, "a", 3000, 100_000)
	for _, plain := range []bool{true, false} {
		data, err := os.ReadFile(export(f, filepath.Join(f.TempDir(), "a.eyb"),
			ExportOptions{Models: []*store.Model{a}, Plain: plain})[0])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newStore(t)
		if _, err := Import(t.Context(), s, StreamSource(bytes.NewReader(data)),
			ImportOptions{}); err != nil {
			if l := left(t, s); len(l) > 0 {
				t.Fatalf("refused (%v), and left %v", err, l)
			}
			return
		}
		mustBeWhole(t, s)
	})
}
