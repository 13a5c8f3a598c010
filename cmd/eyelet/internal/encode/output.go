package encode

import (
	"io"
	"os"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/npy"
)

// checkNpyPath finds out before a tower is loaded whether a file can be written in that place.
func checkNpyPath(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return cli.Inputf("%s is no regular file; give the name of a file for the embeddings", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return cli.Inputf("%s: there is no folder %s", path, filepath.Dir(path))
	}
	return nil
}

// writeNpy writes a matrix with rows of the given width as a NumPy file, whole or not at all.
func writeNpy(path string, values []float32, width int) error {
	return cli.WriteFile(path, 0o666, func(w io.Writer) error {
		return npy.Write(w, values, width)
	})
}
