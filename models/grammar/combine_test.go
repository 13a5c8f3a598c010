package grammar

import (
	"strings"
	"testing"
)

func TestCombineKeepsRulesApart(t *testing.T) {
	a, err := fromSchema(
		[]byte(`{"type":"object","properties":{"root":{"type":"integer"}},"required":["root"]}`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := fromSchema([]byte(`{"enum":["start ::= root"]}`))
	if err != nil {
		t.Fatal(err)
	}
	g, err := Combine(`"<" ( a | b ) ">"`, map[string]string{"a": a, "b": b})
	if err != nil {
		t.Fatal(err)
	}
	for _, yes := range []string{`<{"root": 1}>`, `<"start ::= root">`} {
		if !matches(t, g, yes) {
			t.Errorf("refuses %s\n%s", yes, g)
		}
	}
	if matches(t, g, `<1>`) {
		t.Error("accepts <1>")
	}
	if _, err := Combine("a c", map[string]string{"a": a}); err == nil ||
		!strings.Contains(err.Error(), `"c" is not defined`) {
		t.Errorf("%v", err)
	}
}

func TestBeforeEndsAtTheFirstAppearance(t *testing.T) {
	for _, end := range []string{"</think>", "aab", "]", "--->", "ababac"} {
		g := Before(end)
		if err := Check(g); err != nil {
			t.Fatalf("%s: %v\n%s", end, err, g)
		}
		for _, text := range []string{"", "x", "</", "a", "aa", "<</think", "]]", "--", "abab",
			"ababab", "é\n"} {
			whole := text + end
			if want := strings.Index(whole, end) == len(text); matches(t, g, whole) != want {
				t.Errorf("%q before %q: want %v", text, end, want)
			}
			if matches(t, g, whole+"x") || !strings.Contains(text, end) && matches(t, g, text) {
				t.Errorf("%q: accepts more or less than one end", text)
			}
		}
	}
}
