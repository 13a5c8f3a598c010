package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// agentTurns is a conversation in which a tool returns one picture and the user then asks about
// another one.
func agentTurns(t *testing.T, tool, user *Image) []Message {
	t.Helper()
	return []Message{
		User(Text("look")),
		{Role: "assistant", ToolCalls: []ToolCall{{ID: "c1", Name: "shoot", Arguments: "{}"}}},
		{Role: "tool", ToolCallID: "c1", Name: "shoot", Content: []Content{Text("here"),
			Picture(tool), Text("it is")}},
		Assistant("ok"),
		User(Picture(user), Text("What color is the star?")),
	}
}

// pictureTemplates take tools and pictures in the ways that templates of real models do.
var pictureTemplates = map[string]string{
	"no tools":        "",
	"tools as text":   hermesTemplate,
	"lists":           `{% for t in tools or [] %}{{ t | tojson }} {% endfor %}{% for m in messages %}{{ m.role | upper }}: {% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}{% for c in m.tool_calls or [] %}<tool_call>` + "\n" + `{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}` + "\n" + `</tool_call>{% endfor %} {% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}`,
	"results as text": `{% for t in tools or [] %}{{ t | tojson }} {% endfor %}{% for m in messages %}{{ m.role | upper }}: {% if m.role == 'tool' %}{% for c in m.content %}{% if c is string %}{{ c }}{% elif c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}{% elif m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}{% for c in m.tool_calls or [] %}<tool_call>` + "\n" + `{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}` + "\n" + `</tool_call>{% endfor %} {% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}`,
}

func TestPicturesThatToolsReturnReachTheModelInOrder(t *testing.T) {
	circle, star := picture(t, "shape-4.png"), picture(t, "shape-2.png")
	for name, template := range pictureTemplates {
		t.Run(name, func(t *testing.T) {
			m := open(t, func(s *ModelSpec) { s.ChatTemplate = template })
			for _, tools := range [][]Tool{nil, shapeTools} {
				r := Request{Messages: agentTurns(t, circle, star), Tools: tools,
					ToolChoice: ToolsAuto}
				p, err := m.prompt(t.Context(), &r)
				if err != nil {
					t.Fatal(err)
				}
				var keys, want []string
				for _, x := range p.Pictures {
					keys = append(keys, string(x.Source.Data))
				}
				for _, image := range []*Image{circle, star} {
					want = append(want, string(image.Data))
				}
				if !slices.Equal(keys, want) {
					t.Error("the prompt has other pictures")
				}
			}
			a := mustAsk(t, m, Request{Messages: agentTurns(t, circle, star), MaxTokens: 12})
			if strings.TrimSpace(a.text) != "black" || a.Usage.Image != 128 {
				t.Errorf("%q %+v", a.text, a.Usage)
			}
		})
	}
}

func TestATemplateWithoutAPlaceForAPictureIsAnError(t *testing.T) {
	m := open(t, func(s *ModelSpec) {
		s.ChatTemplate = `{% for m in messages %}{% if loop.last %}USER: {% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}{% endif %}{% endfor %}ASSISTANT:`
	})
	circle := picture(t, "shape-4.png")
	_, err := collect(t.Context(), m,
		Request{Messages: []Message{User(Picture(circle), Text("look")), Assistant("ok"),
			User(Text("What color is it?"))}})
	if !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), "picture") {
		t.Errorf("a template that renders the last turn alone: %v", err)
	}
}

func TestLLaVAGetsThePicturesOfATurnFirst(t *testing.T) {
	m := open(t)
	circle := picture(t, "shape-4.png")
	length := func(message Message) (place, n int) {
		p, err := m.prompt(t.Context(), &Request{Messages: []Message{message}})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Stretches {
			if s.Image >= 0 {
				return n, p.N
			}
			n += len(s.Tokens)
		}
		t.Fatal("no picture")
		return 0, 0
	}
	first, n := length(User(Picture(circle), Text("What color is the circle?")))
	behind, k := length(User(Text("What color is the circle?"), Picture(circle)))
	if behind != first || k != n {
		t.Errorf("text before the picture: the picture begins at token %d of %d, want %d of %d",
			behind, k, first, n)
	}
	kept := User(Text("What color is the circle?"), Picture(circle))
	kept.KeepOrder = true
	if place, _ := length(kept); place <= first {
		t.Errorf("with KeepOrder the picture begins at token %d", place)
	}
	if a := mustAsk(t, m,
		Request{Messages: []Message{User(Text("What color is the circle?"),
			Picture(circle))}}); strings.TrimSpace(a.text) != "orange" {
		t.Errorf("%q", a.text)
	}
}
