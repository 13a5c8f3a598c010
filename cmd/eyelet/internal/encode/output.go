package encode

import (
	"io"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/npy"
)

// writeNpy writes a matrix with rows of the given width as a NumPy file, whole or not at all.
func writeNpy(path string, values []float32, width int) error {
	return cli.WriteFile(path, 0o666, func(w io.Writer) error {
		return npy.Write(w, values, width)
	})
}
