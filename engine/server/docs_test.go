//go:build !race

package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// TestTheCurlsOfTheDocumentationWork runs what docs/api.md shows, as it stands but for the address.
func TestTheCurlsOfTheDocumentationWork(t *testing.T) {
	for _, name := range []string{"bash", "curl", "base64", "sha256sum"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("there is no %s", name)
		}
	}
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	ts := serve(t)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 6 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, b := range blocks {
		script := strings.ReplaceAll(b[1], "http://localhost:11434", ts.url)
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
			`curl() { command curl -sS --fail-with-body --noproxy "*" "$@" && echo; }`+"\n"+script)
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		if err != nil || bytes.Contains(out, []byte(`"error"`)) {
			t.Errorf("%v\n%s\n%s", err, b[1], out)
		}
	}
}

func openAPI(t *testing.T) *openapi3.T {
	t.Helper()
	path, err := filepath.Abs("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPIHasEveryRoute(t *testing.T) {
	ts := serve(t)
	documented := map[string]bool{}
	for path, item := range openAPI(t).Paths.Map() {
		for method := range item.Operations() {
			documented[method+" "+path] = true
		}
	}
	for _, row := range ts.table() {
		if strings.Contains(row.pattern, " /page/") {
			continue // the page's own business, which changes with it
		}
		pattern := strings.ReplaceAll(strings.TrimSuffix(row.pattern, "{$}"), "...}", "}")
		if !documented[pattern] {
			t.Errorf("docs/openapi.yaml lacks %s", pattern)
		}
		delete(documented, pattern)
	}
	if len(documented) > 0 {
		t.Errorf("docs/openapi.yaml has what is not served: %v", documented)
	}
}

// TestAnswersAreWhatOpenAPISays holds requests and answers to the schemas.
func TestAnswersAreWhatOpenAPISays(t *testing.T) {
	ts := serve(t)
	doc := openAPI(t)
	doc.Servers = openapi3.Servers{{URL: ts.url}}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	image := base64.StdEncoding.EncodeToString(picture(t, "shape-4.png"))
	openaiAsk := `{"model":"seed","temperature":0,"max_tokens":60,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + image + `"}},{"type":"text","text":"What color is it?"}]}]`
	anthropicAsk := `{"model":"seed","temperature":0,"max_tokens":60,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + image + `"}},{"type":"text","text":"What color is it?"}]}]`
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/chat", `{"model":"seed","stream":false,"messages":[{"role":"user","content":"What?","images":["` + image + `"]}],"logprobs":true,"top_logprobs":2,"options":{"num_predict":4}}`},
		{"POST", "/api/generate",
			`{"model":"seed","stream":false,"prompt":"What?","options":{"num_predict":4}}`},
		{"POST", "/api/chat", `{"model":"seed","messages":[]}`},
		{"POST", "/api/chat", `{"model":"nothing","messages":[]}`},
		{"POST", "/api/embed", `{"model":"seed","input":"a"}`},
		{"POST", "/api/embeddings", `{"model":"seed","prompt":"a"}`},
		{"POST", "/api/show", `{"model":"seed","verbose":true}`},
		{"GET", "/api/tags", ""},
		{"GET", "/api/ps", ""},
		{"GET", "/api/version", ""},
		{"GET", "/metrics", ""},
		{"GET", "/healthz", ""},
		{"POST", "/api/create", `{"model":"a","from":"nothing","stream":false}`},
		{"POST", "/api/pull", `{"model":"a"}`},
		{"GET", "/v1/models", ""},
		{"GET", "/v1/models/seed", ""},
		{"GET", "/v1/models/nobody", ""},
		{"POST", "/v1/chat/completions", openaiAsk + `,"n":2,"logprobs":true,"top_logprobs":2}`},
		{"POST", "/v1/chat/completions",
			openaiAsk + `,"parallel_tool_calls":false,"tool_choice":"required","tools":[{"type":"function","function":{"name":"paint","parameters":` + paintSchema + `}}]}`},
		{"POST", "/v1/chat/completions",
			`{"model":"nobody","messages":[{"role":"user","content":"What?"}]}`},
		{"POST", "/v1/completions",
			`{"model":"seed","prompt":["USER: a ASSISTANT:"],"max_tokens":4,"logprobs":2}`},
		{"POST", "/v1/completions",
			`{"model":"seed","prompt":["a circle",[5,6]],"max_tokens":0,"logprobs":2,"echo":true}`},
		{"POST", "/v1/embeddings", `{"model":"seed","input":[[5,6],"b"]}`},
		{"POST", "/v1/embeddings", `{"model":"seed","input":["a","b"],"encoding_format":"base64"}`},
		{"POST", "/v1/embeddings", `{"model":"nobody","input":"a"}`},
		{"POST", "/v1/responses",
			`{"model":"seed","temperature":0,"max_output_tokens":4,"input":"What color is it?"}`},
		{"POST", "/v1/responses", `{"model":"seed","temperature":0,"input":"Paint it.","parallel_tool_calls":false,"tool_choice":"required","tools":[{"type":"function","name":"paint","parameters":` + paintSchema + `}]}`},
		{"GET", "/v1/responses/resp_1", ""},
		{"DELETE", "/v1/responses/resp_1", ""},
		{"POST", "/v1/messages", anthropicAsk + `}`},
		{"POST", "/v1/messages",
			anthropicAsk + `,"tool_choice":{"type":"any","disable_parallel_tool_use":true},"tools":[{"name":"paint","input_schema":` + paintSchema + `}]}`},
		{"POST", "/v1/messages",
			`{"model":"nobody","max_tokens":4,"messages":[{"role":"user","content":"What?"}]}`},
		{"POST", "/v1/messages/count_tokens", anthropicAsk + `}`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, ts.url+c.path,
			strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		route, params, err := router.FindRoute(r)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
			continue
		}
		in := &openapi3filter.RequestValidationInput{Request: r, Route: route, PathParams: params,
			Options: &openapi3filter.Options{
				AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
		}
		w := ts.do(t, c.method, c.path, c.body)
		if w.header.Get("Content-Type") != "application/json; charset=utf-8" {
			continue
		}
		answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: in,
			Status: w.status, Header: w.header,
			Options: &openapi3filter.Options{IncludeResponseStatus: true}}
		answer.SetBodyBytes([]byte(w.text))
		if err := openapi3filter.ValidateResponse(t.Context(), answer); err != nil {
			t.Errorf("%s %s: %v\n%.300s", c.method, c.path, err, w.text)
		}
	}
}
