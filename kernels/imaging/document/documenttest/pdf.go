// Package documenttest makes documents for tests.
package documenttest

import (
	"bytes"
	"fmt"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// PDF returns a PDF file of pictures, each a page of as many points as the picture has pixels.
func PDF(pictures ...*imaging.RGB) []byte {
	objects := []string{"<</Type/Catalog/Pages 2 0 R>>", ""}
	kids := ""
	for _, m := range pictures {
		n := len(objects) + 1
		kids += fmt.Sprintf("%d 0 R ", n)
		objects = append(objects,
			fmt.Sprintf("<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents %d 0 R/Resources<</XObject<</I %d 0 R>>>>>>", m.W, m.H, n+1, n+2),
			Stream("", fmt.Sprintf("%d 0 0 %d 0 0 cm /I Do", m.W, m.H)),
			Stream(fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceRGB", m.W, m.H), string(m.Pix)))
	}
	objects[1] = fmt.Sprintf("<</Type/Pages/Kids[%s]/Count %d>>", kids, len(pictures))
	return Objects(objects...)
}

// Stream is a stream object of a PDF file, with more entries of its dictionary.
func Stream(entries, content string) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", entries, len(content), content)
}

// Objects returns a PDF file of objects, numbered from 1, the first of which is its catalogue.
func Objects(objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	table := ""
	for i, o := range objects {
		table += fmt.Sprintf("%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, table, len(objects)+1, start)
	return b.Bytes()
}
