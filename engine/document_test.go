package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document/documenttest"
)

// Two pages of a file have the same bytes, and are two pictures all the same, also where they look
// alike.
func TestPagesOfADocumentHaveNamesOfTheirOwn(t *testing.T) {
	m := open(t)
	white := imaging.NewRGB(64, 64)
	data := documenttest.PDF(white, white)
	d, err := OpenDocument(t.Context(), "doc.pdf", data)
	if err != nil || d.Len() != 2 || d.Format() != "PDF" || d.Moving() {
		t.Fatal(d, err)
	}
	key := func(image *Image) kv.Key {
		t.Helper()
		_, pictures, err := m.planner().Plan(t.Context(), image, Budget{}, &multimodal.Spent{})
		if err != nil || len(pictures) != 1 {
			t.Fatal(pictures, err)
		}
		pictures[0].Identify()
		return pictures[0].Key
	}
	first, second := key(d.Page(0)), key(d.Page(1))
	if first == second {
		t.Error("two pages have one name")
	}
	if key(&Image{Data: data, Page: 1}) != second || key(&Image{Data: data}) != first {
		t.Error("a page has another name where its document was not opened before")
	}
	if d.Page(1).Name != "doc.pdf#2" {
		t.Error(d.Page(1).Name)
	}
	if _, _, err := m.planner().Plan(t.Context(), &Image{Name: "x", Data: data, Page: 2}, Budget{},
		&multimodal.Spent{}); !errors.Is(err, ErrImage) ||
		!strings.Contains(err.Error(), "no page 3") {
		t.Error(err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenDocument(stopped, "doc.pdf", data); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := OpenDocument(t.Context(), "a.svg", []byte("<svg/>")); !errors.Is(err, ErrImage) ||
		!strings.Contains(err.Error(), "a.svg") {
		t.Error(err)
	}
}
