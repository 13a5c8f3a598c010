package page_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestScreenshots takes the pictures that the documentation shows, into the folder that
// EYELET_SCREENSHOTS names.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("EYELET_SCREENSHOTS")
	if folder == "" {
		t.Skip("EYELET_SCREENSHOTS names no folder; \"make screenshots\" does")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	v := visit(t, serve(t, "").url)
	v.do(chromedp.EmulateViewport(1100, 700))
	take := func(name string) {
		t.Helper()
		var data []byte
		v.do(chromedp.CaptureScreenshot(&data))
		if err := os.WriteFile(filepath.Join(folder, name+".png"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v.ask("What is in this picture?", demo+"orange-circle.png")
	v.ask("What color is the circle?")
	take("chat")
	v.press("New conversation")
	v.ask("Write the HTML for this sketch.", demo+"page.png")
	if v.shownIn(".sketch iframe") < 3 {
		t.Error("the preview is empty")
	}
	take("sketch")
	v.press("New conversation")
	v.hold(`{"const": [{"bbox_2d": [80, 46, 102, 68], "label": "star"}]}`)
	v.ask("Where is the star?", demo+"black-star.png")
	v.until(`document.querySelector(".marked img")?.naturalWidth > 0`, "the picture with the box")
	take("boxes")
	v.press("Colours: Dark")
	v.press("Models")
	v.read(".card", "fits: needs about")
	take("models-dark")
	v.press("Machine")
	v.see(".card meter")
	take("machine-dark")
}
