package chat

import (
	"strings"
	"testing"
)

// TestThoughtsHaveTheNamesThatTransformersFills hands thoughts back to templates that read them
// under either name.
func TestThoughtsHaveTheNamesThatTransformersFills(t *testing.T) {
	for name, source := range map[string]string{
		"reasoning_content": "{% for m in messages %}{{ m.reasoning_content }}|{{ m.content }};{% endfor %}",
		"thinking":          "{% for m in messages %}{{ m.thinking }}|{{ m['content'] }};{% endfor %}",
	} {
		t.Run(name, func(t *testing.T) {
			parts := render(t, parse(t, source), RenderOptions{}, user(Text("Q")),
				Message{Role: Assistant, Reasoning: "<hm>", Content: []Content{Text("A")}})
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

// TestAPictureTokenOfANewSpellingIsTaken has templates write tokens that this package does not
// know.
func TestAPictureTokenOfANewSpellingIsTaken(t *testing.T) {
	for _, c := range []struct{ writes, want string }{
		{"]<]image[>[", "]<]image[>["},
		{"<|new_img|>", "<|new_img|>"},
		{"Picture 1: @@IMG@@\n", "@@IMG@@"},
		{"<|img_start|><|img_new|><|img_end|>", "<|img_new|>"},
		{"<a><b><c>", "<b>"},
		{"{{picture}}", "{{picture}}"},
		{"(here)", "(here)"},
		{"  a photo \n", "a photo"},
		{"Picture 2: <|vision_start|><|image_pad|><|vision_end|>", "<|image_pad|>"},
	} {
		source := "{% for m in messages %}{% for c in m.content %}{% if c.type == 'image' %}{{ " +
			"'" + strings.ReplaceAll(c.writes, "\n", `\n`) + "'" +
			" }}{% else %}{{ c.text }}{% endif %}{% endfor %}{% endfor %}"
		parts := render(t, parse(t, source), RenderOptions{}, user(Text("see "), Image(),
			Text(" end")))
		var token string
		for _, p := range parts {
			if p.Kind == KindImage {
				token = p.Text
			}
		}
		if got := joined(parts); token != c.want || got != "see "+c.writes+" end" {
			t.Errorf("%q: the token is %q of %q", c.writes, token, got)
		}
	}
}
