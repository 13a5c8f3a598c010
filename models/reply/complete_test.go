package reply

import (
	"encoding/json"
	"testing"
)

func TestCutArgumentsAreCompleted(t *testing.T) {
	for cut, want := range map[string]string{
		``:                             `{}`,
		`{"a": 1}`:                     `{"a": 1}`,
		`{`:                            `{}`,
		`{"a`:                          `{}`,
		`{"a":`:                        `{}`,
		`{"a": "b`:                     `{"a": "b"}`,
		`{"a": "b\`:                    `{"a": "b"}`,
		`{"a": "b\u12`:                 `{"a": "b"}`,
		`{"a": "x", "b": {"c": [1, tr`: `{"a": "x", "b": {"c": [1]}}`,
		`{"a": [{"b": "c"}, {"d`:       `{"a": [{"b": "c"}, {}]}`,
		`{"a": 1, "b": 2,`:             `{"a": 1, "b": 2}`,
		`{"a": ",{[\"", "b`:            `{"a": ",{[\""}`,
		`{"a": -`:                      `{}`,
	} {
		if got, ok := Complete(cut); !ok || got != want {
			t.Errorf("%s: %s %v, want %s", cut, got, ok, want)
		}
	}
	for _, s := range []string{`x`, `{"a" 1`, `{]`, `}`, `{"a": 1}}`, `{a: 1}`} {
		if got, ok := Complete(s); ok {
			t.Errorf("%s becomes %s", s, got)
		}
	}
	// Whatever beginning of a call is cut off, it can be completed.
	const whole = `{"color": "rot \"x\" \u00e4 ä", "list": [1, -2.5e3, null, {"k": []}], "deep": {"t": true}}`
	for n := range len(whole) {
		if got, ok := Complete(whole[:n]); !ok || !json.Valid([]byte(got)) {
			t.Errorf("%s: %s %v", whole[:n], got, ok)
		}
	}
}

func FuzzComplete(f *testing.F) {
	f.Add(`{"a": ["b\`)
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := Complete(s); ok && !json.Valid([]byte(got)) {
			t.Fatalf("%q becomes %q", s, got)
		}
	})
}

func TestNothingOfACallThatIsCutOffBecomesText(t *testing.T) {
	for _, c := range []struct {
		style        Calls
		answer, text string
	}{
		{Tagged, "<tool", ""}, {Tagged, "<tool_call>\n{\"name", ""}, {Tagged, "Let me see <tool_c",
			"Let me see "}, {Tagged, "a <", "a <"},
		{Tagged, "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool", ""},
		{Bare, "{\"name\": \"f", ""}, {Bare, "{\"na", ""}, {Bare, "a", "a"},
		{List, "[TOOL_CALLS] [{", ""}, {Named, "ok[TOOL_CA", "ok"}, {Named, "[TOOL_CALLS]f[AR",
			""},
	} {
		p := Style{Calls: c.style}.NewParser(true, false)
		text := p.Push(c.answer).Text
		if text += p.Cut().Text; text != c.text {
			t.Errorf("%s %q: %q, want %q", c.style, c.answer, text, c.text)
		}
	}
}
