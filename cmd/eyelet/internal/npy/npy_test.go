package npy

import (
	"bytes"
	"strings"
	"testing"
)

func TestNpyFilesAreTheFormatsOwnBytes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := Write(&out, []float32{1, 2, 3, 4, 5, -6}, 3); err != nil {
		t.Fatal(err)
	}
	// What numpy.save writes for numpy.array([[1, 2, 3], [4, 5, -6]], dtype="<f4").
	want := "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" +
		strings.Repeat(" ", 58) + "\n" +
		"\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40\x00\x00\xa0\x40\x00\x00\xc0\xc0"
	if out.String() != want {
		t.Errorf("%q\nwant %q", out.String(), want)
	}
}
