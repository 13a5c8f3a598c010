package document

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/wasm"
)

// Decoders in WebAssembly are kept compiled, for a process that comes later. "make test-race" runs
// this test first: under the race detector, compiling them takes minutes.
func TestDecodersAreKeptCompiled(t *testing.T) {
	decode := func(path string) {
		data, err := os.ReadFile(path)
		if err == nil {
			_, err = Decode(t.Context(), data, 0, imaging.Options{})
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	const files = "../testdata/files/"
	for kind, paths := range map[string][]string{compiled: {"testdata/pages.pdf"},
		"pictures": {files + "grey.heic", files + "444.avif", files + "lossy.jxl"}} {
		dir, err := wasm.Folder(kind)
		if err != nil {
			t.Skip("there is no cache folder: ", err)
		}
		for _, path := range paths {
			decode(path)
		}
		kept, err := filepath.Glob(filepath.Join(dir, "*", "*"))
		if err != nil || len(kept) < len(paths) {
			t.Errorf("%d programs are kept in %s, want %d", len(kept), dir, len(paths))
		}
	}
}
