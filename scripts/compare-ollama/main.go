// Command compare-ollama sends the same requests to Ollama and to Eyelet and prints what differs:
// status, fields, and the text of greedy answers. It is run by hand; docs/api.md says what the
// server follows.
//
//	go run ./scripts/compare-ollama                        builds the pinned Ollama of go.mod, and serves with both
//	go run ./scripts/compare-ollama -ollama URL -eyelet URL    takes servers that run already
//
// Ollama is built of its module, C++ included, which takes minutes, where the module is whole: the
// archives of the Go module proxy leave out folders named vendor, and with them headers that Ollama
// 0.17.4 includes. The model is the built-in one, which is put into both under the name "compare".
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

func main() {
	theirs := flag.String("ollama", "", "address of a running Ollama; empty to build and start one")
	ours := flag.String("eyelet", "", "address of a running Eyelet; empty to build and start one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *theirs, *ours, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "compare-ollama:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, theirs, ours string, out io.Writer) error {
	servers := []server{{name: "ollama", url: theirs}, {name: "eyelet", url: ours}}
	for i := range servers {
		end, err := servers[i].start(ctx)
		if err != nil {
			return err
		}
		defer end()
		if err := servers[i].addModel(ctx); err != nil {
			return err
		}
	}
	image, err := os.ReadFile("models/builtin/demo/orange-circle.png")
	if err != nil {
		return err
	}
	different := 0
	for _, q := range requests(base64.StdEncoding.EncodeToString(image)) {
		a, err := servers[0].send(ctx, q)
		if err != nil {
			return err
		}
		b, err := servers[1].send(ctx, q)
		if err != nil {
			return err
		}
		if list := differences(a, b); len(list) > 0 {
			different++
			fmt.Fprintf(out, "%s %s %.100s\n", q.method, q.path, q.body)
			for _, d := range list {
				fmt.Fprintln(out, "   ", d)
			}
		}
	}
	fmt.Fprintf(out, "%d of %d requests are answered otherwise\n", different, len(requests("")))
	return nil
}

// request is what both are asked.
type request struct{ method, path, body string }

// requests are questions about all that clients use; image is a picture in base64.
func requests(image string) []request {
	const greedy = `"options":{"temperature":0,"seed":1,"num_predict":24}`
	post := func(path, fields string) request {
		return request{"POST", path, `{"model":"compare",` + fields + `}`}
	}
	list := []request{
		{"GET", "/", ""}, {"GET", "/api/version", ""}, {"GET", "/api/tags", ""},
		{"GET", "/api/ps", ""}, {"GET", "/api/nothing", ""}, {"GET", "/v1/models", ""},
		{"GET", "/v1/models/compare", ""},
		{"POST", "/api/show", `{"model":"compare"}`}, {"POST", "/api/show", `{"model":"nobody"}`},
		{"POST", "/api/show", `{"model":"COMPARE"}`},
		{"POST", "/api/chat", `{"model":"nobody","messages":[{"role":"user","content":"x"}]}`},
		{"POST", "/api/chat", `{`}, {"POST", "/api/chat", ``},
		{"POST", "/api/copy", `{"source":"nobody","destination":"x"}`}, {"DELETE", "/api/delete",
			`{"model":"nobody"}`},
		post("/api/generate", `"stream":false`), post("/api/chat", `"stream":false,"messages":[]`),
		post("/api/generate", `"keep_alive":0`),
	}
	for _, prompt := range []string{"What is in this picture?", "What color is the circle?",
		"What is 2 + 3?"} {
		for _, more := range []string{`"stream":false`, `"stream":true`,
			`"stream":false,"raw":true`, `"stream":false,"format":"json"`,
			`"stream":false,"system":"Be brief."`,
			`"stream":false,"logprobs":true,"top_logprobs":2`,
			`"_debug_render_only":true`} {
			list = append(list, post("/api/generate", more+`,`+greedy+`,"prompt":"`+prompt+`"`))
			list = append(list, post("/api/chat", strings.Replace(more, `,"raw":true`, "",
				1)+`,`+greedy+`,"messages":[{"role":"user","content":"`+prompt+`"}]`))
		}
		list = append(list,
			post("/api/generate",
				`"stream":false,`+greedy+`,"prompt":"`+prompt+`","images":["`+image+`"]`),
			post("/api/chat", `"stream":false,`+greedy+`,"messages":[{"role":"user","content":"`+prompt+`","images":["`+image+`"]}]`),
			post("/v1/chat/completions", `"temperature":0,"max_tokens":24,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,`+image+`"}},{"type":"text","text":"`+prompt+`"}]}]`),
			post("/v1/completions", `"temperature":0,"max_tokens":12,"prompt":"`+prompt+`"`),
			post("/v1/messages",
				`"temperature":0,"max_tokens":24,"messages":[{"role":"user","content":"`+prompt+`"}]`),
			post("/api/embed", `"input":"`+prompt+`"`),
			post("/api/embeddings", `"prompt":"`+prompt+`"`),
			post("/v1/embeddings", `"input":["`+prompt+`"]`))
	}
	for _, options := range []string{`{"temperature":"hot"}`, `{"num_ctx":512}`, `{"stop":["a"]}`,
		`{"top_k":-1}`, `{"seed":-1}`, `{"nonsense":1}`} {
		list = append(list, post("/api/generate", `"stream":false,"prompt":"x","options":`+options))
	}
	for _, keep := range []string{`"5m"`, `"300"`, `"-1"`, `""`, `300`, `-1`, `"soon"`} {
		list = append(list, post("/api/generate",
			`"stream":false,`+greedy+`,"prompt":"x","keep_alive":`+keep))
	}
	return list
}

// reply is what came back: the fields of the last document, by path.
type reply struct {
	status int
	text   string // of the answer, pieces put together
	fields map[string]string
}

func (s *server) send(ctx context.Context, q request) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, q.method, s.url+q.path, strings.NewReader(q.body))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer w.Body.Close()
	data, err := io.ReadAll(w.Body)
	if err != nil {
		return reply{}, err
	}
	out := reply{status: w.StatusCode, fields: map[string]string{}}
	for line := range bytes.Lines(bytes.TrimSpace(data)) {
		var v any
		if json.Unmarshal(line, &v) != nil {
			out.text += string(line)
			continue
		}
		clear(out.fields)
		flatten("", v, out.fields)
		out.text += out.fields[".response"] + out.fields[".message.content"]
	}
	return out, nil
}

// changing are fields that differ from run to run, or name the program.
var changing = []string{"created_at", "created", "id", "total_duration", "load_duration",
	"prompt_eval_duration", "eval_duration", "modified_at", "expires_at", "digest", "version",
	"eyelet", "size", "size_vram", "parent_model", "context", "cached_tokens"}

// flatten writes the leaves of a document, by path. Of long lists the length alone counts.
func flatten(path string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			if !slices.Contains(changing, key) {
				flatten(path+"."+key, x, into)
			}
		}
	case []any:
		if len(v) > 8 {
			into[path] = fmt.Sprintf("%d elements", len(v))
			return
		}
		for i, x := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), x, into)
		}
	case float64:
		into[path] = fmt.Sprintf("%.3g", v)
	default:
		into[path] = fmt.Sprint(v)
	}
}

// differences says what of two answers is not the same.
func differences(a, b reply) (list []string) {
	if a.status != b.status {
		list = append(list, fmt.Sprintf("status: ollama %d, eyelet %d", a.status, b.status))
	}
	if a.text != b.text {
		list = append(list, fmt.Sprintf("text: ollama %.200q, eyelet %.200q", a.text, b.text))
	}
	seen := map[string]bool{}
	for _, from := range []map[string]string{a.fields, b.fields} {
		for path := range from {
			if seen[path] {
				continue
			}
			seen[path] = true
			x, inA := a.fields[path]
			y, inB := b.fields[path]
			switch {
			case !inA:
				list = append(list, fmt.Sprintf("%s: eyelet alone has it: %.80q", path, y))
			case !inB:
				list = append(list, fmt.Sprintf("%s: ollama alone has it: %.80q", path, x))
			case x != y && path != ".response" && path != ".message.content":
				list = append(list, fmt.Sprintf("%s: ollama %.80q, eyelet %.80q", path, x, y))
			}
		}
	}
	slices.Sort(list)
	return list
}
