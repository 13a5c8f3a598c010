package server

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNamesAreFoundAsOllamasClientsWriteThem(t *testing.T) {
	ts := serve(t)
	for _, name := range []string{"SEED", "Seed:Latest", "registry.ollama.ai/library/seed",
		"registry.ollama.ai/library/Seed:latest", "library/seed", "Builtin",
		"https://registry.ollama.ai/library/builtin"} {
		if m, err := ts.models.find(name); err != nil || m == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ts.models.find("registry.ollama.ai/library/nobody"); err == nil {
		t.Error("nobody is found")
	}
}

func TestModelsOfFilesAreCopiedAndMadeAnew(t *testing.T) {
	ts := serve(t)
	for _, x := range [][2]string{
		{"/api/copy", `{"source":"builtin","destination":"copied"}`},
		{"/api/copy", `{"source":"SEED","destination":"copied:2"}`},
		{"/api/create", `{"model":"made","from":"builtin","system":"Be brief.","stream":false}`},
		{"/api/create", `{"model":"made:2","from":"registry.ollama.ai/library/made","stream":false}`},
		{"/api/pull", `{"model":"builtin","stream":false}`}, {"/api/pull", `{"name":"made"}`},
	} {
		if r := ts.do(t, "POST", x[0], x[1]); r.status != 200 || x[0] != "/api/copy" &&
			!strings.Contains(r.text, `"success"`) {
			t.Errorf("%s %s: %d %s", x[0], x[1], r.status, r.text)
		}
	}
	image := base64.StdEncoding.EncodeToString(picture(t, "shape-4.png"))
	for _, name := range []string{"copied", "copied:2", "made", "made:2"} {
		r := ts.do(t, "POST", "/api/chat",
			`{"model":"`+name+`","stream":false,"options":{"temperature":0},"messages":[{"role":"user","content":"What color is the background?","images":["`+image+`"]}]}`)
		if r.status != 200 || !strings.Contains(r.text, `"cyan"`) {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	// What show says can be created again.
	show := ts.do(t, "POST", "/api/show", `{"model":"made"}`)
	if strings.Contains(show.text, "TEMPLATE") || !strings.Contains(show.text,
		"SYSTEM Be brief.") || !strings.Contains(show.text, "FROM made:latest") {
		t.Errorf("%s", show.text)
	}
	if r := ts.do(t, "GET", "/api/tags", ""); strings.Count(r.text,
		`"capabilities":["completion","vision"`) < 5 {
		t.Errorf("%s", r.text)
	}
	if r := ts.do(t, "GET", "/api/status", ""); r.status != 200 || !strings.Contains(r.text,
		`"disabled":true`) {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestABlobThatIsNoModelIsTheClientsFault(t *testing.T) {
	ts := serve(t)
	// of "x"
	const digest = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	if r := ts.do(t, "POST", "/api/blobs/"+digest, "x"); r.status != 201 {
		t.Fatal(r.status, r.text)
	}
	if r := ts.do(t, "POST", "/api/create",
		`{"model":"a","files":{"a.gguf":"`+digest+`"},"stream":false}`); r.status != 400 {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestRenderingAloneAndRawPictures(t *testing.T) {
	ts := serve(t)
	image := base64.StdEncoding.EncodeToString(picture(t, "shape-4.png"))
	for path, body := range map[string]string{
		"/api/chat":     `{"model":"seed","_debug_render_only":true,"messages":[{"role":"user","content":"What is it?","images":["` + image + `"]}]}`,
		"/api/generate": `{"model":"seed","_debug_render_only":true,"prompt":"What is it?","images":["` + image + `"]}`,
	} {
		if r := ts.do(t, "POST", path, body); r.status != 200 || !strings.Contains(r.text,
			`"image_count":1`) || !strings.Contains(r.text, "What is it?") ||
			!strings.Contains(r.text, "[img-0]") {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
	r := ts.do(t, "POST", "/api/generate",
		`{"model":"seed","raw":true,"stream":false,"options":{"temperature":0},"images":["`+image+`"],"prompt":"USER: [img-0]\\nWhat color is the background? ASSISTANT:"}`)
	if r.status != 200 || !strings.Contains(r.text, "cyan") {
		t.Errorf("%d %s", r.status, r.text)
	}
	r = ts.do(t, "POST",
		"/v1/messages", `{"model":"seed","max_tokens":5,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is it?"}]}`)
	if r.status != 200 {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestHostsAreTakenWhereRebindingGainsNothing(t *testing.T) {
	ts := serve(t)
	for host, want := range map[string]int{"host.docker.internal:11434": 200, "box.local": 200,
		"a.internal": 200, "x.localhost": 200, "evil.example.org": 403, "notlocal": 403,
		"evil-local": 403} {
		if r := ts.do(t, "GET", "/api/version", "", "Host", host); r.status != want {
			t.Errorf("%s: %d", host, r.status)
		}
	}
	for origin, want := range map[string]int{"chrome-extension://abcdef": 200,
		"moz-extension://1-2": 200, "safari-web-extension://x": 200,
		"https://evil.example.org": 403} {
		if r := ts.do(t, "GET", "/api/version", "", "Origin", origin); r.status != want {
			t.Errorf("%s: %d", origin, r.status)
		}
	}
	g, err := newGate(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{"127.0.0.1": false, "::1": false, "0.0.0.0": true,
		"192.168.1.2": true} {
		g.open.Store(false)
		if g.listens(&net.TCPAddr{IP: net.ParseIP(address)}); g.hostAllowed("llm-server") != want ||
			g.hostAllowed("evil.example.org") != want {
			t.Errorf("listening on %s: %v", address, !want)
		}
	}
	g.open.Store(false)
	if g.listens(&net.UnixAddr{Name: filepath.Join(t.TempDir(), "s")}); !g.hostAllowed("anything") {
		t.Error("a socket in the file system is guarded")
	}
}

// A client that reads nothing before it has sent all gets the error all the same.
func TestAnEarlyAnswerReachesAClientThatIsStillSending(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Limits.Body = 1 << 20 })
	for _, chunked := range []bool{false, true} {
		c, err := net.Dial("tcp", strings.TrimPrefix(ts.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		const pieces, piece = 256, 256 << 10
		head := fmt.Sprintf("Content-Length: %d", pieces*piece)
		if chunked {
			head = "Transfer-Encoding: chunked"
		}
		if _, err := fmt.Fprintf(c, "POST /api/chat HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n",
			head); err != nil {
			t.Fatal(err)
		}
		data := []byte(strings.Repeat(" ", piece))
		for range pieces {
			if chunked {
				_, err = fmt.Fprintf(c, "%x\r\n%s\r\n", piece, data)
			} else {
				_, err = c.Write(data)
			}
			if err != nil {
				t.Fatalf("chunked %v: the connection broke while sending: %v", chunked, err)
			}
		}
		if chunked {
			_, _ = io.WriteString(c, "0\r\n\r\n")
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || r.StatusCode != 413 {
			t.Errorf("chunked %v: %v %v", chunked, r, err)
		}
	}
}

func TestReadinessEndsBeforeTheServer(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Limits.Grace = 5 * time.Minute })
	_, leave := ts.unending(t)
	ts.end()
	eventually(t, "the server says that it is not ready", func() bool {
		return ts.do(t, "GET", "/readyz", "").status == 503
	})
	if r := ts.do(t, "GET", "/healthz", ""); r.status != 200 {
		t.Errorf("healthy %d", r.status)
	}
	if r := ts.do(t, "POST", "/api/chat", asksJSON("x")); r.status != 503 ||
		r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.text)
	}
	leave()
}

func TestABusyModelIsNotListedForEver(t *testing.T) {
	ts := serve(t)
	borrowSeed(t, ts, 0)
	r, err := ts.client(t).ListRunning(t.Context())
	if err != nil || len(r.Models) != 1 || time.Until(r.Models[0].ExpiresAt) > time.Hour ||
		time.Until(r.Models[0].ExpiresAt) < time.Minute {
		t.Errorf("%v %+v", err, r)
	}
}
