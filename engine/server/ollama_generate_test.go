package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
)

// generate asks and returns the whole answer, and the last document of it.
func generate(t testing.TB, c *api.Client,
	q *api.GenerateRequest) (string, api.GenerateResponse, error) {
	t.Helper()
	if q.Options == nil {
		q.Options = greedy
	}
	var text strings.Builder
	var last api.GenerateResponse
	err := c.Generate(t.Context(), q, func(r api.GenerateResponse) error {
		text.WriteString(r.Response)
		last = r
		return nil
	})
	return text.String(), last, err
}

func TestGenerateAboutAPicture(t *testing.T) {
	ts := serve(t)
	no := false
	for name, stream := range map[string]*bool{"streamed": nil, "whole": &no} {
		t.Run(name, func(t *testing.T) {
			text, last, err := generate(t, ts.client(t), &api.GenerateRequest{Model: "seed",
				Stream: stream, Prompt: "What is in this picture?",
				Images: []api.ImageData{picture(t, "shape-4.png")}})
			if err != nil || text != "an orange circle on a cyan background" || !last.Done ||
				last.DoneReason != "stop" || last.PromptEvalCount < 70 {
				t.Errorf("%q %+v %v", text, last, err)
			}
		})
	}
}

func TestContextContinuesAConversation(t *testing.T) {
	ts := serve(t)
	_, first, err := generate(t, ts.client(t), &api.GenerateRequest{Model: "seed",
		Prompt: "What color is the background?"})
	if err != nil || len(first.Context) < first.EvalCount+10 {
		t.Fatalf("%+v %v", first, err)
	}
	_, second, err := generate(t, ts.client(t), &api.GenerateRequest{Model: "seed",
		Prompt: "And the circle?", Context: first.Context})
	if err != nil || second.PromptEvalCount <= len(first.Context) ||
		len(second.Context) <= len(first.Context) {
		t.Errorf("%+v %v", second, err)
	}
	for i, token := range first.Context {
		if second.Context[i] != token {
			t.Fatalf("the second context does not begin with the first: %v, %v", second.Context,
				first.Context)
		}
	}
}

func TestRawPromptsPassAsTheyAre(t *testing.T) {
	ts := serve(t)
	text, last, err := generate(t, ts.client(t), &api.GenerateRequest{Model: "seed", Raw: true,
		Prompt: "USER: What color is the background? ASSISTANT:"})
	_, own, ownErr := generate(t, ts.client(t), &api.GenerateRequest{Model: "seed",
		Prompt: "What color is the background?", Options: map[string]any{"num_predict": 1}})
	if err != nil || ownErr != nil || text == "" || last.Context != nil ||
		last.PromptEvalCount != own.PromptEvalCount {
		t.Errorf("%q %+v %v, want as many tokens as the template makes: %+v %v", text, last, err,
			own, ownErr)
	}
}

func TestGenerateLoadsAndUnloads(t *testing.T) {
	ts := serve(t)
	if _, last, err := generate(t, ts.client(t), &api.GenerateRequest{Model: "seed"}); err != nil ||
		last.DoneReason != "load" {
		t.Errorf("%+v %v", last, err)
	}
	if _, last, err := generate(t, ts.client(t), &api.GenerateRequest{Model: "seed",
		KeepAlive: &api.Duration{}}); err != nil || last.DoneReason != "unload" {
		t.Errorf("%+v %v", last, err)
	}
}

func TestTemplatesOfOllamasAreHonoured(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	const template = "{{ .System }} USER: {{ .Prompt }} ASSISTANT: {{ .Response }}</s>"
	_, own, err := generate(t, c, &api.GenerateRequest{Model: "seed", Prompt: "What color is it?",
		Options: map[string]any{"num_predict": 1}})
	if err != nil {
		t.Fatal(err)
	}
	_, given, err := generate(t, c, &api.GenerateRequest{Model: "seed", Prompt: "What color is it?",
		System: "Say it in a word or two, please.", Template: template,
		Options: map[string]any{"num_predict": 1}})
	if err != nil || given.PromptEvalCount <= own.PromptEvalCount {
		t.Errorf("%d tokens, with a template %d, %v", own.PromptEvalCount, given.PromptEvalCount,
			err)
	}
	no := false
	made := &api.CreateRequest{Model: "made", Files: map[string]string{"a": upload(t, c, seedModel),
		"b": upload(t, c, seedProjector)},
		Template: "USER: {{ .Prompt }} ASSISTANT:{{ .Response }}</s>", Stream: &no}
	if err := c.Create(t.Context(), made, func(api.ProgressResponse) error {
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	text, last, err := generate(t, c, &api.GenerateRequest{Model: "made",
		Prompt: "[img]\nWhat color is the background?", Images: []api.ImageData{picture(t,
			"shape-4.png")}})
	if err != nil || text != "cyan" || last.PromptEvalCount < 70 {
		t.Errorf("%q %+v %v", text, last, err)
	}
	if show, err := c.Show(t.Context(), &api.ShowRequest{Model: "made"}); err != nil ||
		show.Template != made.Template {
		t.Errorf("%+v %v", show, err)
	}
	made.Template = "{{ range }}"
	if err := c.Create(t.Context(), made, func(api.ProgressResponse) error {
		return nil
	}); statusOf(err) != 400 {
		t.Errorf("a template that is none: %v", err)
	}
}

func TestBadGenerates(t *testing.T) {
	peers.WithoutRaceDetector(t)
	ts := serve(t)
	for _, c := range []struct {
		name, fields string
		says         string
	}{
		{"raw and system", `"raw":true,"system":"a"`, "raw mode"},
		{"a suffix", `"suffix":"b"`, "insert"},
		{"a context of no tokens", `"context":[1,99999999]`, "token 99999999"},
		{"a context of huge numbers", `"context":[4294967297]`, "4294967297"},
		{"a negative context", `"context":[-1]`, "token -1"},
		{"a context of texts", `"context":["a"]`, "context"},
		{"a template that is none", `"template":"{{ range }}"`, "template"},
		{"a template without end",
			`"template":"{{ range 9223372036854775807 }}{{ end }}{{ .Prompt }}"`, "limits"},
		{"drawing", `"width":512`, "draw"},
		{"thinking", `"think":"high"`, "thinking"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ts.do(t, "POST", "/api/generate",
				`{"model":"seed","prompt":"a","options":{"num_predict":3},`+c.fields+`}`)
			if r.status != 400 || !strings.Contains(r.ollamaError(t), c.says) {
				t.Errorf("%d %s, want %q", r.status, r.text, c.says)
			}
		})
	}
}

func FuzzGenerateRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","prompt":"a","context":[1,2,-1],"raw":true,"format":{},"options":{"num_predict":-1},"images":["AA=="]}`))
	s := fuzzedServer(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var q ollama.GenerateRequest
		if decodeJSON(data, &q) != nil {
			return
		}
		if _, err := s.checkGenerate(&q, &model{}); err != nil {
			return
		}
		r, err := generateRequest(&q, &model{})
		if err == nil && len(r.Before) != len(q.Context) {
			t.Fatalf("%v", r.Before)
		}
		if err == nil && len(r.Schema) > 0 && !json.Valid(r.Schema) {
			t.Fatalf("%s", r.Schema)
		}
	})
}
