package server

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ollama/ollama/api"
)

// alternatingTurns is a conversation of n turns and a last question.
func alternatingTurns(n int) (messages []api.Message) {
	for i := range n {
		messages = append(messages, api.Message{Role: "user",
			Content: fmt.Sprint("What color is number ", i)}, api.Message{Role: "assistant",
			Content: "blue"})
	}
	return append(messages, api.Message{Role: "user", Content: "What color is the background?"})
}

func TestTrimmingKeepsTurnsWhole(t *testing.T) {
	template, err := os.ReadFile("testdata/alternating.jinja")
	if err != nil {
		t.Fatal(err)
	}
	ts := serve(t, func(o *Options) { o.Models[0].Spec.ChatTemplate = string(template) })
	for n := 1; n < 24; n++ { // whichever turn the limit falls into
		messages := alternatingTurns(n)
		q := &api.ChatRequest{Model: "seed", Messages: messages,
			Options: map[string]any{"num_ctx": 120, "num_predict": 2}}
		if _, last, err := chat(t, ts.client(t), q); err != nil || last.PromptEvalCount > 119 ||
			n > 12 && last.PromptEvalCount < 80 {
			t.Fatalf("%d turns: %+v %v", n, last, err)
		}
	}
	// What is wrong otherwise is an error, however long the conversation is.
	messages := append(alternatingTurns(20), api.Message{Role: "user", Content: "And?"})
	q := &api.ChatRequest{Model: "seed", Messages: messages, Options: map[string]any{"num_ctx": 120,
		"num_predict": 2}}
	if _, _, err := chat(t, ts.client(t), q); statusOf(err) != 400 || !strings.Contains(err.Error(),
		"alternate") {
		t.Errorf("roles that do not alternate: %v", err)
	}
}

func TestResponsesTruncateOnlyWhereTheyAreAsked(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Models[0].Spec.Context = 160 })
	body := func(truncation, last string) string {
		var items []string
		for i := range 20 {
			items = append(items,
				fmt.Sprintf(`{"role":"user","content":"What color is number %d"},{"role":"assistant","content":"blue"}`, i))
		}
		items = append(items, `{"role":"user","content":"`+last+`"}`)
		return `{"model":"seed","max_output_tokens":2,"input":[` + strings.Join(items, ",") + `]` +
			truncation + `}`
	}
	for truncation, want := range map[string]int{"": 400, `,"truncation":"disabled"`: 400,
		`,"truncation":"auto"`: 200, `,"truncation":"some"`: 400} {
		if r := ts.do(t, "POST", "/v1/responses", body(truncation, "And the last?")); r.status !=
			want {
			t.Errorf("%s: %d %s", truncation, r.status, r.text)
		}
	}
	// The last question is never cut.
	if r := ts.do(t, "POST", "/v1/responses", body(`,"truncation":"auto"`,
		strings.Repeat("word ", 200))); r.status != 400 || !strings.Contains(r.text, "context") {
		t.Errorf("a question that is too long: %d %s", r.status, r.text)
	}
}

func TestAShorterContextThanTheLoadedModelsLimits(t *testing.T) {
	ts := serve(t)
	long := strings.Repeat("word ", 400)
	yes, no := true, false
	small := map[string]any{"num_ctx": 96, "num_predict": 3}
	for name, truncate := range map[string]*bool{"as usual": nil, "true": &yes, "false": &no} {
		var last api.GenerateResponse
		err := ts.client(t).Generate(t.Context(), &api.GenerateRequest{Model: "seed", Prompt: long,
			Truncate: truncate, Options: small}, func(r api.GenerateResponse) error {
			last = r
			return nil
		})
		_, chatted, chatErr := chat(t, ts.client(t), &api.ChatRequest{Model: "seed",
			Messages: []api.Message{{Role: "user", Content: long}}, Truncate: truncate,
			Options: small})
		vectors, embedErr := ts.client(t).Embed(t.Context(), &api.EmbedRequest{Model: "seed",
			Input: long, Truncate: truncate, Options: small})
		if truncate == &no {
			for what, err := range map[string]error{"generate": err, "chat": chatErr,
				"embed": embedErr} {
				if statusOf(err) != 400 || !strings.Contains(err.Error(), "context") {
					t.Errorf("truncate false, %s: %v", what, err)
				}
			}
			continue
		}
		if err != nil || last.PromptEvalCount > 95 || last.PromptEvalCount < 80 {
			t.Errorf("%s, generate: %d %v", name, last.PromptEvalCount, err)
		}
		if chatErr != nil || chatted.PromptEvalCount > 95 || chatted.PromptEvalCount < 80 {
			t.Errorf("%s, chat: %d %v", name, chatted.PromptEvalCount, chatErr)
		}
		if embedErr != nil || vectors.PromptEvalCount != 96 {
			t.Errorf("%s, embed: %v %v", name, vectors, embedErr)
		}
	}
	for _, raw := range []bool{true, false} {
		last := api.GenerateResponse{}
		q := &api.GenerateRequest{Model: "seed", Prompt: long, Raw: raw, Options: small}
		if !raw {
			for range 500 {
				q.Context = append(q.Context, 1058)
			}
		}
		if err := ts.client(t).Generate(t.Context(), q, func(r api.GenerateResponse) error {
			last = r
			return nil
		}); err != nil || last.PromptEvalCount > 95 {
			t.Errorf("raw %v: %d %v", raw, last.PromptEvalCount, err)
		}
	}
	if v, err := ts.client(t).Embed(t.Context(), &api.EmbedRequest{Model: "seed",
		Input: "a red circle", Options: map[string]any{"num_ctx": 1}}); statusOf(err) != 400 {
		t.Errorf("no room for text: %v %v", v, err)
	}
	// Programs compare the words of these two, as Ollama's own tests do.
	for _, c := range []struct {
		context  int
		truncate *bool
		says     string
	}{{96, &no, "the input length exceeds the context length"},
		{1, &yes, "input after truncation exceeds maximum context length"},
		{0, nil, "input after truncation exceeds maximum context length"}} {
		_, err := ts.client(t).Embed(t.Context(), &api.EmbedRequest{Model: "seed", Input: long,
			Truncate: c.truncate, Options: map[string]any{"num_ctx": c.context}})
		if err == nil || err.Error() != c.says {
			t.Errorf("%d tokens: %v, want %q", c.context, err, c.says)
		}
	}
	if loaded := ts.models.loaded(); len(loaded) != 1 {
		t.Errorf("%d models are loaded for shorter contexts", len(loaded))
	}
}
