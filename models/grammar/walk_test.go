package grammar

import (
	"context"
	"strings"
	"testing"
)

func TestWalkKnowsWhatMustComeNext(t *testing.T) {
	for _, c := range []struct{ gbnf, text, want string }{
		{`root ::= "abc"`, "", "abc"},
		{`root ::= "abc"`, "a", "bc"},
		{`root ::= "abc"`, "abc", ""},
		{`root ::= "abc"`, "x", ""},
		{`root ::= "ab" ("c" | "d") "e"`, "", "ab"},
		{`root ::= "ab" ("c" | "d") "e"`, "abd", "e"},
		{`root ::= ("abx" | "aby") "z"`, "", "ab"},
		{`root ::= "a"*`, "a", ""},      // it may end
		{`root ::= "a"* "b"`, "aa", ""}, // or go on
		{`root ::= "a"{3} "b"`, "", "aaab"},
		{`root ::= "a"{1,2} "b"`, "aa", "b"},

		{"root ::= x \"!\"\nx ::= \"é\" y | \"ö\" y\ny ::= \"ü\"\n", "é", "ü!"},
		{"root ::= x \"!\"\nx ::= \"é\" y | \"ö\" y\ny ::= \"ü\"\n", "\xc3", ""}, // half of a letter
		{"root ::= p\np ::= \"(\" p \")\" | \"x\"\n", "((x", "))"},
		{`root ::= [^a] "b"`, "", ""},
		{`root ::= . "b"`, "a", "b"},
		{`root ::= ("a"? )* "b"`, "", ""}, // parts that may be empty end
		{`root ::= <[5]> "b"`, "", ""},
	} {
		w := NewWalk(c.gbnf)
		w.Push(c.text)
		if got := w.Ahead(100); got != c.want {
			t.Errorf("%s after %q: %q, want %q", c.gbnf, c.text, got, c.want)
		}
		if got := w.Ahead(100); got != c.want {
			t.Errorf("%s after %q, asked again: %q, want %q", c.gbnf, c.text, got, c.want)
		}
	}
}

// Between members of an object white space is free: the walk takes it as it stood before.
func TestWalkLaysOutObjectsAsTheyBegan(t *testing.T) {
	s, err := Compile(context.Background(), []byte(`{"type": "object", "properties": {
		"first": {"type": "integer"}, "second": {"type": "boolean"}, "third": {"const": "x"}},
		"required": ["first", "second", "third"], "additionalProperties": false}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{`{"`, `first":`},
		{`{"first":1,"`, `second":`},
		{`{"first": 1, "sec`, `ond":`}, // and a choice
		{"{\n  \"first\": 1,\n  \"second\": true", ",\n  \"third\": \"x\""},
	} {
		w := NewWalk(s.Grammar)
		w.Push(c.text)
		if got := w.Ahead(100); !strings.HasPrefix(got+"\x00", c.want) {
			t.Errorf("after %q: %q, want %q", c.text, got, c.want)
		}
	}
}

// Whatever the walk says is ahead, it takes.
func FuzzWalk(f *testing.F) {
	f.Add(`root ::= "ab" ("c" | "d")* "e"`, "abc")
	f.Add("root ::= \"a\" root | \"b\"", "aa")
	f.Fuzz(func(t *testing.T, gbnf, text string) {
		if len(gbnf) > 1000 || len(text) > 1000 || Check(gbnf) != nil {
			return
		}
		w := NewWalk(gbnf)
		w.Push(text)
		if ahead := w.Ahead(50); ahead != "" {
			if w.Push(ahead); len(w.ways) == 0 {
				t.Errorf("%q after %q is not within %s", ahead, text, gbnf)
			}
		}
	})
}
