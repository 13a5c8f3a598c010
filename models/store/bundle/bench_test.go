package bundle

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/models/store"
)

// BenchmarkImport imports a bundle of a gigabyte into an empty store: reading, hashing, writing and
// syncing. Beside it, the system's sha256sum reads the same file, which is what people would do to
// be sure of it.
func BenchmarkImport(b *testing.B) {
	m := addModel(b, newStore(b), "a", 1e9, 4000)
	path := export(b, filepath.Join(b.TempDir(), "a.eyb"),
		ExportOptions{Models: []*store.Model{m}})[0]
	b.Run("eyelet", func(b *testing.B) {
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
	})
	b.Run("sha256sum", func(b *testing.B) {
		if _, err := exec.LookPath("sha256sum"); err != nil {
			b.Skip(err)
		}
		b.SetBytes(m.Manifest.Size())
		for b.Loop() {
			if err := exec.Command("sha256sum", path).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
