package chat

import "testing"

// TestThoughtsHaveTheNamesThatTransformersFills hands thoughts back to templates that read them under either name.
func TestThoughtsHaveTheNamesThatTransformersFills(t *testing.T) {
	for name, source := range map[string]string{
		"reasoning_content": "{% for m in messages %}{{ m.reasoning_content }}|{{ m.content }};{% endfor %}",
		"thinking":          "{% for m in messages %}{{ m.thinking }}|{{ m['content'] }};{% endfor %}",
	} {
		t.Run(name, func(t *testing.T) {
			parts := render(t, parse(t, source), RenderOptions{}, user(Text("Q")), Message{Role: Assistant, Reasoning: "<hm>", Content: []Content{Text("A")}})
			if got := joined(parts); got != "|Q;<hm>|A;" {
				t.Errorf("got %q", got)
			}
			for _, p := range parts {
				if p.Special && p.Text == "<hm>" {
					t.Error("thoughts count as the template's text")
				}
			}
		})
	}
}
