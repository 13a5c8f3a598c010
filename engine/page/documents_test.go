package page_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document/documenttest"
)

// pdfFile writes a PDF file of pictures, one a page.
func pdfFile(t *testing.T, paths ...string) string {
	t.Helper()
	var pages []*imaging.RGB
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := imaging.Decode(data, imaging.Options{})
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, m)
	}
	path := filepath.Join(t.TempDir(), "two pages.pdf")
	if err := os.WriteFile(path, documenttest.PDF(pages...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPagesOfAPDFAreSeenAndAskedAbout: the whole document is asked about, and one of its pages
// alone.
func TestPagesOfAPDFAreSeenAndAskedAbout(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.ask("What color is the background?", pdfFile(t, demo+"black-star.png",
		demo+"orange-circle.png"))
	v.read("article.question figcaption", "2 pages")
	v.read("article.question .note", "128 tokens")
	v.until(`document.querySelector("article.question img")?.naturalWidth > 0`, "a thumbnail")

	v.press("New conversation")
	v.until(`document.querySelectorAll("article").length === 0`, "an empty conversation")
	v.choose(pictureInput, pdfFile(t, demo+"black-star.png", demo+"orange-circle.png"))
	v.press("Open two pages.pdf")
	v.read("dialog [role=status]", "page 1 of 2")
	v.until(`document.querySelector("dialog img")?.naturalWidth > 0`, "the first page")
	v.press("Next page")
	v.read("dialog [role=status]", "page 2 of 2")
	v.until(`document.querySelector("dialog [aria-label='Next page']").disabled`, "an end")
	v.read("dialog h2", "page 2")
	v.press("Ask about this page alone")
	v.gone("dialog")
	v.read(".composer .thumbnail .name", "two pages.pdf, page 2")
	v.ask("What color is the background?")
	v.read("article.answer", "cyan")
	v.read("article.question .note", "64 tokens")
}

func TestPagesOfATIFFAreSeen(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.choose(pictureInput, root+"/kernels/imaging/testdata/pages/pages.tiff")
	v.read(".composer figcaption", "pages")
	v.press("Open pages.tiff")
	v.read("dialog [role=status]", "page 1 of ")
	v.press("Next page")
	v.read("dialog [role=status]", "page 2 of ")
	v.until(`document.querySelector("dialog img")?.naturalWidth > 0 && !document.querySelector("dialog .error")`, "the second page")
	v.press("Close")
	v.ask("What is in these pictures?")
	v.read("article.question figcaption", "pages")
	v.until(`document.querySelector("article.question img")?.naturalWidth > 0`, "a thumbnail")
}
