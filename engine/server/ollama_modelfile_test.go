package server

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/parser"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine"
)

// remake creates a model from what is shown of another, as Ollama's client does with its Modelfile.
func remake(t *testing.T, c *api.Client, from, to string,
	whole bool) (before, after *api.ShowResponse) {
	t.Helper()
	before, err := c.Show(t.Context(), &api.ShowRequest{Model: from})
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(strings.NewReader(before.Modelfile))
	if err != nil {
		t.Fatalf("%v\n%s", err, before.Modelfile)
	}
	q, err := file.CreateRequest(t.TempDir())
	if err != nil {
		t.Fatalf("%v\n%s", err, before.Modelfile)
	}
	q.Model = to
	if whole { // as programs do that send what was shown
		q.Template = before.Template
	}
	if err := c.Create(t.Context(), q, func(api.ProgressResponse) error {
		return nil
	}); err != nil {
		t.Fatalf("%v\n%s", err, before.Modelfile)
	}
	after, err = c.Show(t.Context(), &api.ShowRequest{Model: to})
	if err != nil {
		t.Fatal(err)
	}
	return before, after
}

// withoutFrom leaves out the line that names the model.
func withoutFrom(modelfile string) string {
	return regexp.MustCompile(`(?m)^FROM .*`).ReplaceAllString(modelfile, "FROM")
}

func TestAModelfileMakesTheSameModelAgain(t *testing.T) {
	peers.WithoutRaceDetector(t)
	jinja, err := os.ReadFile("testdata/alternating.jinja")
	if err != nil {
		t.Fatal(err)
	}
	ts := serve(t, func(o *Options) {
		o.Models = append(o.Models, NamedModel{Name: "operators",
			Spec: engine.ModelSpec{Model: seedModel, Projector: seedProjector,
				ChatTemplate: string(jinja)}})
	})
	c := ts.client(t)
	silent := func(api.ProgressResponse) error { return nil }
	for _, q := range []*api.CreateRequest{
		{Model: "plain", From: "seed"},
		{Model: "told", From: "seed", System: "Say \"what\" you see,\n  no more. ",
			License:  []any{"MIT", "Another\nlicence"},
			Template: "{{ if .System }}{{ .System }}\n{{ end }}USER: \"{{ .Prompt }}\"\nASSISTANT:",
			Parameters: map[string]any{"temperature": 0.0, "seed": 4000000000.0, "num_predict": 7.0,
				"top_p": 0.35, "stop": []any{"\"", " ", "\n\n", "#"}},
			Messages: []api.Message{{Role: "user", Content: "What is \"it\"?\nSay."},
				{Role: "assistant", Content: " a star"}}},
	} {
		if err := c.Create(t.Context(), q, silent); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(name string) string {
		text, last, err := chat(t, c, &api.ChatRequest{Model: name,
			Options:  map[string]any{"temperature": 0, "stop": []string{}},
			Messages: []api.Message{look(picture(t, "shape-4.png"), "What is in this picture?")}})
		if err != nil || last.PromptEvalCount == 0 {
			t.Fatal(name, err)
		}
		return fmt.Sprintf("%q for %d tokens", text, last.PromptEvalCount)
	}
	for _, from := range []string{"builtin", "seed", "operators", "plain", "told",
		"again-operators"} {
		for _, whole := range []bool{false, true} {
			to := "again-" + from
			before, after := remake(t, c, from, to, whole)
			if before.Template != after.Template || before.System != after.System ||
				before.Parameters != after.Parameters || before.License != after.License ||
				len(before.Messages) != len(after.Messages) ||
				withoutFrom(before.Modelfile) != withoutFrom(after.Modelfile) {
				t.Errorf("%s:\n%s\nis made again as\n%s", from, before.Modelfile, after.Modelfile)
			}
			if got, want := ask(to), ask(from); got != want {
				t.Errorf("%s answers %s, made again %s", from, want, got)
			}
		}
	}
}

func TestTheTemplateThatIsShownIsTaken(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	show, err := c.Show(t.Context(), &api.ShowRequest{Model: "seed"})
	if err != nil || !strings.Contains(show.Template, "{%") {
		t.Fatal(show, err)
	}
	own, _, err := generate(t, c, &api.GenerateRequest{Model: "seed", Prompt: "What color is it?"})
	if err != nil {
		t.Fatal(err)
	}
	if given, _, err := generate(t, c, &api.GenerateRequest{Model: "seed",
		Prompt: "What color is it?", Template: show.Template}); err != nil || given != own {
		t.Errorf("%q, with its template %q, %v", own, given, err)
	}
	for _, template := range []string{"{{ range }}", "{% for m in messages %}{{ m }}",
		"{{ messages }"} {
		r := ts.do(t, "POST", "/api/create",
			fmt.Sprintf(`{"model":"a","from":"seed","template":%q,"stream":false}`, template))
		if r.status != 400 || !strings.Contains(r.text, "template") {
			t.Errorf("%s: %d %s", template, r.status, r.text)
		}
	}
}

func TestParametersOfTheModelItIsMadeOfStay(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	silent := func(api.ProgressResponse) error { return nil }
	for _, q := range []*api.CreateRequest{
		{Model: "first", From: "seed", Parameters: map[string]any{"temperature": 0.5,
			"stop": []any{"a", "b"}}},
		{Model: "second", From: "first", Parameters: map[string]any{"temperature": 0.25}},
	} {
		if err := c.Create(t.Context(), q, silent); err != nil {
			t.Fatal(err)
		}
	}
	m, err := ts.models.find("second")
	if p := m.params(); err != nil || *p.Temperature != 0.25 || len(p.Stop) != 2 {
		t.Errorf("%+v %v", p, err)
	}
}
