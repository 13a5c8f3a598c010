package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// alternating is a template that wants users and assistants to take turns.
const alternating = `{% for m in messages %}{% if m.role == 'system' %}{{ m.content }} {% else %}{% if (m.role == 'user') != ((loop.index0 - (1 if messages[0].role == 'system' else 0)) % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ m.role | upper }}: {{ m.content }} {% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}`

func TestAConversationFitsWithTheFewestTurnsLeftOut(t *testing.T) {
	m := open(t, func(s *ModelSpec) { s.Context, s.ChatTemplate = 256, alternating })
	circle := picture(t, "shape-4.png")
	for _, system := range []bool{false, true} {
		var messages []Message
		if system {
			messages = append(messages, System("Answer in one word."))
		}
		for i := range 12 {
			messages = append(messages,
				User(Picture(circle), Text(fmt.Sprint("What is number ", i))), Assistant("blue"))
		}
		// the question takes places of different lengths, so that limits fall at different places
		for n := range 4 {
			messages := append(slices.Clone(messages),
				User(Picture(circle), Text(strings.Repeat("x", n)+"What color is the background?")))
			r, err := m.Fit(t.Context(), Request{Messages: messages}, Fitting{})
			if err != nil {
				t.Fatal(err)
			}
			gone := len(messages) - len(r.Messages)
			if gone <= 0 || gone%2 != 0 || system != (r.Messages[0].Role == "system") ||
				r.Messages[len(r.Messages)-1].Role != "user" {
				t.Fatalf("%d of %d messages are left", len(r.Messages), len(messages))
			}
			use, err := m.Count(t.Context(), r)
			if err != nil || use.Prompt > 255 {
				t.Errorf("%+v %v", use, err)
			}
			back := slices.Clone(messages)
			first := 0
			if system {
				first = 1
			}
			back = append(back[:first], messages[first+gone-2:]...)
			if more, err := m.Count(t.Context(), Request{Messages: back}); err != nil ||
				more.Prompt <= 255 {
				t.Errorf("one turn more would have fitted: %+v %v", more, err)
			}
			if a := mustAsk(t, m, r); a.Usage.Image != 64*(1+len(r.Messages)/2) &&
				a.Usage.Image != 64*(len(r.Messages)/2) {
				t.Errorf("%+v", a.Usage)
			}
		}
	}
}

func TestWhatIsWrongOtherwiseIsNotTakenForFitting(t *testing.T) {
	m := open(t, func(s *ModelSpec) { s.Context, s.ChatTemplate = 256, alternating })
	long := strings.Repeat("word ", 300)
	messages := []Message{User(Text("a")), Assistant("b"), User(Text(long)), Assistant("b"),
		User(Text("c")), User(Text("d"))}
	if _, err := m.Fit(t.Context(), Request{Messages: messages}, Fitting{}); !errors.Is(err,
		ErrRequest) || !strings.Contains(err.Error(), "alternate") {
		t.Errorf("a template that refuses: %v", err)
	}
	broken := []Message{User(Text(long)), Assistant("b"),
		User(Picture(&Image{Name: "p", Data: []byte("no picture")}), Text("c"))}
	if _, err := m.Fit(t.Context(), Request{Messages: broken}, Fitting{}); !errors.Is(err,
		ErrImage) {
		t.Errorf("a picture that is none: %v", err)
	}
	if _, err := m.Fit(t.Context(), Request{Messages: []Message{User(Text(long))}},
		Fitting{}); !errors.Is(err, ErrContextLength) {
		t.Errorf("a question that is too long: %v", err)
	}
}

func TestTextIsCutWhereThatIsAllowed(t *testing.T) {
	m := open(t, func(s *ModelSpec) {
		s.ChatTemplate = `{% for m in messages %}{{ m.role | upper }}: {{ m.content }} {% endfor %}ASSISTANT:`
	})
	long := "begin " + strings.Repeat("word ", 300) + "end"
	circle := picture(t, "shape-4.png")
	for name, r := range map[string]Request{
		"a question": {Messages: []Message{System("Answer."),
			User(Text(long))}},
		"a question, a picture": {Messages: []Message{User(Picture(circle), Text(long))}},
		"a result": {Messages: []Message{User(Text("look")),
			{Role: "assistant", ToolCalls: []ToolCall{{Name: "f"}}},
			{Role: "tool", Content: []Content{Text(long)}}}},
		"two texts": {Messages: []Message{User(Text(long),
			Text(long+" again"))}},
		"a raw prompt": {Prompt: long},
		"tokens before": {Before: make([]Token, 1000),
			Messages: []Message{User(Text("go on"))}},
		"tokens before, a long question": {Before: make([]Token, 1000),
			Messages: []Message{User(Text(long))}},
		"tokens alone": {Before: make([]Token, 1000)},
	} {
		r.Context, r.MaxTokens, r.KeepPrompt = 128, 4, true
		if _, err := collect(t.Context(), m, r); !errors.Is(err, ErrContextLength) {
			t.Errorf("%s: %v, want that it is too long", name, err)
		}
		fitted, err := m.Fit(t.Context(), r, Fitting{Cut: true, Keep: 4})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		a := mustAsk(t, m, fitted)
		if a.Usage.Prompt > 127 || a.Usage.Prompt < 110 {
			t.Errorf("%s: %+v", name, a.Usage)
		}
		text, err := m.lm.Vocab().Detokenize(a.Prompt, false, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Messages {
			if m.Role == "system" && !strings.Contains(text, m.Content[0].Text) {
				t.Errorf("%s: the system prompt is gone from %q", name, text)
			}
		}
		if name != "tokens alone" && name != "tokens before" && !(strings.Contains(text, "beg") &&
			strings.Contains(text, "end")) {
			t.Errorf("%s: an end of the text is gone from %q", name, text)
		}
	}
	if _, err := m.Fit(t.Context(),
		Request{Context: 48, Messages: []Message{User(Picture(circle), Text(long))}},
		Fitting{Cut: true}); !errors.Is(err, ErrContextLength) {
		t.Errorf("a picture that is larger than the context: %v", err)
	}
}

func TestAShorterContextHolds(t *testing.T) {
	m := open(t, textOnly)
	grammar := `root ::= [a-z]*`
	r := Request{Messages: question, Context: 64, Grammar: grammar,
		Sampling: Sampling{Temperature: 2}, MaxTokens: 300}
	a := mustAsk(t, m, r)
	if a.Finish == FinishLength && a.Usage.Prompt+a.Usage.Completion > 66 {
		t.Errorf("without shifting: %+v", a.Result)
	}
	whole := mustAsk(t, m, Request{Messages: question, Context: 1 << 20})
	if whole.text != mustAsk(t, m, Request{Messages: question}).text {
		t.Errorf("a longer context than there is changes the answer")
	}
	if _, err := collect(t.Context(), m, Request{Messages: question, Context: -1}); !errors.Is(err,
		ErrRequest) {
		t.Errorf("a negative context: %v", err)
	}
}
