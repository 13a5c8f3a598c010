package page_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/eyelet-engine/eyelet/engine/server"
)

func TestTheBundleIsWhatTheSourcesMake(t *testing.T) {
	requirePackages(t)
	if out, err := exec.Command("go", "run", "./bundle", "-root", root,
		"-check").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheSourcesHaveTheirTypes(t *testing.T) {
	requirePackages(t)
	out, err := exec.Command(root+"/scripts/node", packages+"/node_modules/typescript/bin/tsc",
		"-p", ".").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAPictureIsAskedAbout(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.ask("What color is the background?", demo+"black-star.png")
	v.read("article.answer", "pink")
	v.read("article.question .note", "64 tokens")
	v.read("article.question .note", "encoded in")
	v.read("article.answer .cost", "a second, first after")

	// The same picture in another conversation costs no encoding.
	v.press("New conversation")
	v.until(`document.querySelectorAll("article").length === 0`, "an empty conversation")
	v.ask("What is in this picture?", demo+"black-star.png")
	v.read("article.question .note", "known")
}

// file makes a File in the page of bytes.
func file(name, kind string, data []byte) string {
	return fmt.Sprintf(`new File([Uint8Array.from(atob(%q), c => c.charCodeAt(0))], %q, {type: %q})`, base64.StdEncoding.EncodeToString(data), name, kind)
}

func TestPicturesComeInEveryWay(t *testing.T) {
	data, err := os.ReadFile(demo + "black-star.png")
	if err != nil {
		t.Fatal(err)
	}
	v := visit(t, serve(t, "").url)
	v.see("textarea.ask")
	transfer := fmt.Sprintf(
		`(() => { const data = new DataTransfer(); data.items.add(%s); return data; })()`, file(
			"given.png", "image/png", data))
	thumbnails := func(n int) {
		t.Helper()
		v.until(fmt.Sprintf(`document.querySelectorAll(".composer .thumbnail").length === %d`, n),
			fmt.Sprint(n, " thumbnails"))
	}
	v.until(fmt.Sprintf(
		`dispatchEvent(new ClipboardEvent("paste", {clipboardData: %s, cancelable: true})), true`,
		transfer), "a paste")
	thumbnails(1)
	v.until(fmt.Sprintf(`document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: %s, bubbles: true, cancelable: true})), true`, transfer), "a drop")
	thumbnails(2)
	v.choose(pictureInput, demo+"orange-circle.png", demo+"page.png")
	thumbnails(4)
	v.press("Take a picture")
	v.until(`document.querySelector("dialog video")?.videoWidth > 0`, "the camera's picture")
	v.press("Take")
	thumbnails(5)
	v.read(".composer .name", "camera.jpg")

	v.press("Move page.png to the front")
	v.until(`document.querySelector(".composer .name").textContent === "page.png"`, "another order")
	v.press("Remove page.png")
	thumbnails(4)

	v.press("Open orange-circle.png")
	v.see("dialog .canvas img")
	width := `document.querySelector("dialog .canvas").getBoundingClientRect().width`
	v.until(`(window.before = `+width+`) > 0`, "a picture")
	v.press("Larger")
	v.press("Larger")
	v.until(width+` > window.before`, "a larger picture")
	v.press("Close")
	v.gone("dialog")
	v.write("textarea.ask", "What is in these pictures?")
	v.read(".estimate", "left in the context")
}

func TestAFileThatTheBrowserCannotShowIsShownByTheServer(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.ask("What is in this picture?", root+"/kernels/imaging/testdata/files/photo.heic")
	v.read("article.question figcaption", "×")
	v.until(`document.querySelector("article.question img")?.naturalWidth > 0`, "a thumbnail")
	bad := filepath.Join(t.TempDir(), "cut.png")
	if err := os.WriteFile(bad, []byte("\x89PNG\r\n\x1a\nno more"), 0o644); err != nil {
		t.Fatal(err)
	}
	v.expect("400")
	v.choose(pictureInput, bad)
	v.read(".composer .error", "cut.png")
}

// drag draws a line with the pointer between two points of an element, given as parts of its sides.
func (v *visitor) drag(selector string, x1, y1, x2, y2 float64) {
	v.t.Helper()
	var box [4]float64
	v.do(chromedp.Evaluate(
		fmt.Sprintf(`(() => { const b = document.querySelector(%q).getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()`, selector), &box))
	at := func(x, y float64) (float64, float64) { return box[0] + x*box[2], box[1] + y*box[3] }
	ax, ay := at(x1, y1)
	bx, by := at(x2, y2)
	v.do(input.DispatchMouseEvent(input.MousePressed, ax,
		ay).WithButton(input.Left).WithClickCount(1),
		input.DispatchMouseEvent(input.MouseMoved, (ax+bx)/2, (ay+by)/2).WithButton(input.Left),
		input.DispatchMouseEvent(input.MouseMoved, bx, by).WithButton(input.Left),
		input.DispatchMouseEvent(input.MouseReleased, bx,
			by).WithButton(input.Left).WithClickCount(1))
}

func TestAPartIsAskedAbout(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.choose(pictureInput, demo+"black-star.png")
	v.press("Open black-star.png")
	v.until(`document.querySelector("dialog img")?.naturalWidth > 0`, "the picture")
	v.press("Ask about a part")
	v.drag("dialog .canvas img", 0.25, 0.25, 0.75, 0.75)
	v.press("Add the part beside the whole")
	v.until(`document.querySelectorAll(".composer .thumbnail").length === 2`,
		"the part beside the whole")
	v.read(".composer .thumbnail figcaption", "56 × 56")
	v.press("Open black-star.png")
	v.until(`document.querySelector("dialog img")?.naturalWidth > 0`, "the part")
	v.press("Ask about a part")
	v.drag("dialog .canvas img", 0, 0, 0.5, 1)
	v.press("Ask about the part alone")
	v.read(".composer .thumbnail figcaption", "28 × 56")
	v.until(`document.querySelectorAll(".composer .thumbnail").length === 2`,
		"the part in the place of what it is of")
	v.write("textarea.ask", "What color is the background?")
	v.press("Send")
	v.see("article.answer .cost")
}

// hold puts a schema before the next question.
func (v *visitor) hold(schema string) {
	v.t.Helper()
	v.press("Form")
	v.write("dialog textarea", schema)
	v.press("Save")
	v.gone("dialog")
}

func TestBoxesAreDrawn(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.until(`!!document.querySelector('.composer select')?.value`, "a model")
	v.hold(`{"const": [{"bbox_2d": [60, 50, 80, 70], "label": "star"}, {"point_2d": [10, 20], "label": "corner"}]}`)
	v.ask("Where is the star?", demo+"black-star.png")
	v.until(`document.querySelectorAll(".marks g").length === 2`, "a box and a point")
	v.until(`document.querySelector(".marks rect").getAttribute("x") === "60"`,
		"the box in its place")
	v.read(".marked li", "star")
	v.until(`(() => { document.querySelector(".marked li").dispatchEvent(new MouseEvent("mouseenter")); return !!document.querySelector(".marks g.lit"); })()`, "the box that the text lights up")
	v.click(".marked li input")
	v.until(`document.querySelectorAll(".marks g").length === 1`, "one mark less")
}

func TestFormsAreTablesAndFiles(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.until(`!!document.querySelector('.composer select')?.value`, "a model")
	v.press("Form")
	v.press("Receipt")
	v.until(`document.querySelector("dialog textarea").value.includes("quantity")`,
		"a schema of the library")
	v.press("Save")
	v.gone("dialog")
	v.hold(`{"const": {"shop": "A, B", "items": [{"name": "tea", "price": 2.5}, {"name": "say \"hi\"", "price": 3}]}}`)
	v.ask("Fill in the form.", demo+"page.png")
	v.read(".form dt", "shop")
	v.press("Table")
	v.read(".form th", "price")
	v.press("Save CSV")
	if got, want := v.saved("answer.csv"),
		"name,price\r\ntea,2.5\r\n\"say \"\"hi\"\"\",3\r\n"; got != want {
		t.Errorf("the CSV is %q, want %q", got, want)
	}
	v.press("Save JSON")
	var value struct{ Shop string }
	if err := json.Unmarshal([]byte(v.saved("answer.json")), &value); err != nil ||
		value.Shop != "A, B" {
		t.Errorf("the JSON holds %+v (%v)", value, err)
	}
	v.press("Form")
	v.write("dialog textarea", "{no JSON")
	v.press("Save")
	v.read("dialog .error", "not JSON")
}

func TestASketchBecomesAPage(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.ask("Write the HTML for this sketch.", demo+"page.png")
	v.see(".sketch iframe")
	v.press("Source")
	v.read(".sketch code", "<h1>")
	v.press("Save as a file")
	if got := v.saved("page.html"); !strings.Contains(got, "<h1>") {
		t.Errorf("the page is %q", got)
	}
	v.press("Preview")
	v.see(".sketch iframe")
	if shown := v.shownIn(".sketch iframe"); shown < 3 {
		t.Errorf("the preview shows %d colours; it is empty", shown)
	}
}

// shownIn waits for a frame to show something, and counts the colours in it.
func (v *visitor) shownIn(selector string) int {
	v.t.Helper()
	colours := map[[3]uint32]bool{}
	for range 100 {
		var data []byte
		v.do(chromedp.Screenshot(selector, &data, chromedp.ByQuery))
		picture, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			v.t.Fatal(err)
		}
		b := picture.Bounds().Inset(4)
		clear(colours)
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				r, g, bl, _ := picture.At(x, y).RGBA()
				colours[[3]uint32{r, g, bl}] = true
			}
		}
		if len(colours) > 2 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return len(colours)
}

// conversation is a file as the page exports it, of one question and one answer.
func conversation(t testing.TB, answer string) string {
	t.Helper()
	message := func(id string, parent any, role, text string, columns ...any) map[string]any {
		if columns == nil {
			columns = []any{}
		}
		return map[string]any{"id": id, "parent": parent, "role": role, "text": text,
			"pictures": []any{}, "columns": columns, "created": len(id)}
	}
	data, err := json.Marshal(map[string]any{"format": "eyelet-conversations", "version": 1,
		"pictures": []any{}, "conversations": []any{map[string]any{
			"id": "x", "title": "Imported", "created": 1, "updated": 1, "models": []string{"seed"},
			"system": "", "schema": "", "leaf": "aa",
			"messages": map[string]any{
				"q": message("q", nil, "user", "a question"),
				"aa": message("aa", "q", "assistant", "", map[string]any{"model": "seed",
					"text": answer, "thinking": "a thought"}),
			},
		}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "conversation.json")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// open imports a conversation with an answer and shows it.
func (v *visitor) open(answer string) {
	v.t.Helper()
	v.choose(`.sidebar input[type="file"]`, conversation(v.t, answer))
	v.press("Imported")
	v.read("article.question", "a question")
}

func TestAnswersAreSetAsMarkdown(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.open("# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```go\nfunc main() {}\n```\n\nSo $x^2$ and\n\n$$\\frac{1}{2}$$\n\n" +
		"<b onclick=\"alert(1)\">bold</b> <script>document.title = \"taken\"</script> ![x](http://127.0.0.1:1/x.png) [link](javascript:alert(1))\n\nIt costs $5 and $6.")
	v.see(".markdown h1")
	v.see(".markdown table td")
	v.read(".code code", "func main() {}")
	v.until(`document.querySelectorAll(".markdown math").length === 2`, "two formulas")
	v.read(".markdown", "It costs $5 and $6.")
	v.read(".thoughts", "a thought")
	for _, dangerous := range []string{".markdown script", ".markdown b", ".markdown img",
		`.markdown a[href^="javascript"]`} {
		if v.count(dangerous) > 0 {
			t.Errorf("the answer brought in %s", dangerous)
		}
	}
	v.press("Copy")
	v.until(`(navigator.clipboard.readText().then(t => window.copied = t), window.copied?.includes("# Title") === true)`, "the answer in the clipboard")
}

func TestAPreviewReachesNothing(t *testing.T) {
	var reached atomic.Int32
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	leak := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		reached.Add(1)
	})}
	go func() { _ = leak.Serve(listener) }()
	t.Cleanup(func() { leak.Close() })
	s := serve(t, "")
	v := visit(t, s.url)
	for _, part := range []string{"Content Security Policy", "Content-Security-Policy", "sandboxed",
		"Unsafe", "ERR_BLOCKED", "Failed to fetch", "Blocked"} {
		v.expect(part)
	}
	out := "http://" + listener.Addr().String()
	v.open("```html\n<body><h1>Shown</h1><img src=\"" + out + "/a.png\"><script>\n" +
		"fetch(\"" + out + "/b\").catch(() => 0); fetch(\"" + s.url +
		"/api/tags\").catch(() => 0);\n" +
		"try { parent.document.title = \"taken\" } catch (e) {}\n" +
		"try { localStorage.x = 1 } catch (e) {}\n" +
		"document.body.insertAdjacentHTML(\"beforeend\", \"<p style='color:red'>drawn by script</p>\");\n" +
		"setTimeout(() => { location = \"" + out + "/c\" }, 200);\n</script></body>\n```")
	if n := v.shownIn(".sketch iframe"); n < 3 {
		t.Errorf("the preview shows %d colours", n)
	}
	time.Sleep(time.Second) // for what the document tries
	if n := reached.Load(); n != 0 {
		t.Errorf("the document of a model reached a network %d times", n)
	}
	var title string
	v.do(chromedp.Title(&title))
	if title != "Eyelet" {
		t.Errorf("the document of a model has changed the page's title to %q", title)
	}
}

func TestModelsAnswerSideBySide(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.until(`!!document.querySelector('.composer select')?.value`, "a model")
	v.until(`(() => { const s = [...document.querySelectorAll(".composer select")].at(-1); s.value = "twin:latest"; s.dispatchEvent(new Event("change", {bubbles: true})); return true; })()`, "a second model")
	v.see(".composer .chip")
	v.ask("What is in this picture?", demo+"orange-circle.png")
	if n := v.count("article.answer .column"); n != 2 {
		t.Errorf("%d columns, want 2", n)
	}
	v.until(`[...document.querySelectorAll("article.answer .column")].every(c => c.textContent.includes("an orange circle"))`, "two answers")
	v.until(`document.querySelectorAll("article.answer .cost").length === 2`, "two costs")
	if n := v.count("article.answer mark"); n != 0 {
		t.Errorf("%d words of two equal answers are marked", n)
	}
}

func TestConversationsAreKept(t *testing.T) {
	s := serve(t, "")
	v := visit(t, s.url)
	v.ask("What color is the circle?", demo+"orange-circle.png")
	v.read("article.answer", "orange")

	// An edited question is a branch, and branches can be walked.
	v.press("Edit")
	v.write(".editor textarea", "What color is the background?")
	v.do(chromedp.SendKeys(".editor textarea", kb.Enter, chromedp.ByQuery))
	v.read("article.answer", "cyan")
	v.read(".versions", "2 of 2")
	v.press("Earlier version")
	v.read("article.answer", "orange")

	v.do(chromedp.Reload())
	v.press("What color is the circle?")
	v.read("article.answer", "orange")
	v.until(`document.querySelector("article.question img")?.naturalWidth > 0`,
		"the picture after a reload")
	v.press("Later version")
	v.read("article.answer", "cyan")
	v.press("Ask again")
	v.read("article.answer .versions", "2 of 2")

	v.press("Menu: What color is the circle?")
	v.press("Rename")
	v.write(".sidebar li input", "Circles")
	v.do(chromedp.SendKeys(".sidebar li input", kb.Enter, chromedp.ByQuery))
	v.read(".sidebar .entry", "Circles")
	v.press("Menu: Circles")
	v.press("Export as Markdown")
	if got := v.saved("Circles.md"); !strings.Contains(got, "# Circles") ||
		!strings.Contains(got, "cyan") {
		t.Errorf("the Markdown is %q", got)
	}
	v.press("Export all")
	exported := v.saved("eyelet.json")

	v.write("#search", "nothing of the kind")
	v.until(`document.querySelectorAll(".sidebar .entry").length === 0`, "no match")
	v.write("#search", "CYAN")
	v.until(`document.querySelectorAll(".sidebar .entry").length === 1`, "a match in an answer")
	v.press("Menu: Circles")
	v.press("Delete") // the dialog is answered with yes
	v.until(`document.querySelectorAll(".sidebar .entry").length === 0`, "no conversation")

	path := filepath.Join(t.TempDir(), "all.json")
	if err := os.WriteFile(path, []byte(exported), 0o644); err != nil {
		t.Fatal(err)
	}
	v.choose(`.sidebar input[type="file"]`, path)
	v.press("Circles")
	v.until(`document.querySelector("article.question img")?.naturalWidth > 0`,
		"the picture of an imported conversation")
	v.choose(`.sidebar input[type="file"]`, demo+"page.png")
	v.read(".sidebar", "holds no conversations")
}

func TestAServerThatGoesLosesNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := listener.Addr().String()
	listener.Close()
	s := serve(t, at)
	v := visit(t, s.url)
	v.expect("ERR_CONNECTION_REFUSED")
	v.expect("ERR_INCOMPLETE_CHUNKED_ENCODING")
	v.expect("ERR_EMPTY_RESPONSE")
	v.until(`!!document.querySelector('.composer select')?.value`, "a model")
	v.hold(`{"type": "string", "minLength": 3000}`)
	v.write("textarea.ask", "Write much.")
	v.press("Send")
	v.until(`document.querySelector("article.answer .column")?.textContent.length > 50`,
		"the beginning of an answer")
	v.write("textarea.ask", "What I was typing")
	s.end()
	v.see("article.answer .error")
	v.read(".banner", "trying again")
	serve(t, at)
	v.gone(".banner")
	v.until(`document.querySelector("textarea.ask").value === "What I was typing"`,
		"what was typed")
	v.press("Ask again")
	v.until(`document.querySelector("article.answer .column")?.textContent.length > 50`,
		"another answer")
	v.press("Stop")
	v.until(`!document.querySelector("[aria-busy=true]")`, "the end of it")
	v.read("article.answer .versions", "2 of 2")
}

func TestModelsAreManaged(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.press("Models")
	card := `[data-model="seed:latest"]`
	v.read(card, "sees pictures")
	v.read(card, "fits: needs about")
	v.press("Load")
	v.read("[data-model]", "loaded")
	v.press("Unload")
	v.until(`![...document.querySelectorAll("[data-model] p")].some(p => p.textContent.includes("loaded"))`, "no loaded model")
	v.press("Details")
	v.read("dialog pre", "general.architecture")
	v.press("Close")

	v.choose(`.upload input[type="file"]`, model, projector)
	v.write(`.upload input:not([type])`, "mine")
	v.press("Add a model from files")
	v.read(".upload", "mine is there")
	v.read(`[data-model="mine:latest"]`, "sees pictures")
	v.until(`(() => { const b = [...document.querySelectorAll('[data-model="mine:latest"] button')].find(b => b.textContent === "Delete"); b?.click(); return !!b; })()`, "a button to delete it")
	v.gone(`[data-model="mine:latest"]`)
}

func TestTheMachineIsSeenAtWork(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.ask("What is in this picture?", demo+"orange-circle.png")
	v.press("Machine")
	v.read(".card", "1 encoded")
	v.read(".facts", "Processor")
	v.see(".card meter")
}

func TestReportsAreShown(t *testing.T) {
	folder, err := filepath.Abs(root + "/docs")
	if err != nil {
		t.Fatal(err)
	}
	v := visit(t, serve(t, "", func(o *server.Options) { o.Reports = folder }).url)
	v.press("Reports")
	v.press("Open bench-quants")
	v.see(".reports iframe")
	if n := v.shownIn(".reports iframe"); n < 3 {
		t.Errorf("the report shows %d colours", n)
	}
}

func TestAKeyIsAskedForOnce(t *testing.T) {
	secret, line, err := server.NewKey("visitor", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := server.ParseKeys(strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	v := visit(t, serve(t, "", func(o *server.Options) { o.Keys = keys }).url)
	v.expect("401")
	v.write(`dialog input[type="password"]`, "wrong")
	v.press("Use it")
	v.read("dialog .error", "not known")
	v.write(`dialog input[type="password"]`, secret)
	v.press("Use it")
	v.gone("dialog")
	v.ask("What color is the background?", demo+"black-star.png")
	v.read("article.answer", "pink")
	v.do(chromedp.Reload())
	v.until(`!!document.querySelector('.composer select')?.value`,
		"models without being asked again")
}

func TestTheKeyboardIsEnough(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.until(`!!document.querySelector('.composer select')?.value && document.activeElement.matches("textarea.ask")`, "a question to type")
	v.do(input.InsertText("What is 1 + 1?"), chromedp.KeyEvent(kb.Enter))
	v.see("article.answer .cost")
	v.until(`document.activeElement.matches("textarea.ask")`, "the question to type the next one")
	v.do(chromedp.KeyEvent(kb.ArrowUp))
	v.until(`document.activeElement.matches(".editor textarea")`, "the question to edit")
	v.do(chromedp.KeyEvent(kb.Escape))
	v.gone(".editor")
	v.do(chromedp.KeyEvent("k", chromedp.KeyModifiers(input.ModifierCtrl)))
	v.until(`document.activeElement.id === "search"`, "the search")
	v.do(chromedp.KeyEvent("b", chromedp.KeyModifiers(input.ModifierCtrl)))
	v.gone(".sidebar")
	v.do(chromedp.KeyEvent("o", chromedp.KeyModifiers(input.ModifierCtrl|input.ModifierShift)))
	v.until(`document.querySelectorAll("article").length === 0`, "a new conversation")
}

func TestThePageFitsAPhoneAndEveryReader(t *testing.T) {
	axe, err := os.ReadFile(packages + "/node_modules/axe-core/axe.min.js")
	if err != nil {
		requirePackages(t)
		t.Fatal(err)
	}
	v := visit(t, serve(t, "").url)
	v.ask("What is in this picture?", demo+"orange-circle.png")
	check := func(state string) {
		t.Helper()
		var found []string
		var ignored any
		v.do(chromedp.Evaluate(string(axe)+";0", &ignored), chromedp.Evaluate(`axe.run().then(r => r.violations.filter(v => ["serious", "critical"].includes(v.impact))
			.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join("; ")))`, &found, awaitPromise))
		for _, f := range found {
			t.Errorf("%s: axe finds %s", state, f)
		}
	}
	check("chat")
	v.press("Colours: Dark")
	v.until(`document.documentElement.dataset.theme === "dark"`, "dark colours")
	check("chat, dark")
	for _, view := range []string{"Models", "Machine", "Reports"} {
		v.press(view)
		v.see("main.page h1")
		check(view)
	}
	v.press("Chat")
	v.do(emulation.SetDeviceMetricsOverride(360, 740, 2, true))
	v.until(`document.documentElement.scrollWidth <= 360`, "a page as wide as a phone")
	if v.count(".sidebar") == 0 {
		v.press("Conversations")
	}
	v.press("New conversation")
	v.gone(".sidebar")
	v.see(".welcome")
	v.screenshotSize(360)
}

func (v *visitor) screenshotSize(width int) {
	v.t.Helper()
	var data []byte
	v.do(chromedp.CaptureScreenshot(&data))
	config, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || config.Width != 2*width {
		v.t.Errorf("a screenshot is %d pixels wide (%v), want %d", config.Width, err, 2*width)
	}
}

// awaitPromise has an expression's promise awaited.
func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams {
	return p.WithAwaitPromise(true)
}
