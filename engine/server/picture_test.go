package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/anthropic"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

func TestTheLargestBodyAndPictureFindRoom(t *testing.T) {
	for _, limits := range []Limits{{Body: 1 << 20, Memory: 8 << 20}, {Body: 3 << 20,
		Memory: 1, ImageBytes: 5 << 20}} {
		l := limits.withDefaults(0)
		h := held{of: semaphore.NewWeighted(l.Memory)}
		for _, most := range []int64{l.Body, l.ImageBytes} {
			// of sizes that nobody promises, and with the byte that shows that they are too large
			data, err := h.readAll(io.LimitReader(zeros{}, most+1), -1)
			if err != nil || int64(len(data)) != most+1 {
				t.Errorf("%+v: %d of %d bytes, %v", limits, len(data), most, err)
			}
		}
		h.release()
	}
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestPicturesComeOnlyFromWhereTheOperatorSays(t *testing.T) {
	data := picture(t, "shape-4.png")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(data)
	}))
	defer other.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/a.png", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	mux.Handle("/here", http.RedirectHandler("/a.png", http.StatusFound))
	mux.Handle("/there", http.RedirectHandler(other.URL+"/a.png", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/none", http.NotFound)
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	web := httptest.NewServer(mux)
	defer web.Close()
	folder := t.TempDir()
	for name, content := range map[string][]byte{"in/a.png": data, "out/b.png": data} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../out/b.png", filepath.Join(folder, "in", "link.png")); err != nil {
		t.Fatal(err)
	}
	p, err := newPictureSource([]string{strings.TrimPrefix(web.URL, "http://"), "file://" + folder +
		"/in"}, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	file := "file://" + folder
	memory := semaphore.NewWeighted(4 << 20)
	rec := &record{memory: held{of: memory}}
	ctx := context.WithValue(t.Context(), recordKey{}, rec)
	for address, says := range map[string]string{
		web.URL + "/a.png": "", web.URL + "/here": "", file + "/in/a.png": "",
		"data:image/png;base64," + base64.StdEncoding.EncodeToString(data): "",
		web.URL + "/there": "another host", web.URL + "/round": "redirects too often",
		web.URL + "/large": "larger than", web.URL + "/none": "404",
		web.URL + "/empty": "empty", other.URL + "/a.png": "fetches no pictures",
		"http://user:pw@" + strings.TrimPrefix(web.URL, "http://") +
			"/a.png": "fetches no pictures",
		file + "/out/b.png": "reads no such file", file + "/in/../out/b.png": "reads no such file",
		file + "/in/link.png": "reads no such file", file + "/in": "reads no such file",
		"file://other/in/a.png": "reads no such file", "ftp://x/y": "data URL",
		"data:image/png;base64," + strings.Repeat("A", 4<<20): "larger than", ":": "no URL",
	} {
		image, err := p.get(ctx, address, "picture 1", "p")
		switch {
		case says == "" && (err != nil || len(image.Data) != len(data)):
			t.Errorf("%.60s: %v", address, err)
		case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
			t.Errorf("%.60s: %v, want one that says %q", address, err, says)
		}
		rec.memory.release()
	}
	if !memory.TryAcquire(4 << 20) {
		t.Fatal("memory of pictures is still held")
	}
	for _, address := range []string{web.URL + "/a.png", file + "/in/a.png"} {
		if _, err := p.get(ctx, address, "picture 1", "p"); failure.Of(ctx,
			err).Status != http.StatusServiceUnavailable {
			t.Errorf("without memory, %s: %v", address, err)
		}
	}
	for _, bad := range []string{"*", "http://x", "", "file://relative", "a b"} {
		if _, err := newPictureSource([]string{bad}, 1); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// asksJSON is the body of a question.
func asksJSON(question string) string {
	return `{"model":"seed","messages":[{"role":"user","content":"` + question + `"}]}`
}

// FuzzRequests reads requests of all APIs as far as no model is needed.
func FuzzRequests(f *testing.F) {
	for _, body := range []string{
		asksJSON("x"),
		`{"model":"a","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}},{"type":"text","text":"x"}]},{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":"required","stop":["a"],"n":2}`,
		`{"input":[{"role":"user","content":"x"},{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"x"}],"text":{"format":{"type":"json_schema","schema":{}}}}`,
		`{"max_tokens":5,"system":"x","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"x"}]},{"type":"image","source":{"type":"base64","data":"aGk="}}]}],"tool_choice":{"type":"any"}}`,
		`{"prompt":[[1,2],[3]],"logprobs":3,"logit_bias":{"1":-100}}`,
		`{"input":["a","b"],"dimensions":3}`,
		`{"prompt":["a",[1,2.0],"",[]],"max_tokens":"0","echo":true,"temperature":"0.5","seed":1e3}`,
	} {
		f.Add([]byte(body))
	}
	pictures, err := newPictureSource(nil, 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	s := &Server{pictures: pictures, limits: Limits{}.withDefaults(0)}
	m := &model{}
	f.Fuzz(func(t *testing.T, body []byte) {
		var chat openai.ChatRequest
		if decodeJSON(body, &chat) == nil {
			if _, err := chat.Request(m.params()); err == nil {
				_ = s.openaiTalk(s.newTalk(t.Context(), m, false), chat.Messages)
			}
		}
		var c openai.CompletionRequest
		if decodeJSON(body, &c) == nil {
			if list, n, err := c.Tasks(m.params()); err == nil && len(list)*n > 2048 {
				t.Fatal("too many answers")
			}
		}
		var r openai.ResponseRequest
		if decodeJSON(body, &r) == nil {
			if r.Check() == nil && s.newTalk(t.Context(), m, false).responseTurns(r.Input) == nil {
				_, _ = r.Request(m.params())
			}
		}
		var q anthropic.Request
		if decodeJSON(body, &q) == nil {
			talk := s.newTalk(t.Context(), m, false)
			if _, err := talk.anthropicContent(q.System, "system", "is"); err == nil &&
				talk.anthropicTurns(q.Messages) == nil {
				_, _ = q.Request(m.params())
			}
		}
		var e openai.EmbeddingRequest
		if decodeJSON(body, &e) == nil {
			_, _ = e.Inputs()
		}
	})
}

// spellings are the ways in which clients write a picture.
func spellings(data []byte) map[string]string {
	std, raw, forURL := base64.StdEncoding.EncodeToString(data),
		base64.RawStdEncoding.EncodeToString(data), base64.RawURLEncoding.EncodeToString(data)
	var lines strings.Builder
	for i := 0; i < len(std); i += 76 {
		lines.WriteString(std[i:min(i+76, len(std))] + "\r\n")
	}
	return map[string]string{
		"a data URL": "data:image/png;base64," + std, "no padding": "data:image/png;base64," + raw,
		"the alphabet for URLs": "data:image/png;base64," + forURL,
		"padding for URLs":      "data:image/png;base64," + base64.URLEncoding.EncodeToString(data),
		"percent signs":         "data:image/png;base64," + url.QueryEscape(std),
		"percent signs in part": "data:image/png;base64," + strings.ReplaceAll(std, "=", "%3D"),
		"pluses as blanks":      "data:image/png;base64," + strings.ReplaceAll(std, "+", " "),
		"a blank":               "data:image/png; base64," + std,
		"blanks":                " data:image/png ; charset=utf-8 ; BASE64 , " + std + " ",
		"lines":                 "data:image/png;base64,\n" + lines.String(),
		"no type":               "data:;base64," + std, "a wrong type": "data:text/plain;base64," +
			std,
		"capitals": "DATA:IMAGE/PNG;BASE64," + std, "base64 not announced": "data:image/png," +
			std,
		"percent-encoded bytes": "data:image/png," + url.PathEscape(string(data)),
		"a data URL within":     "data:image/png;base64,data:image/png;base64," + std,
		"base64 alone":          std, "base64 alone, no padding": forURL,
		"base64 alone in lines": lines.String(),
	}
}

func TestPicturesAreTakenInEverySpelling(t *testing.T) {
	ts := serve(t)
	// decoders stop before; it gives base64 both special characters
	data := append(picture(t, "shape-4.png"), 0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff)
	for len(data)%3 != 1 {
		data = append(data, 0xfb)
	}
	p := ts.pictures
	for name, text := range spellings(data) {
		image, err := p.get(t.Context(), text, "picture 1", "p")
		if err != nil || !bytes.Equal(image.Data, data) {
			t.Errorf("%s, as an address: %v", name, err)
		}
		if image, err = p.inline(text, "picture 1", "p"); err != nil ||
			!bytes.Equal(image.Data, data) {
			t.Errorf("%s, as data: %v", name, err)
		}
	}
	quoted := func(v any) string {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	const question = "What color is the background?"
	for _, name := range []string{"no padding", "a blank", "base64 alone", "a data URL",
		"percent signs"} {
		text := quoted(spellings(data)[name])
		for path, body := range map[string]string{
			"/v1/chat/completions": `{"model":"seed","temperature":0,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":` + text + `}},{"type":"text","text":"` + question + `"}]}]}`,
			"/v1/responses":        `{"model":"seed","temperature":0,"input":[{"role":"user","content":[{"type":"input_image","image_url":` + text + `},{"type":"input_text","text":"` + question + `"}]}]}`,
			"/v1/messages":         `{"model":"seed","temperature":0,"max_tokens":"20","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":` + text + `}},{"type":"text","text":"` + question + `"}]}]}`,
			"/api/chat":            `{"model":"seed","stream":false,"options":{"temperature":"0"},"messages":[{"role":"User","content":"` + question + `","images":[` + text + `]}]}`,
			"/api/generate":        `{"model":"seed","stream":false,"options":{"temperature":0},"prompt":"` + question + `","images":` + text + `}`,
		} {
			if r := ts.do(t, "POST", path, body); r.status != 200 || !strings.Contains(r.text,
				"cyan") {
				t.Errorf("%s, %s: %d %s", path, name, r.status, r.text)
			}
		}
	}
}

func TestErrorsAboutPicturesNameMessageAndPicture(t *testing.T) {
	ts := serve(t)
	good := base64.StdEncoding.EncodeToString(picture(t, "shape-4.png"))
	for bad, says := range map[string]string{"!!!!": "base64", "aGVsbG8gd29ybGQ=": "",
		"data:image/png;base64," + good[:41]: "", "": "empty", "data:image/png": "comma"} {
		for path, body := range map[string]string{
			"/v1/chat/completions": `{"model":"seed","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + good + `"}}]},{"role":"assistant","content":"a"},{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":"` + bad + `"}]}]}`,
			"/v1/messages":         `{"model":"seed","max_tokens":2,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"` + good + `"}}]},{"role":"assistant","content":"a"},{"role":"user","content":[{"type":"text","text":"x"},{"type":"image","source":{"type":"base64","data":"` + bad + `"}}]}]}`,
			"/api/chat":            `{"model":"seed","messages":[{"role":"user","content":"x","images":["` + good + `"]},{"role":"assistant","content":"a"},{"role":"user","content":"x","images":["` + bad + `"]}]}`,
		} {
			if bad != "!!!!" && says != "" && path == "/v1/chat/completions" {
				continue // an address that is neither is told of as an address
			}
			if r := ts.do(t, "POST", path, body); r.status != 400 || !strings.Contains(r.text,
				"picture 2") || !strings.Contains(r.text, "message 3") && !strings.Contains(r.text,
				"picture 2:") || path != "/v1/chat/completions" && !strings.Contains(r.text,
				says) {
				t.Errorf("%s, %q: %d %s", path, bad, r.status, r.text)
			}
		}
	}
}

// FuzzPictureData decodes what may be a picture.
func FuzzPictureData(f *testing.F) {
	for _, text := range spellings([]byte("\x89PNG\r\n\x1a\n\x00\xff\xfe")) {
		f.Add(text)
	}
	p, err := newPictureSource(nil, 1<<10)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, decode := range []func() (*engine.Image, error){
			func() (*engine.Image, error) {
				return p.inline(text, "picture 1", "p")
			}, func() (*engine.Image, error) {
				return p.get(t.Context(), text, "picture 1", "p")
			}} {
			if image, err := decode(); (err == nil) != (image != nil) ||
				image != nil && (len(image.Data) == 0 || len(image.Data) > 1<<10) {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
