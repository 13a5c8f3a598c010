package server

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/semaphore"
)

func TestPicturesComeOnlyFromWhereTheOperatorSays(t *testing.T) {
	data := picture(t, "shape-4.png")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }))
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
	p, err := newPictureSource([]string{strings.TrimPrefix(web.URL, "http://"), "file://" + folder + "/in"}, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	file := "file://" + folder
	memory := semaphore.NewWeighted(4 << 20)
	rec := &record{memory: held{of: memory}}
	ctx := context.WithValue(t.Context(), recordKey{}, rec)
	for address, says := range map[string]string{
		web.URL + "/a.png": "", web.URL + "/here": "", file + "/in/a.png": "", "data:image/png;base64," + base64.StdEncoding.EncodeToString(data): "",
		web.URL + "/there": "another host", web.URL + "/round": "redirects too often", web.URL + "/large": "larger than", web.URL + "/none": "404",
		web.URL + "/empty": "empty", other.URL + "/a.png": "fetches no pictures", "http://user:pw@" + strings.TrimPrefix(web.URL, "http://") + "/a.png": "fetches no pictures",
		file + "/out/b.png": "reads no such file", file + "/in/../out/b.png": "reads no such file", file + "/in/link.png": "reads no such file", file + "/in": "reads no such file",
		"file://other/in/a.png": "reads no such file", "ftp://x/y": "data URL", "data:image/png;base64," + strings.Repeat("A", 4<<20): "larger than", ":": "no URL",
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
		if _, err := p.get(ctx, address, "picture 1", "p"); failureOf(ctx, err).status != http.StatusServiceUnavailable {
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
		`{"prompt":[[1,2],[3]],"logprobs":3,"logit_bias":{"1":-100}}`, `{"input":["a","b"],"dimensions":3}`,
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
		var chat chatRequest
		if decodeJSON(body, &chat) == nil {
			if _, err := chat.request(m); err == nil {
				_ = s.openaiTalk(s.newTalk(t.Context(), m, false), chat.Messages)
			}
		}
		var c completionRequest
		if decodeJSON(body, &c) == nil {
			if list, n, err := c.tasks(m); err == nil && len(list)*n > maxCompletions {
				t.Fatal("too many answers")
			}
		}
		var r responseRequest
		if decodeJSON(body, &r) == nil {
			_, _ = r.request(s.newTalk(t.Context(), m, false), m)
		}
		var q messagesRequest
		if decodeJSON(body, &q) == nil {
			_, _ = q.request(s.newTalk(t.Context(), m, false), m)
		}
		var e embeddingRequest
		if decodeJSON(body, &e) == nil {
			_, _ = e.inputs()
		}
	})
}
