package server

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document/documenttest"
)

// pdfOf is a PDF file of test pictures, one a page, in base64.
func pdfOf(t *testing.T, names ...string) string {
	t.Helper()
	var pages []*imaging.RGB
	for _, name := range names {
		m, err := imaging.Decode(picture(t, name), imaging.Options{})
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, m)
	}
	return base64.StdEncoding.EncodeToString(documenttest.PDF(pages...))
}

// requests ask about a file, in base64, on every route that takes files: path and body by name.
func requests(file string) map[string][2]string {
	const question = "What color is the star?"
	url := "data:application/pdf;base64," + file
	chat := func(part string) string {
		return `{"model":"seed","temperature":0,"max_tokens":12,"messages":[{"role":"user","content":[` + part + `,{"type":"text","text":"` + question + `"}]}]}`
	}
	respond := func(part string) string {
		return `{"model":"seed","temperature":0,"max_output_tokens":12,"input":[{"role":"user","content":[` + part + `,{"type":"input_text","text":"` + question + `"}]}]}`
	}
	return map[string][2]string{
		"chat, a file": {"/v1/chat/completions",
			chat(fmt.Sprintf(`{"type":"file","file":{"filename":"a.pdf","file_data":%q}}`,
				url))},
		"chat, base64 alone": {"/v1/chat/completions",
			chat(fmt.Sprintf(`{"type":"file","file":{"filename":"a.pdf","file_data":%q}}`,
				file))},
		"chat, for a picture": {"/v1/chat/completions",
			chat(fmt.Sprintf(`{"type":"image_url","image_url":{"url":%q}}`, url))},
		"responses, input_file": {"/v1/responses",
			respond(fmt.Sprintf(`{"type":"input_file","filename":"a.pdf","file_data":%q}`,
				url))},
		"responses, file_url": {"/v1/responses",
			respond(fmt.Sprintf(`{"type":"input_file","file_url":%q}`, url))},
		"anthropic, document": {"/v1/messages",
			chat(fmt.Sprintf(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":%q}}`, file))},
		"ollama, chat":     {"/api/chat", `{"model":"seed","stream":false,"options":{"temperature":0,"num_predict":12},"messages":[{"role":"user","content":"` + question + `","images":["` + file + `"]}]}`},
		"ollama, generate": {"/api/generate", `{"model":"seed","stream":false,"options":{"temperature":0,"num_predict":12},"prompt":"` + question + `","images":["` + file + `"]}`},
	}
}

func TestPDFFilesAreTakenOnAllRoutes(t *testing.T) {
	peers.WithoutRaceDetector(t)
	ts := serve(t)
	one, two := requests(pdfOf(t, "shape-2.png")), requests(pdfOf(t, "shape-2.png", "shape-4.png"))
	locked := requests(base64.StdEncoding.EncodeToString(
		[]byte("%PDF-1.7\nnothing that could be a page")))
	var many []string
	for range 65 {
		many = append(many, "shape-2.png")
	}
	long := requests(pdfOf(t, many...))
	for name, c := range one {
		t.Run(name, func(t *testing.T) {
			a, b := ts.do(t, "POST", c[0], c[1]), ts.do(t, "POST", two[name][0], two[name][1])
			if a.status != 200 || b.status != 200 {
				t.Fatalf("%d %s\n%d %s", a.status, a.text, b.status, b.text)
			}
			if !strings.Contains(a.text, "black") {
				t.Errorf("%s", a.text)
			}
			if n, k := promptTokens(t, b), promptTokens(t, a); n < k+64 || n > k+66 {
				t.Errorf("%d tokens with two pages, %d with one", n, k)
			}
			if r := ts.do(t, "POST", c[0], locked[name][1]); r.status != 400 ||
				!strings.Contains(r.text, "file 1") || !strings.Contains(r.text,
				"corrupt or truncated PDF") {
				t.Errorf("a damaged file: %d %s", r.status, r.text)
			}
			if r := ts.do(t, "POST", c[0], long[name][1]); r.status != 400 ||
				!strings.Contains(r.text, "PDF of 65 pages") {
				t.Errorf("too many pages: %d %s", r.status, r.text)
			}
		})
	}
}

// Whatever is wrong with a file, on whichever route it comes, the error names the file and what is
// wrong with it, and the server answers the next request.
func TestDamagedFilesAreRefusedOnAllRoutes(t *testing.T) {
	ts := serve(t)
	const pictures = "../../kernels/imaging/"
	const files = pictures + "testdata/files/"
	routes := slices.Sorted(maps.Keys(requests("")))
	next := 0
	ask := func(data []byte) httpReply {
		c := requests(base64.StdEncoding.EncodeToString(data))[routes[next%len(routes)]]
		return ts.do(t, "POST", c[0], c[1])
	}
	for _, path := range []string{
		files + "444.jpg", files + "grey.png", files + "animated.gif", files + "lossy.webp",
		files + "rgb.bmp", files + "lzw.tiff", files + "grey.heic", files + "444.avif",
		files + "lossy.jxl", pictures + "document/testdata/pages.pdf",
	} {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for fault, data := range map[string][]byte{
			"beginning": whole[:12], "cut": whole[:len(whole)/2], "empty": nil,
			"lying": append(whole[:min(len(whole), 24):len(whole)],
				bytes.Repeat([]byte{0x7f}, 64)...),
		} {
			r := ask(data)
			name := fault + " " + filepath.Base(path) + ", " + routes[next%len(routes)]
			next++
			// of some files, what stands before the damage is shown
			if r.status == 200 && fault == "cut" {
				continue
			}
			if r.status != 400 && r.status != 413 || strings.Contains(r.text, "goroutine") ||
				!regexp.MustCompile(`(file|picture) 1|content\[0\]`).MatchString(
					r.text) {
				t.Errorf("%s: %d %s", name, r.status, r.text)
			}
		}
	}
	for range routes {
		r := ask(picture(t, "shape-2.png"))
		if r.status != 200 || !strings.Contains(r.text, "black") {
			t.Errorf("%s, the next request: %d %s", routes[next%len(routes)], r.status, r.text)
		}
		next++
	}
}

func TestErrorsNameFieldsAsClientsKnowThem(t *testing.T) {
	for path, want := range map[string]string{
		"Sampling.ImageTokens.image_max_tokens": "image_max_tokens",
		"messages.plainMessage.content":         "messages.content",
		"options.num_ctx":                       "options.num_ctx",
		"ChatRequest.stream":                    "stream", "": "",
	} {
		if got := fieldOf(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	r := serve(t).do(t, "POST", "/v1/chat/completions",
		`{"model":"seed","messages":[{"role":"user","content":"x"}],"temperature":"warm"}`)
	if r.status != 400 || strings.Contains(r.text, "Sampling") || !strings.Contains(r.text,
		`"temperature"`) {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestDocumentsOfTextAndWhatIsNoDocument(t *testing.T) {
	ts := serve(t)
	message := func(part string) string {
		return `{"model":"seed","temperature":0,"max_tokens":4,"messages":[{"role":"user","content":[` + part + `,{"type":"text","text":"Go on."}]}]}`
	}
	for name, part := range map[string]string{
		"text":    `{"type":"document","title":"A report","context":"of today","source":{"type":"text","media_type":"text/plain","data":"It rains."}}`,
		"content": `{"type":"document","source":{"type":"content","content":[{"type":"text","text":"It rains."}]}}`,
	} {
		if r := ts.do(t, "POST", "/v1/messages", message(part)); r.status != 200 {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	for name, c := range map[string]struct{ path, part, want string }{
		"a file's id": {"/v1/chat/completions",
			`{"type":"file","file":{"file_id":"f1"}}`, "keeps no files"},
		"a picture's id": {"/v1/chat/completions", `{"type":"input_image","file_id":"f1"}`,
			"keeps no files"},
		"a file of nothing": {"/v1/chat/completions", `{"type":"file","file":{}}`,
			"has no file_data"},
		"a text for a file": {"/v1/chat/completions", `{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,aGVsbG8gd29ybGQ="}}`, "neither a PDF nor a picture"},
		"sound": {"/v1/chat/completions",
			`{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}`,
			"no sound that is known"},
		"a document's id": {"/v1/messages",
			`{"type":"document","source":{"type":"file","file_id":"f1"}}`, "keeps no files"},
		"an empty document":       {"/v1/messages", `{"type":"document"}`, "has no source"},
		"a film":                  {"/v1/chat/completions", `{"type":"image_url","image_url":{"url":"data:video/mp4;base64,AAAAIGZ0eXBpc29tAAACAGlzb21pc28yYXZjMW1wNDE="}}`, "this is a video"},
		"a drawing for a picture": {"/v1/chat/completions", `{"type":"image_url","image_url":{"url":"data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="}}`, "rsvg-convert"},
	} {
		if r := ts.do(t, "POST", c.path, message(c.part)); r.status != 400 ||
			!strings.Contains(r.text, c.want) {
			t.Errorf("%s: %d %s, want %q", name, r.status, r.text, c.want)
		}
	}
}

// A model that does not hear says so on every route, and answers the next request; nothing here
// speaks.
func TestSoundsAreRefusedByModelsThatDoNotHear(t *testing.T) {
	ts := serve(t)
	data, err := os.ReadFile("../../kernels/sound/testdata/s16.wav")
	if err != nil {
		t.Fatal(err)
	}
	wav := base64.StdEncoding.EncodeToString(data)
	part := `{"type":"input_audio","input_audio":{"data":"` + wav + `","format":"wav"}}`
	openai := `[{"role":"user","content":[` + part + `,{"type":"TEXT","text":"What is said?"}]}]`
	for name, c := range map[string]struct{ path, body, want string }{
		"chat": {"/v1/chat/completions", `{"model":"seed","messages":` +
			strings.ReplaceAll(openai, "TEXT", "text") + `}`, "cannot hear sounds"},
		"responses": {"/v1/responses", `{"model":"seed","input":` + strings.ReplaceAll(openai,
			"TEXT", "input_text") + `}`, "cannot hear sounds"},
		"ollama": {"/api/chat",
			`{"model":"seed","messages":[{"role":"user","content":"What is said?","images":["` +
				wav + `"]}]}`, "cannot hear sounds"},
		"ollama, raw": {"/api/generate",
			`{"model":"seed","raw":true,"prompt":"[img-0] x","images":["` + wav + `"]}`,
			"cannot hear sounds"},
		"ollama generate": {"/api/generate",
			`{"model":"seed","prompt":"What is said?","images":["` + wav + `"]}`,
			"cannot hear sounds"},
		"spoken answers": {"/v1/chat/completions", `{"model":"seed","modalities":["text","audio"],"messages":[{"role":"user","content":"x"}]}`, "modalities"},
		"a voice": {"/v1/chat/completions",
			`{"model":"seed","audio":{"voice":"a"},"messages":[{"role":"user","content":"x"}]}`,
			"audio"},
		"no data": {"/v1/chat/completions", `{"model":"seed","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":5}}]}]}`, "data"},
	} {
		if r := ts.do(t, "POST", c.path, c.body); r.status != 400 || !strings.Contains(r.text,
			c.want) || strings.Contains(r.text, ".gguf") {
			t.Errorf("%s: %d %s, want %q", name, r.status, r.text, c.want)
		}
	}
	if r := ts.do(t, "POST",
		"/v1/chat/completions", `{"model":"seed","modalities":["text"],"audio":null,"max_tokens":1,"messages":[{"role":"user","content":"x"}]}`); r.status != 200 {
		t.Errorf("text alone: %d %s", r.status, r.text)
	}
}

func TestTheTokensOfPicturesAreBoundedAndCounted(t *testing.T) {
	ts := serve(t)
	url := dataURL(t, "shape-2.png")
	chat := func(more, detail string) string {
		return `{"model":"seed","max_tokens":2,` + more +
			`"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + url +
			`"` + detail + `}},{"type":"text","text":"x"}]}]}`
	}
	respond := func(detail string) string {
		return `{"model":"seed","max_output_tokens":2,"input":[{"role":"user","content":[{"type":"input_image","image_url":"` + url + `"` + detail + `},{"type":"input_text","text":"x"}]}]}`
	}
	ollama := func(options string) string {
		return `{"model":"seed","stream":false,"options":{"num_predict":2,` + options +
			`},"messages":[{"role":"user","content":"x","images":["` + url + `"]}]}`
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
		want       string
	}{
		// a fixed grid
		"chat": {"/v1/chat/completions",
			chat(`"image_max_tokens":32,"image_min_tokens":8,`, ""), 200, `"image_tokens":64`},
		"chat, low": {"/v1/chat/completions", chat("", `,"detail":"low"`), 200,
			`"image_tokens":64`},
		"chat, detail a number": {"/v1/chat/completions", chat("", `,"detail":5`), 400,
			"detail"},
		"chat, detail a list": {"/v1/chat/completions", chat("", `,"detail":["low"]`), 400,
			"detail"},
		"chat, detail null": {"/v1/chat/completions", chat("", `,"detail":null`), 200,
			`"image_tokens":64`},
		"responses, detail a number": {"/v1/responses", respond(`,"detail":5`), 400, "detail"},
		"chat, of no detail": {"/v1/chat/completions", chat("", `,"detail":"blurred"`), 400,
			"low, high or auto"},
		"chat, contradicted": {"/v1/chat/completions",
			chat(`"image_max_tokens":8,"image_min_tokens":32,`, ""), 400, "above image_max_tokens"},
		"chat, negative": {"/v1/chat/completions", chat(`"image_max_tokens":-1,`, ""),
			400, "image_max_tokens is -1"},
		"responses": {"/v1/responses", respond(`,"detail":"auto"`), 200, "output"},
		"responses, wrong": {"/v1/responses", respond(`,"detail":"blurred"`), 400,
			"low, high or auto"},
		"anthropic": {"/v1/messages", `{"model":"seed","max_tokens":2,"image_max_tokens":"x","messages":[{"role":"user","content":"x"}]}`, 400, "image_max_tokens"},
		"ollama": {"/api/chat", ollama(`"image_max_tokens":32`), 200,
			"prompt_eval_count"},
		"ollama, wrong": {"/api/chat",
			ollama(`"image_max_tokens":8,"image_min_tokens":32`), 400, "above image_max_tokens"},
		"ollama, a fraction": {"/api/chat", ollama(`"image_max_tokens":8.5`), 400,
			"whole number"},
	} {
		if r := ts.do(t, "POST", c.path, c.body); r.status != c.status ||
			!strings.Contains(strings.ReplaceAll(r.text, " ", ""), strings.ReplaceAll(c.want, " ",
				"")) {
			t.Errorf("%s: %d %s, want %d and %q", name, r.status, r.text, c.status, c.want)
		}
	}
}
