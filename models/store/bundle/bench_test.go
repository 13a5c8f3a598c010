package bundle

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/models/store"
)

// BenchmarkImport imports a bundle of 256 MiB into an empty store: reading, hashing, writing and syncing. sha256sum of the same file is what
// people compare it with.
func BenchmarkImport(b *testing.B) {
	m := addModel(b, newStore(b), "a", 256<<20, 4000)
	path := export(b, filepath.Join(b.TempDir(), "a.eyb"), ExportOptions{Models: []*store.Model{m}})[0]
	b.SetBytes(m.Manifest.Size())
	for b.Loop() {
		s := newStore(b)
		if _, err := importFrom(b, s, path, ImportOptions{}); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(s.Root()); err != nil {
			b.Fatal(err)
		}
	}
}
