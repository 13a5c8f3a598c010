// Package npy writes matrices in the file format of NumPy.
package npy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Write writes a matrix in version 1.0 of NumPy's format (numpy.lib.format): a magic, the
// version, the length of the header, the header as a Python dictionary, padded so that the numbers
// begin at a multiple of 64 bytes, and the numbers.
func Write(w io.Writer, values []float32, width int) error {
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
