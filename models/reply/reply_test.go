package reply

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/grammar"
)

const qwen3 = `{%- if tools %}<|im_start|>system
{%- for tool in tools %}
{{ tool | tojson }}{% endfor %}
For each function call, return a json object within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ 'user' if message.role == 'tool' else message.role }}
{% if message.role == 'tool' %}<tool_response>
{{ message.content }}
</tool_response>{% else %}{{ message.content }}{% for tool_call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ tool_call.function.name }}", "arguments": {{ tool_call.function.arguments | tojson }}}
</tool_call>{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{% endif %}`

func detect(t testing.TB, source string) Style {
	t.Helper()
	tpl, err := chat.Parse(source, chat.Options{BOS: "<s>", EOS: "</s>"})
	if err != nil {
		t.Fatal(err)
	}
	return Detect(t.Context(), tpl, source)
}

func TestStylesAreKnownByTheirTemplates(t *testing.T) {
	named := `{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}{% for m in messages %}{% if m.tool_calls %}{% for c in m.tool_calls %}[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}{% endfor %}{% else %}{{ m.content }}{% endif %}{% endfor %}`
	for name, want := range map[string]Style{
		"llama-3.1": {Calls: Bare, Native: true}, "llama-3.2": {Calls: Bare, Native: true},
		"mistral-v0.3": {Calls: List, Native: true},
		"vicuna":       {Calls: Tagged}, "chatml": {Calls: Tagged},
		"mistral-small-3.1": {Calls: Tagged},
		"qwen2-vl":          {Calls: Tagged},
		"deepseek-r1":       {Calls: Tagged, Open: "<think>", Close: "</think>"},
		qwen3: {Calls: Tagged, Native: true, Switch: true, Open: "<think>",
			Close: "</think>"}, named: {Calls: Named, Native: true},
	} {
		source := name
		if !strings.Contains(name, "{") {
			data, err := os.ReadFile("../chat/testdata/" + name + ".jinja")
			if err != nil {
				t.Fatal(err)
			}
			source = string(data)
		}
		if got := detect(t, source); got != want {
			t.Errorf("%.20s: %+v, want %+v", name, got, want)
		}
	}
}

// parse pushes an answer in pieces of n bytes and joins what comes.
func parse(s Style, tools, thinking bool, answer string,
	n int) (reasoning, text string, calls []Call) {
	p := s.NewParser(tools, thinking)
	take := func(d Delta) {
		reasoning, text = reasoning+d.Reasoning, text+d.Text
		for _, c := range d.Calls {
			if c.Name != "" {
				calls = append(calls, Call{Name: c.Name})
			}
			calls[c.Index].Arguments += c.Arguments
		}
	}
	for from := 0; from < len(answer); from += n {
		take(p.Push(answer[from:min(from+n, len(answer))]))
	}
	take(p.Flush())
	return reasoning, text, calls
}

func TestAnswersAreTakenApartHoweverTheyCome(t *testing.T) {
	think := Style{Calls: Tagged, Open: "<think>", Close: "</think>"}
	for _, c := range []struct {
		name            string
		style           Style
		tools, thinking bool
		answer          string
		reasoning, text string
		calls           string
	}{
		{"text", Style{Calls: Tagged}, true, false, " a <tool b", "", " a <tool b", "[]"},
		{"a call after text", Style{Calls: Tagged}, true,
			false, "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}<\\\"\", \"b\": [{}]}}\n</tool_call>", "", "Let me see.\n", `[f {"a": "}<\"", "b": [{}]}]`},
		{"two calls", Style{Calls: Tagged}, true,
			false, "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {\"x\": 1}}\n</tool_call>\n", "", "", `[f {} g {"x": 1}]`},
		{"no tools asked for", Style{Calls: Tagged}, false, false, "<tool_call>{}</tool_call>", "",
			"<tool_call>{}</tool_call>", "[]"},
		{"a mark and no call", Style{Calls: Tagged}, true, false, "<tool_call>nothing", "",
			"<tool_call>nothing", "[]"},
		{"a call cut off", Style{Calls: Tagged}, true, false,
			"<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": ", "", "", `[f {"a": ]`},
		{"bare", Style{Calls: Bare}, true, false, "\n{\"name\": \"f\", \"parameters\": {\"a\": 1}}",
			"", "", `[f {"a": 1}]`},
		{"bare text", Style{Calls: Bare}, true, false, "{\"nam\": 1}", "", "{\"nam\": 1}", "[]"},
		{"a list", Style{Calls: List}, true,
			false, "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {\"b\": \"]\"}}]", "", "", `[f {} g {"b": "]"}]`},
		{"named", Style{Calls: Named}, true, false,
			"ok[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g[ARGS]{}", "", "ok", `[f {"a": 1} g {}]`},
		{"thoughts", think, false, false, "\n<think>\n a \n\n b\n</think>\n\nc", "a \n\n b", "c",
			"[]"},
		{"opened thoughts and a call", think, true, true,
			"a</thin b</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
			"a</thin b", "", `[f {}]`},
		{"no thoughts", think, false, false, "<thin ice", "", "<thin ice", "[]"},
		{"thoughts without an end", think, false, false, "<think>a b", "a b", "", "[]"},
	} {
		for n := 1; n < 12; n++ {
			reasoning, text, calls := parse(c.style, c.tools, c.thinking, c.answer, n)
			var flat []string
			for _, call := range calls {
				flat = append(flat, call.Name, call.Arguments)
			}
			if got := fmt.Sprint(flat); reasoning != c.reasoning || text != c.text ||
				got != c.calls {
				t.Errorf("%s by %d: %q %q %s", c.name, n, reasoning, text, got)
			}
		}
	}
}

func TestEachPlanMakesASoundGrammar(t *testing.T) {
	tools := []Tool{
		{Name: "get_weather", Description: "Weather",
			Parameters: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string","maxLength":6},"unit":{"enum":["c","f"]}},"required":["city"]}`)},
		{Name: "now", Parameters: nil},
	}
	list, err := grammar.Compile(t.Context(),
		[]byte(`{"type":"array","items":{"type":"integer"},"maxItems":2}`), grammar.Options{})
	if err != nil {
		t.Fatal(err)
	}
	answer := list.Grammar
	for _, calls := range []Calls{Tagged, Bare, List, Named} {
		for _, p := range []Plan{{Tools: tools}, {Tools: tools, Required: true},
			{Tools: tools[:1], Required: true, Serial: true}, {Tools: tools, Answer: answer},
			{Tools: tools, Required: true, Thinks: true}, {Answer: answer, Thinking: true,
				Thinks: true}} {
			c, err := Style{Calls: calls, Open: "<think>", Close: "</think>"}.Constrain(t.Context(),
				p)
			if err != nil {
				t.Fatalf("%s %+v: %v", calls, p, err)
			}
			if err := grammar.Check(c.GBNF); err != nil {
				t.Errorf("%v\n%s", err, c.GBNF)
			}
			if lazy := !p.Required && p.Answer == ""; lazy != (c.Trigger != "") {
				t.Errorf("%s %+v: trigger %q", calls, p, c.Trigger)
			}
		}
	}
}

func TestBadToolsAreRefused(t *testing.T) {
	for says, tools := range map[string][]Tool{
		"a name has":     {{Name: "a b"}},
		"two tools":      {{Name: "a"}, {Name: "a"}},
		"no JSON object": {{Name: "a", Parameters: json.RawMessage(`[1]`)}},
		"must be":        {{Name: "a", Parameters: json.RawMessage(`{"type":"string"}`)}},
		"512 at most":    make([]Tool, 513),
		"is outside": {{Name: "a", Strict: true,
			Parameters: json.RawMessage(`{"properties":{"x":{"$ref":"http://x.example/y"}}}`)}},
		"unsatisfiable": {{Name: "a", Strict: true,
			Parameters: json.RawMessage(`{"properties":{"x":false},"required":["x"]}`)}},
	} {
		err := CheckTools(tools)
		if err == nil {
			_, err = Style{Calls: Tagged}.Constrain(t.Context(), Plan{Tools: tools})
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want one that says %q", err, says)
		}
	}
}

// A schema that nobody asked to be kept strictly does not fail the request: any value stands in for
// what makes no sense.
func TestSchemasOfToolsAreRelaxedUnlessStrict(t *testing.T) {
	for parameters, relaxed := range map[string]string{
		`{"properties":{"x":{"$ref":"http://x.example/y"},"n":{"type":"integer"}},"required":["x","n"]}`: `tool "a": #/properties/x`,
		`{"properties":{"x":{"pattern":"(a"},"n":{"type":"integer"}},"required":["x","n"]}`:              `#/properties/x`,
		`{"properties":{"x":{"type":"strnig"},"n":{"type":"integer"}},"required":["x","n"]}`:             `#/properties/x`,
		`{"properties":{"x":false},"required":["x"]}`:                                                    `tool "a": #: `,
		`{"properties":{"n":{"type":"integer","maximum":5}},"required":["n"]}`:                           "",
	} {
		c, err := Style{Calls: Tagged}.Constrain(t.Context(),
			Plan{Tools: []Tool{{Name: "a", Parameters: json.RawMessage(parameters)}}})
		if err != nil {
			t.Errorf("%s: %v", parameters, err)
			continue
		}
		if all := strings.Join(c.Relaxed, "; "); relaxed == "" && all != "" ||
			!strings.Contains(all, relaxed) {
			t.Errorf("%s: relaxed %q, want %q", parameters, all, relaxed)
		}
		if err := grammar.Check(c.GBNF); err != nil {
			t.Error(err)
		}
	}
}

func TestParserLosesNoTextWithoutMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("<tol_cal>/thinkTOLCAS[]{}\": \na"))).Draw(
			t, "text")
		if strings.Contains(text, "<tool_call>") || strings.Contains(text, "<think>") {
			t.Skip()
		}
		n := rapid.IntRange(1, 5).Draw(t, "n")
		_, got, calls := parse(Style{Calls: Tagged, Open: "<think>", Close: "</think>"}, true,
			false, text, n)
		if got != text || len(calls) > 0 {
			t.Fatalf("%q of %q", got, text)
		}
	})
}

func FuzzParser(f *testing.F) {
	f.Add("<think>a</think><tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"\\\"}\"}}\n</tool_call>", 3, 0, true)
	f.Add("[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}}]", 1, 2, false)
	f.Add("[TOOL_CALLS]f[ARGS]{}", 2, 3, false)
	f.Add("{\"name\": \"f\", \"parameters\": {}}", 7, 1, false)
	f.Fuzz(func(t *testing.T, answer string, n, style int, thinking bool) {
		s := Style{Calls: []Calls{Tagged, Bare, List, Named}[uint(style)%4], Open: "<think>",
			Close: "</think>"}
		r1, t1, c1 := parse(s, true, thinking, answer, max(1, n%64))
		r2, t2, c2 := parse(s, true, thinking, answer, max(1, len(answer)))
		if r1 != r2 || t1 != t2 || fmt.Sprint(c1) != fmt.Sprint(c2) {
			t.Fatalf("%q in pieces: %q %q %v, whole: %q %q %v", answer, r1, t1, c1, r2, t2, c2)
		}
		if len(r1)+len(t1) > len(answer)+16 {
			t.Fatal("more came out than went in")
		}
	})
}
