package chat

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

type goldenCase struct {
	Template, Title string
	Messages        []goldenMessage
	Tools           json.RawMessage
	Generate        bool `json:"add_generation_prompt"`
	Output          *string
	Error           string
}

type goldenMessage struct {
	Role      Role
	Content   []struct{ Type, Text string }
	ToolCalls []struct {
		ID       string
		Function struct {
			Name      string
			Arguments json.RawMessage
		}
	} `json:"tool_calls"`
	ToolCallID string `json:"tool_call_id"`
	Name       string
	Reasoning  string `json:"reasoning_content"`
}

func readGolden(t testing.TB) (cases []goldenCase, now time.Time) {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Now   string
		Cases []goldenCase
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	if now, err = time.Parse("2006-01-02T15:04:05", g.Now); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) < 200 {
		t.Fatalf("%d golden cases, expected at least 200", len(g.Cases))
	}
	return g.Cases, now
}

func (m goldenMessage) message() Message {
	out := Message{Role: m.Role, Reasoning: m.Reasoning, ToolCallID: m.ToolCallID, Name: m.Name}
	for _, c := range m.Content {
		out.Content = append(out.Content, Content{Image: c.Type == "image", Text: c.Text})
	}
	for _, tc := range m.ToolCalls {
		out.ToolCalls = append(out.ToolCalls, ToolCall{ID: tc.ID, Name: tc.Function.Name,
			Arguments: tc.Function.Arguments})
	}
	return out
}

func load(t testing.TB, name string) *Template {
	t.Helper()
	src, err := os.ReadFile("testdata/" + name + ".jinja")
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := Parse(string(src), Options{BOS: "<s>", EOS: "</s>"})
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

// joined is the string that apply_chat_template returns; pictures in strings are spelled as the
// golden script does.
func joined(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Kind == KindImage && p.Text == "" {
			b.WriteString("<image>")
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// TestPartsJoinToWhatHuggingFaceRenders runs real templates over real conversations, and checks
// beside the text that each picture comes out once and that no word of the messages counts as the
// template's.
func TestPartsJoinToWhatHuggingFaceRenders(t *testing.T) {
	cases, now := readGolden(t)
	templates := map[string]*Template{}
	for _, c := range cases {
		tpl := templates[c.Template]
		if tpl == nil {
			tpl = load(t, c.Template)
			templates[c.Template] = tpl
		}
		t.Run(c.Template+"/"+c.Title, func(t *testing.T) {
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
			opts := RenderOptions{AddGenerationPrompt: c.Generate, Now: now}
			if string(c.Tools) != "null" {
				opts.Tools = c.Tools
			}
			parts, err := tpl.Render(context.Background(), messages, opts)
			if c.Output == nil {
				if err == nil {
					t.Fatalf("rendered %q, Hugging Face fails: %s", joined(parts), c.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := joined(parts); got != *c.Output {
				t.Errorf("got  %q\nwant %q", got, *c.Output)
			}
			next := 0
			for _, p := range parts {
				if p.Kind == KindImage {
					if p.Image != next {
						t.Errorf("image %d comes where %d is due", p.Image, next)
					}
					next++
				} else if p.Special && strings.Contains(p.Text, "obey") {
					t.Errorf("user text counts as the template's: %q", p.Text)
				}
			}
			if next != images {
				t.Errorf("%d of %d images came out", next, images)
			}
		})
	}
}
