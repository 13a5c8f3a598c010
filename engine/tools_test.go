package engine

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/sampling"
)

// The built-in model knows no tools and writes few characters, so that templates of other models
// are given to it, and grammars do the rest.
const (
	hermesTemplate = `{% for t in tools or [] %}{{ t | tojson }} {% endfor %}{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% elif m.role == 'tool' %}{{ m.content }} {% else %}ASSISTANT: {{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}`
	llamaTemplate = `{% for t in tools or [] %}{{ t | tojson }} {% endfor %}{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% elif m.role == 'tool' %}{{ m.content }} {% else %}ASSISTANT: {% if m.tool_calls %}{"name": "{{ m.tool_calls[0].function.name }}", "parameters": {{ m.tool_calls[0].function.arguments | tojson }}}{% else %}{{ m.content }}{% endif %}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}`
	listTemplate  = `{% for t in tools or [] %}{{ t | tojson }} {% endfor %}{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% elif m.role == 'tool' %}{{ m.content }}{% if m.tool_call_id | length != 9 %}{{ raise_exception('nine!') }}{% endif %} {% else %}ASSISTANT: {% if m.tool_calls %}[TOOL_CALLS] [{% for c in m.tool_calls %}{{ c.function | tojson }}{% if c.id | length != 9 %}{{ raise_exception('nine!') }}{% endif %}{% endfor %}]{% else %}{{ m.content }}{% endif %}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}`
	namedTemplate = `{% for t in tools or [] %}{{ t | tojson }} {% endfor %}{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% elif m.role == 'tool' %}{{ m.content }} {% else %}ASSISTANT: {% for c in m.tool_calls or [] %}[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}{% endfor %}{{ m.content }}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}`
	thinkTemplate = `{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% else %}ASSISTANT: {{ m.content }}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% if enable_thinking is defined and enable_thinking %}<think>
{% endif %}{% endif %}`
)

var shapeTools = []Tool{
	{Name: "paint", Description: "Paint a shape.",
		Parameters: json.RawMessage(`{"type":"object","properties":{"color":{"enum":["red","cyan"]},"size":{"type":"integer","minimum":1,"maximum":99}},"required":["color","size"],"additionalProperties":false}`)},
	{Name: "erase"},
}

// told is an answer with what its events said.
func told(t *testing.T, m *Model, r Request) (wholeAnswer, []CallDelta, string) {
	t.Helper()
	var a wholeAnswer
	var deltas []CallDelta
	reasoning := ""
	for e, err := range m.Generate(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		a.text += e.Text
		reasoning += e.Reasoning
		deltas = append(deltas, e.Calls...)
		if e.Done != nil {
			a.Result = *e.Done
		}
	}
	return a, deltas, reasoning
}

func TestRequiredCallsFollowTheirSchemas(t *testing.T) {
	for name, template := range map[string]string{"tagged": hermesTemplate, "bare": llamaTemplate,
		"list": listTemplate, "named": namedTemplate, "no tools in the template": ""} {
		t.Run(name, func(t *testing.T) {
			m := open(t, func(s *ModelSpec) { s.ChatTemplate = template })
			for seed := range uint32(6) {
				r := Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
					Text("Paint it."))}, Tools: shapeTools, ToolChoice: ToolsRequired,
					SerialTools: true, Sampling: Sampling{Temperature: 2, Seed: &seed}}
				if seed%2 == 1 {
					r.ToolName = "paint"
				}
				a, deltas, _ := told(t, m, r)
				if len(a.Calls) != 1 || a.Finish != FinishTools || strings.TrimSpace(a.text) != "" {
					t.Fatalf("%+v %q", a.Result, a.text)
				}
				c, joined := a.Calls[0], ""
				for _, d := range deltas {
					joined += d.Arguments
				}
				if joined != c.Arguments || deltas[0].Name != c.Name || deltas[0].ID != c.ID ||
					c.ID == "" || !deltas[len(deltas)-1].Done {
					t.Errorf("%+v sums up to %+v", deltas, c)
				}
				switch c.Name {
				case "paint":
					if err := validatorCheck(t, shapeTools[0].Parameters, c.Arguments); err != nil {
						t.Error(err)
					}
				case "erase":
					if strings.TrimSpace(c.Arguments) == "" || r.ToolName != "" {
						t.Errorf("%+v", c)
					}
				default:
					t.Errorf("%+v", c)
				}
			}
		})
	}
}

func validatorCheck(t *testing.T, schema []byte, text string) error {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return err
	}
	return validator(t, schema).Validate(v)
}

func TestFreeTextIsHeldToACallOnceItBegins(t *testing.T) {
	for name, template := range map[string]string{"tagged": hermesTemplate, "bare": llamaTemplate,
		"list": listTemplate, "named": namedTemplate} {
		t.Run(name, func(t *testing.T) {
			m := open(t, textOnly, func(s *ModelSpec) { s.ChatTemplate = template })
			style := m.dialogue.Style()
			begin := map[string]string{"tagged": "<tool_call>", "bare": `{"name": "paint"`,
				"list": "[TOOL_CALLS]", "named": "[TOOL_CALLS]"}[string(style.Calls)]
			r := Request{Messages: question, Tools: shapeTools}
			if a, deltas, _ := told(t, m, r); len(deltas) > 0 || a.Finish != FinishStop ||
				a.text == "" {
				t.Errorf("free text: %+v %+v", a, deltas)
			}
			// The model itself never begins a call: what makes it begin one is the grammar of what
			// comes before, here forced token by token.
			held, _, err := m.constraint(t.Context(), &r, false)
			if err != nil || held.Trigger == "" {
				t.Fatal(held, err)
			}
			s, err := sampling.New(m.sampling(), &r.Sampling, held, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			chain := s.Chain
			tokens, err := m.lm.Vocab().Tokenize(begin, false, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, token := range tokens {
				if err := chain.Accept(token); err != nil {
					t.Fatal(err)
				}
			}
			text := begin
			logits := make([]float32, m.lm.Vocab().N())
			for range 200 {
				token, _, err := chain.Apply(logits)
				if err != nil {
					t.Fatal(err)
				}
				if m.lm.Vocab().IsEOG(token) {
					break
				}
				text += string(m.lm.Vocab().Piece(token, true))
				if err := chain.Accept(token); err != nil {
					t.Fatal(err)
				}
				for i := range logits { // anything but what was just said, or blanks go on for ever
					logits[i] = float32((i*7919 + len(text)*104729) % 1000)
				}
				logits[m.lm.Vocab().EOS()] = 1e6
			}
			p := style.NewParser(true, false)
			p.Push(text)
			if p.Calls() == 0 {
				t.Errorf("%q", text)
			}
		})
	}
}

func TestCallsAndResultsReachTheModel(t *testing.T) {
	history := []Message{
		User(Text("What is it?")),
		{Role: "assistant", ToolCalls: []ToolCall{{ID: "call_1234567890", Name: "paint",
			Arguments: `{"color":"red","size":3}`}}},
		{Role: "tool", ToolCallID: "call_1234567890", Name: "paint",
			Content: []Content{Text("painted")}},
		User(Text("Again.")),
	}
	for name, template := range map[string]string{"tagged": hermesTemplate, "bare": llamaTemplate,
		"list": listTemplate, "named": namedTemplate, "no tools in the template": "chatml"} {
		m := open(t, textOnly, func(s *ModelSpec) { s.ChatTemplate = template })
		p, err := m.prompt(t.Context(), &Request{Messages: history, Tools: shapeTools})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := m.lm.Vocab().Detokenize(p.Tokens(), true, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"paint", "red", "painted", "erase"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %q", name, want, text)
			}
		}
	}
}

func TestThoughtsAreNoPartOfTheAnswer(t *testing.T) {
	m := open(t, textOnly, func(s *ModelSpec) { s.ChatTemplate = thinkTemplate })
	if !m.Thinks() {
		t.Fatal("it does not think")
	}
	r := Request{Messages: question, Thinking: ThinkOn, Grammar: `root ::= "blue"`, MaxTokens: 400,
		Sampling: Sampling{Temperature: 1}}
	seed := uint32(3)
	r.Sampling.Seed = &seed
	a, _, reasoning := told(t, m, r)
	// The model may think to its last token; what it says afterwards is the grammar's.
	if a.Finish == FinishStop && a.text != "blue" || a.Finish == FinishLength && a.text != "" ||
		reasoning == "" {
		t.Errorf("%q after %q, %s", a.text, reasoning, a.Finish)
	}
	r.Thinking = ThinkOff
	if a, _, reasoning := told(t, m, r); a.text != "blue" || reasoning != "" {
		t.Errorf("%q after %q", a.text, reasoning)
	}
}

func TestBadToolRequests(t *testing.T) {
	m := open(t, textOnly)
	for says, r := range map[string]Request{
		"no tool":             {Messages: question, Tools: shapeTools, ToolName: "sing"},
		"a call is required":  {Messages: question, ToolChoice: ToolsRequired},
		"need Messages":       {Prompt: "x", Tools: shapeTools},
		"a name has":          {Messages: question, Tools: []Tool{{Name: "a b"}}},
		"the choice of tools": {Messages: question, Tools: shapeTools, ToolChoice: "any"},
		"no JSON": {Messages: append(question, Message{Role: "assistant",
			ToolCalls: []ToolCall{{Name: "x", Arguments: "{]"}}})},
		"its parameters: grammar: sch": {Messages: question,
			Tools: []Tool{{Name: "a", Strict: true,
				Parameters: json.RawMessage(`{"type":"object","not":{}}`)}}},
	} {
		if _, err := collect(context.Background(), m, r); !errors.Is(err, ErrRequest) ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%v, want one that says %q", err, says)
		}
	}
}

func TestACallThatIsCutOffIsNotHandedOut(t *testing.T) {
	for name, template := range map[string]string{"tagged": hermesTemplate, "bare": llamaTemplate,
		"list": listTemplate, "named": namedTemplate, "no tools in the template": ""} {
		m := open(t, textOnly, func(s *ModelSpec) { s.ChatTemplate = template })
		whole := 0
		for _, n := range []int{1, 4, 9, 16, 25, 40, 60, 75, 90, 400} {
			r := Request{Messages: []Message{User(Text("Paint it."))}, Tools: shapeTools,
				ToolName: "paint", SerialTools: true, MaxTokens: n}
			a, deltas, _ := told(t, m, r)
			if text := strings.TrimSpace(a.text); len(text) > 1 || strings.ContainsAny(text,
				"[{") && n > 3 {
				t.Errorf("%s, %d tokens: text %q", name, n, a.text)
			}
			for _, c := range a.Calls {
				if err := validatorCheck(t, shapeTools[0].Parameters, c.Arguments); err != nil {
					t.Errorf("%s, %d tokens: %s: %v", name, n, c.Arguments, err)
				}
			}
			if whole += len(a.Calls); len(a.Calls) > 0 || len(deltas) == 0 {
				continue
			}
			// What a client put together from the events can go back.
			joined := ""
			for _, d := range deltas {
				joined += d.Arguments
			}
			back := append(r.Messages, Message{Role: "assistant",
				ToolCalls: []ToolCall{{ID: deltas[0].ID, Name: deltas[0].Name, Arguments: joined}}},
				Message{Role: "tool", ToolCallID: deltas[0].ID,
					Content: []Content{Text("cut off")}}, User(Text("Again.")))
			if _, err := m.Count(t.Context(), Request{Messages: back, Tools: shapeTools}); err !=
				nil {
				t.Errorf("%s: %q cannot go back: %v", name, joined, err)
			}
		}
		if whole == 0 {
			t.Errorf("%s: no call was whole", name)
		}
	}
}
