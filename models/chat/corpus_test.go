package chat

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// corpusCase is a conversation and what transformers makes of it in each shape of content.
type corpusCase struct {
	goldenCase
	Prompts map[string]struct {
		Output *string
		Error  string
	}
}

// TestRealTemplates renders templates that are not ours to ship; see scripts/golden/chat_corpus.py
// and testdata/corpus.tsv.
func TestRealTemplates(t *testing.T) {
	folder := os.Getenv("EYELET_TEMPLATES")
	if folder == "" {
		t.Skip("set EYELET_TEMPLATES to a folder that scripts/golden/chat_corpus.py has gone over")
	}
	raw, err := os.ReadFile(filepath.Join(folder, "prompts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Now   string
		Cases []corpusCase
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	now, err := time.Parse("2006-01-02T15:04:05", g.Now)
	if err != nil {
		t.Fatal(err)
	}
	templates := map[string]*Template{}
	count := map[string]int{}
	var times []time.Duration
	for _, c := range g.Cases {
		tpl, known := templates[c.Template]
		if !known {
			source, err := os.ReadFile(filepath.Join(folder, c.Template+".jinja"))
			if err != nil {
				t.Fatal(err)
			}
			if tpl, err = Parse(string(source), Options{BOS: "<s>", EOS: "</s>"}); err != nil {
				t.Logf("%s: %v", c.Template, err)
			}
			templates[c.Template] = tpl
		}
		start := time.Now()
		count[c.check(t, tpl, now)]++
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	t.Logf("%d templates, %d renderings: %v; median %v", len(templates), len(g.Cases), count,
		times[len(times)/2])
}

// check renders one conversation and says how it compares.
func (c *corpusCase) check(t *testing.T, tpl *Template, now time.Time) string {
	var messages []Message
	images := 0
	for _, m := range c.Messages {
		messages = append(messages, m.message())
		for _, item := range m.Content {
			if item.Type == "image" {
				images++
			}
		}
	}
	var want []string
	for _, shape := range []string{"string", "list", "mixed"} {
		if out := c.Prompts[shape].Output; out != nil {
			want = append(want, *out)
		}
	}
	opts := RenderOptions{AddGenerationPrompt: c.Generate, Now: now}
	if string(c.Tools) != "null" {
		opts.Tools = c.Tools
	}
	var parts []Part
	err := errors.New("it does not parse")
	if tpl != nil {
		parts, err = tpl.Render(context.Background(), messages, opts)
	}
	got := joined(parts)
	switch {
	case err != nil && len(want) == 0:
		return "refused by both"
	case errors.Is(err, ErrLost):
		return "no place for a picture"
	case err != nil:
		t.Errorf("%s / %s: %v, Hugging Face renders %q", c.Template, c.Title, err, want[0])
		return "refused here alone"
	case len(want) == 0:
		t.Errorf("%s / %s: %q, Hugging Face: %s", c.Template, c.Title, got,
			c.Prompts["string"].Error)
		return "refused there alone"
	case images == 0 && got != want[0] && !slices.Contains(want, got),
		images > 0 && !slices.Contains(want, got):
		t.Errorf("%s / %s\ngot  %q\nwant %q", c.Template, c.Title, got, want)
		return "different"
	}
	return "equal"
}
