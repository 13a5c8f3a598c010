package page_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server"
	"github.com/eyelet-engine/eyelet/models/store"
)

const (
	root      = "../.."
	model     = root + "/models/builtin/eyelet-builtin-q8_0.gguf"
	projector = root + "/models/builtin/mmproj-eyelet-builtin-q8_0.gguf"
	demo      = root + "/models/builtin/demo/"
	packages  = root + "/build/npm-page"
)

// chromium is where scripts/npm-page puts the browser.
const chromium = packages + "/chromium/chromium"

// requirePackages skips the test where scripts/npm-page has not run, unless the peers of all tests
// are required.
func requirePackages(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	if _, err := os.Stat(filepath.Join(packages, ".complete")); err != nil {
		if os.Getenv("EYELET_PEERS") == "require" {
			t.Fatal("run scripts/npm-page: ", err)
		}
		t.Skip("run scripts/npm-page: ", err)
	}
}

// site is a running server.
type site struct {
	url   string
	end   func() // ends the server
	store *store.Store
}

// serve starts a server with the built-in model as "seed", at an address or, if that is empty, at a
// free one.
func serve(t testing.TB, at string, change ...func(*server.Options)) *site {
	t.Helper()
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pool := pool.New(e, pool.Options{})
	st, err := store.Open(store.Options{Root: t.TempDir(), NoOllama: true})
	if err != nil {
		t.Fatal(err)
	}
	spec := engine.ModelSpec{Model: model, Projector: projector}
	options := server.Options{
		Models:    []server.NamedModel{{Name: "seed", Spec: spec}, {Name: "twin", Spec: spec}},
		NoBuiltin: true, Version: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Limits: server.Limits{Grace: time.Second},
	}
	for _, c := range change {
		c(&options)
	}
	s, err := server.New(pool, st, options)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", max(at, "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return &site{url: "http://" + listener.Addr().String(), end: end, store: st}
}

// visitor is a browser with the page open, and what a person does with it. Its methods fail the
// test.
type visitor struct {
	t         testing.TB
	ctx       context.Context
	downloads string // where files are saved

	mu     sync.Mutex
	faults []string // what the console and the policy complained about
	allow  []string // parts of complaints that the test expects
}

// visit opens the page in a browser of its own. Errors in the console, and violations of the page's
// policy, fail the test.
func visit(t testing.TB, url string, options ...chromedp.ExecAllocatorOption) *visitor {
	t.Helper()
	requirePackages(t)
	path, err := filepath.Abs(chromium)
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(filepath.Dir(path), "lib")
	profile, err := os.MkdirTemp("", "eyelet-page")
	if err != nil {
		t.Fatal(err)
	}
	said := &output{}
	all := append(chromedp.DefaultExecAllocatorOptions[:len(
		chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Env("LD_LIBRARY_PATH="+lib,
			"FONTCONFIG_FILE="+filepath.Join(filepath.Dir(path), "fonts.conf")),
		chromedp.UserDataDir(profile), chromedp.CombinedOutput(said), chromedp.WindowSize(1280,
			800), chromedp.Flag("disable-quic", true),
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.WSURLReadTimeout(2*time.Minute))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(all, options...)...)
	ctx, cancelBrowser := chromedp.NewContext(allocator,
		chromedp.WithErrorf(func(format string, args ...any) {
			fmt.Fprintf(said, format+"\n", args...)
		}))
	ctx, cancelTime := context.WithTimeout(ctx, 30*time.Minute)
	v := &visitor{t: t, ctx: ctx, downloads: t.TempDir()}
	t.Cleanup(func() {
		if t.Failed() {
			v.screenshot(filepath.Join(os.TempDir(), strings.ReplaceAll(t.Name(), "/", "-")+".png"))
		}
		_ = chromedp.Cancel(ctx) // waits for the browser's end
		cancelTime()
		cancelBrowser()
		cancel()
		_ = os.RemoveAll(profile) // a process of the browser may still write there
		v.checkFaults()
		if t.Failed() {
			t.Logf("the browser said:\n%s", said)
		}
	})
	chromedp.ListenTarget(ctx, v.hear)
	v.do(chromedp.Navigate("about:blank"), log.Enable(), runtime.Enable(),
		browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(
			v.downloads).WithEventsEnabled(true),
		browser.SetPermission(&browser.PermissionDescriptor{Name: "clipboard-write"},
			browser.PermissionSettingGranted),
		browser.SetPermission(&browser.PermissionDescriptor{Name: "clipboard-read"},
			browser.PermissionSettingGranted),
		chromedp.Navigate(url))
	return v
}

// output is what a browser writes to its standard output and error.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// hear collects complaints of the browser, and says yes to dialogs.
func (v *visitor) hear(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError {
			v.complain(e.Entry.Text + " " + e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		v.complain(e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError {
			v.complain(fmt.Sprintf("console.error %s", e.Args[0].Value))
		}
	case *page.EventJavascriptDialogOpening:
		go func() { _ = chromedp.Run(v.ctx, page.HandleJavaScriptDialog(true)) }()
	}
}

func (v *visitor) complain(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults = append(v.faults, text)
}

// expect names a part of a complaint that belongs to the test.
func (v *visitor) expect(part string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.allow = append(v.allow, part)
}

func (v *visitor) checkFaults() {
	v.mu.Lock()
	defer v.mu.Unlock()
next:
	for _, fault := range v.faults {
		for _, part := range v.allow {
			if strings.Contains(fault, part) {
				continue next
			}
		}
		v.t.Errorf("the browser complains: %s", fault)
	}
}

// do runs actions.
func (v *visitor) do(actions ...chromedp.Action) {
	v.t.Helper()
	if err := chromedp.Run(v.ctx, actions...); err != nil {
		v.lost()
		v.t.Fatal(err)
	}
}

// retried is set in the process that runs a test again.
const retried = "EYELET_PAGE_RETRIED"

// lost runs the test again, in a process and with a browser of its own, if the browser has ended by
// itself: under load that happens now and then, and says nothing of the page. What ends the browser
// again is a failure.
func (v *visitor) lost() {
	v.t.Helper()
	if v.ctx.Err() == nil || os.Getenv(retried) != "" {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	cmd := exec.Command(self, "-test.run", "^"+v.t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), retried+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		v.t.Logf("run again, since the browser had ended:\n%s", out)
		return
	}
	v.t.Skip("the browser ended by itself; the test passed when it was run again")
}

// screenshot leaves a picture of the page in a file.
func (v *visitor) screenshot(path string) {
	var data []byte
	if err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot(&data)); err == nil {
		_ = os.WriteFile(path, data, 0o644)
		v.t.Logf("the page as it was: %s", path)
	}
}

// click clicks what a CSS selector finds first, once it can be seen.
func (v *visitor) click(selector string) {
	v.t.Helper()
	v.see(selector)
	v.do(chromedp.Click(selector, chromedp.ByQuery))
}

// press clicks the button, tab or link with a text or a label, the last of several.
func (v *visitor) press(name string) {
	v.t.Helper()
	v.until(fmt.Sprintf(`(() => {
		const all = [...(document.querySelector("dialog[open]") ?? document).querySelectorAll("button, summary, a")].filter(e =>
			(e.getAttribute("aria-label") ?? e.textContent).trim() === %q && e.offsetParent !== null && !e.disabled);
		if (!all.length) return false;
		all.at(-1).click();
		return true;
	})()`, name), "a button "+name)
}

// write types a text where a selector points, over what was there.
func (v *visitor) write(selector, text string) {
	v.t.Helper()
	v.until(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e?.focus(); e?.select(); return !!e && document.activeElement === e; })()`, selector), selector+" to type into")
	v.do(input.InsertText(text))
}

// see waits until an element is there.
func (v *visitor) see(selector string) {
	v.t.Helper()
	v.until(fmt.Sprintf(`!!document.querySelector(%q)`, selector), selector)
}

// read waits until an element holds a text.
func (v *visitor) read(selector, text string) {
	v.t.Helper()
	v.until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.textContent.includes(%q))`,
		selector, text), fmt.Sprintf("%s with %q", selector, text))
}

// gone waits until an element is there no more.
func (v *visitor) gone(selector string) {
	v.t.Helper()
	v.until(fmt.Sprintf(`!document.querySelector(%q)`, selector), "no "+selector)
}

// until waits for an expression to be true.
func (v *visitor) until(expression, what string) {
	v.t.Helper()
	for end := time.Now().Add(v.patience()); ; time.Sleep(30 * time.Millisecond) {
		var ok bool
		if err := chromedp.Run(v.ctx, chromedp.Evaluate(expression, &ok)); err != nil {
			v.lost()
			v.t.Fatalf("waiting for %s: %v", what, err)
		}
		if ok {
			return
		}
		if time.Now().After(end) {
			var text string
			_ = chromedp.Run(v.ctx, chromedp.Evaluate(`document.body.innerText`, &text))
			v.t.Fatalf("%s does not come; the page says:\n%s", what, text)
		}
	}
}

// patience is how long a person waits for something. Benchmarks wait for long answers.
func (v *visitor) patience() time.Duration {
	if _, benchmark := v.t.(*testing.B); benchmark {
		return 10 * time.Minute
	}
	return time.Minute
}

// count is how many elements a selector finds.
func (v *visitor) count(selector string) int {
	v.t.Helper()
	var n int
	v.do(chromedp.Evaluate(fmt.Sprintf(`document.querySelectorAll(%q).length`, selector), &n))
	return n
}

// choose gives files to a file input, as the browser's dialog does.
func (v *visitor) choose(selector string, paths ...string) {
	v.t.Helper()
	var files []string
	for _, p := range paths {
		absolute, err := filepath.Abs(p)
		if err != nil {
			v.t.Fatal(err)
		}
		files = append(files, absolute)
	}
	v.see(selector)
	v.do(chromedp.ActionFunc(func(ctx context.Context) error {
		var nodes []*cdp.Node
		if err := chromedp.Nodes(selector, &nodes, chromedp.ByQuery).Do(ctx); err != nil {
			return err
		}
		return dom.SetFileInputFiles(files).WithNodeID(nodes[0].NodeID).Do(ctx)
	}))
}

const pictureInput = `.composer input[type="file"]`

// ask asks a question about pictures, and waits for the answer.
func (v *visitor) ask(question string, pictures ...string) {
	v.t.Helper()
	v.until(`!!document.querySelector('.composer select')?.value`, "a model")
	if len(pictures) > 0 {
		v.choose(pictureInput, pictures...)
		v.until(fmt.Sprintf(`document.querySelectorAll('.composer .thumbnail').length === %d`,
			len(pictures)), "thumbnails")
	}
	before := v.count("article.answer")
	v.write("textarea.ask", question)
	v.press("Send")
	v.until(fmt.Sprintf(`document.querySelectorAll("article.answer").length === %d && !document.querySelector("[aria-busy=true]")`, before+1), "an answer")
}

// saved waits for a file that the page saved, and returns what it holds.
func (v *visitor) saved(name string) string {
	v.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(30 *
		time.Millisecond) {
		if data, err := os.ReadFile(filepath.Join(v.downloads, name)); err == nil && len(data) > 0 {
			return string(data)
		}
	}
	entries, _ := os.ReadDir(v.downloads)
	v.t.Fatalf("no file %s was saved; there are %v", name, entries)
	return ""
}
