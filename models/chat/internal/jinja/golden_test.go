package jinja

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"
)

type golden struct {
	Now   string
	Vars  json.RawMessage
	Cases []struct {
		Source string
		Output *string
		Error  string
	}
}

func readGolden(t testing.TB) (g golden, vars *Dict, now time.Time) {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	v, err := FromJSON(g.Vars)
	if err != nil {
		t.Fatal(err)
	}
	if now, err = time.Parse("2006-01-02T15:04:05", g.Now); err != nil {
		t.Fatal(err)
	}
	vars = v.(*Dict)
	for name, v := range map[string]Value{"messages": &List{}, "tools": nil, "documents": nil, "add_generation_prompt": false} {
		vars.Set(name, v)
	}
	return g, vars, now
}

// TestTemplatesRenderAsHuggingFaceRendersThem compares each language feature with Jinja 3.1 in transformers' set-up.
func TestTemplatesRenderAsHuggingFaceRendersThem(t *testing.T) {
	g, vars, now := readGolden(t)
	for _, c := range g.Cases {
		t.Run(c.Source, func(t *testing.T) {
			p, err := Parse(c.Source)
			var res Result
			if err == nil {
				res, err = p.Run(context.Background(), vars, Options{Now: now})
			}
			switch {
			case c.Output == nil && err == nil:
				t.Errorf("rendered %q, Hugging Face fails: %s", res.Text, c.Error)
			case c.Output != nil && err != nil:
				t.Errorf("failed: %v, Hugging Face renders %q", err, *c.Output)
			case c.Output != nil && res.Text.String() != *c.Output:
				t.Errorf("rendered %q, Hugging Face %q", res.Text, *c.Output)
			}
		})
	}
}
