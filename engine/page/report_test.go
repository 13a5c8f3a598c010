package page_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/engine/bench/report"
)

// TestReportsOfQuantizationsCanBeRead opens the report that the documentation shows, wide and
// narrow, by day and in the dark. With EYELET_SCREENSHOTS it takes pictures of its first screens.
func TestReportsOfQuantizationsCanBeRead(t *testing.T) {
	requirePackages(t)
	results, err := bench.ReadResults(root + "/docs/bench-quants")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := report.Write(dir, results); err != nil {
		t.Fatal(err)
	}
	page := url.URL{Scheme: "file", Path: filepath.Join(dir, report.HTMLFile)}
	v := visit(t, page.String())
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 400} {
			name := fmt.Sprintf("report-%s-%d", scheme, width)
			v.do(chromedp.EmulateViewport(width, 800),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
					{Name: "prefers-color-scheme", Value: scheme}}))
			v.see("svg text")
			if got := v.text(`document.documentElement.scrollWidth <= innerWidth`); got != "true" {
				t.Errorf("%s: the page is wider than the window", name)
			}
			if got := v.text(namesThatOverlap); got != "" {
				t.Errorf("%s: names in charts lie over each other: %s", name, got)
			}
			if got := v.text(adviceShown); got != "true" {
				t.Errorf("%s: the first screen does not say what to take", name)
			}
			if got := v.text(coloursApart); got != "true" {
				t.Errorf("%s: text and paper of charts are of one brightness", name)
			}
			if folder := os.Getenv("EYELET_SCREENSHOTS"); folder != "" {
				v.screenshot(filepath.Join(folder, name+".png"))
			}
		}
	}
	v.until(`(() => {
		const head = [...document.querySelectorAll("th")].find((h) => h.textContent === "files, MiB");
		head.click();
		const k = head.cellIndex, rows = [...head.closest("table").tBodies[0].rows];
		const sizes = rows.map((r) => parseFloat(r.cells[k].textContent));
		return sizes.length > 3 && sizes.every((x, i) => i === 0 || sizes[i - 1] <= x);
	})()`, "rows in the order of sizes")
	v.until(`(() => {
		const box = document.querySelector("input[type=search]");
		const table = document.querySelector("table");
		box.value = "q4_k_m q8_0";
		box.dispatchEvent(new Event("input"));
		const left = [...table.tBodies[0].rows].filter((r) => r.checkVisibility());
		return left.length > 0 && left.length < table.tBodies[0].rows.length &&
			left.every((r) => r.textContent.includes("q4_k_m") && r.textContent.includes("q8_0"));
	})()`, "rows with both words alone")
}

// text evaluates an expression of JavaScript to a text.
func (v *visitor) text(expression string) (text string) {
	v.t.Helper()
	v.do(chromedp.Evaluate("String("+expression+")", &text))
	return text
}

// What the test asks the page.
const (
	// the first two names of a chart that lie over each other, or ""
	namesThatOverlap = `(() => {
		for (const svg of document.querySelectorAll("svg")) {
			const all = [...svg.querySelectorAll("text")];
			const names = all.map((e) => [e.textContent, e.getBoundingClientRect()]);
			for (const [i, [a, p]] of names.entries()) {
				for (const [b, q] of names.slice(i + 1)) {
					const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
					const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
					if (x > 1 && y > 0.35 * Math.min(p.height, q.height)) return a + " | " + b;
				}
			}
		}
		return "";
	})()`
	// whether the model of the best choice can be read without scrolling
	adviceShown = `(() => {
		const card = document.querySelector(".card.first");
		const r = card.querySelector("dd").getBoundingClientRect();
		return r.bottom < innerHeight && r.left >= 0 && r.right <= innerWidth &&
			card.textContent.includes("best choice");
	})()`
	// whether letters of a chart stand out against the page
	coloursApart = `(() => {
		const bright = (c) => c.match(/[0-9.]+/g).slice(0, 3).reduce((sum, x) => sum + +x, 0) / 3;
		const ink = getComputedStyle(document.querySelector("svg text")).fill;
		const paper = getComputedStyle(document.body).backgroundColor;
		return Math.abs(bright(ink) - bright(paper)) > 120;
	})()`
)
