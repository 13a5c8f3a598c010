package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// npyName is where the embeddings of one of several pictures go: x-2.npy for the second of x.npy.
func npyName(path string, i, n int) string {
	if n < 2 {
		return path
	}
	extension := filepath.Ext(path)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, extension), i+1, extension)
}

// checkNpyPath finds out before a tower is loaded whether a file can be written in that place.
func checkNpyPath(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return inputf("%s is no regular file; give the name of a file for the embeddings", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return inputf("%s: there is no folder %s", path, filepath.Dir(path))
	}
	return nil
}

// writeNpy writes a matrix with rows of the given width as a NumPy file, whole or not at all.
func writeNpy(path string, values []float32, width int) error {
	tmp, err := createBeside(path)
	if err != nil {
		return inputf("%s: %w", path, causeOf(err)) // the temporary name would only confuse
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(formatNpy(tmp, values, width), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, causeOf(err))
	}
	return os.Rename(tmp.Name(), path)
}

// createBeside creates a hidden file of a new name in the folder of another, with the access rights
// that the user gives new files.
func createBeside(path string) (f *os.File, err error) {
	for i := range 100 {
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.tmp%d-%d", filepath.Base(path),
			os.Getpid(), i))
		if f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666); !errors.Is(err,
			os.ErrExist) {
			break
		}
	}
	return f, err
}

// formatNpy writes a matrix in version 1.0 of NumPy's format (numpy.lib.format): a magic, the
// version, the length of the header, the header as a Python dictionary, padded so that the numbers
// begin at a multiple of 64 bytes, and the numbers.
func formatNpy(w io.Writer, values []float32, width int) error {
	const fixed = 10 // bytes before the header
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }",
		len(values)/width, width)
	header += strings.Repeat(" ", 63-(fixed+len(header))%64) + "\n"
	out := bufio.NewWriter(w)
	out.WriteString("\x93NUMPY\x01\x00")
	// a bufio.Writer keeps its first error for Flush
	_ = binary.Write(out, binary.LittleEndian, uint16(len(header)))
	out.WriteString(header)
	_ = binary.Write(out, binary.LittleEndian, values)
	return out.Flush()
}
