package jinja

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

type golden struct {
	Now   string
	Vars  json.RawMessage
	Cases []goldenCase
}

type goldenCase struct {
	Source string
	Output *string
	Error  string
}

func readGolden(t testing.TB, path string) (g golden, vars *Dict, now time.Time) {
	t.Helper()
	raw, err := os.ReadFile(path)
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
	for name, v := range map[string]Value{"messages": &List{}, "tools": nil, "documents": nil,
		"add_generation_prompt": false} {
		vars.Set(name, v)
	}
	return g, vars, now
}

// check renders one case and compares it.
func (c *goldenCase) check(t testing.TB, vars *Dict, now time.Time) (ok bool) {
	p, err := Parse(c.Source)
	var res Result
	if err == nil {
		res, err = p.Run(context.Background(), vars, Options{Now: now})
	}
	switch {
	case err != nil && strings.Contains(err.Error(), Fault):
		t.Errorf("%s\n%v", c.Source, err)
	case c.Output == nil && err == nil:
		t.Errorf("%s\nrendered %q, Hugging Face fails: %s", c.Source, res.Text.String(), c.Error)
	case c.Output != nil && err != nil:
		t.Errorf("%s\nfailed: %v, Hugging Face renders %q", c.Source, err, *c.Output)
	case c.Output != nil && res.Text.String() != *c.Output:
		t.Errorf("%s\nrendered     %q\nHugging Face %q", c.Source, res.Text.String(), *c.Output)
	default:
		return true
	}
	return false
}

// TestTemplatesRenderAsHuggingFaceRendersThem compares each language feature with Jinja 3.1 in
// transformers' set-up.
func TestTemplatesRenderAsHuggingFaceRendersThem(t *testing.T) {
	for _, path := range []string{"testdata/golden.json", "testdata/generated.json"} {
		g, vars, now := readGolden(t, path)
		for _, c := range g.Cases {
			t.Run(c.Source, func(t *testing.T) { c.check(t, vars, now) })
		}
	}
}

// TestGeneratedTemplates compares the cases in a file that scripts/golden/jinja.py --all wrote.
func TestGeneratedTemplates(t *testing.T) {
	path := os.Getenv("EYELET_JINJA_CASES")
	if path == "" {
		t.Skip("set EYELET_JINJA_CASES to a file of scripts/golden/jinja.py --all")
	}
	g, vars, now := readGolden(t, path)
	equal := 0
	for _, c := range g.Cases {
		if c.check(t, vars, now) {
			equal++
		}
	}
	t.Logf("%d of %d cases are equal, or refused by both", equal, len(g.Cases))
}
