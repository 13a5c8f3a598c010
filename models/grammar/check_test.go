package grammar

import (
	"strings"
	"testing"
)

func TestCheckAcceptsGoodGrammars(t *testing.T) {
	for _, g := range []string{
		`root ::= "a"`,
		"# comment\nroot ::= item (\",\" item)* # more\nitem ::= [^\\n\"]+ |\n  \"\\x41\\u00e9\\U0001F600\"\n",
		"root ::= (\n  \"x\"\n  | \"y\" root\n){1,3} .",
		"root ::= <think> (!</think>)* <[12]>",
		`root ::= "a"{2}{3}`,
		"root ::= [a-]",
		"root ::= a{1999}\na ::= \"x\"",
	} {
		if err := Check(g); err != nil {
			t.Errorf("%q: %v", g, err)
		}
	}
}

func TestCheckNamesTheFaultAndItsPlace(t *testing.T) {
	deep := strings.Repeat("(", 200) + `"a"` + strings.Repeat(")", 200)
	for _, c := range []struct{ name, grammar, want string }{
		{"nothing", "", "no rules"},
		{"no root", `a ::= "x"`, `no rule "root"`},
		{"undefined rule", "root ::= \"a\" |\n  b", `2:3: rule "b" is not defined`},
		{"defined twice", "root ::= \"a\"\nroot ::= \"b\"",
			`2:1: rule "root" is defined again, first at 1:1`},
		{"missing ::=", "root = x", "1:6: expected ::="},
		{"underscore", "root ::= a_b", "1:11: underscore"},
		{"unterminated literal", "root ::= \"abc", "1:10: unterminated literal"},
		{"unterminated class", "root ::= [abc", "1:10: unterminated character class"},
		{"empty class", "root ::= []", "1:10: empty character class"},
		{"range backwards", "root ::= [z-a]", "1:11: range"},
		{"unknown escape", `root ::= "\q"`, "1:11: unknown escape"},
		{"short escape", `root ::= "\u12"`, `1:11: \u needs 4`},
		{"beyond Unicode", `root ::= "\U00110000"`, "beyond Unicode"},
		{"open group", `root ::= ("a"`, "expected ')' for the group opened at 1:10"},
		{"stray parenthesis", `root ::= "a")`, "1:13: ')' without '('"},
		{"deep groups", "root ::= " + deep, "nested more than"},
		{"nothing to repeat", `root ::= *`, "without an item"},
		{"repetition of an empty literal", `root ::= ""*`, "without an item"},
		{"repetition backwards", `root ::= "a"{3,2}`, "1:13: repetition from 3 down to 2"},
		{"repetition unclosed", `root ::= "a"{3`, "not closed"},
		{"repetition without count", `root ::= "a"{,3}`, "needs a count"},
		{"repetition too large", `root ::= "a"{2000}`, "of 2000 or more"},
		{"repetition maximum that llama.cpp would drop", `root ::= "a"{1,99999999999999999999}`,
			"of 2000 or more"},
		{"repetitions that multiply", `root ::= ("a"{0,100}){100}`, "repetition creates"},
		{"left recursion", `root ::= root "a" | "b"`, `rule "root" is left-recursive`},
		{"left recursion behind an empty part", "root ::= e root | \"b\"\ne ::= f\nf ::= \"x\"?",
			"left-recursive"},
		{"indirect left recursion", "root ::= \"x\" a\na ::= b\nb ::= a", "left-recursive"},
		{"empty repetition", `root ::= ("a"?)*`, "unbounded repetition"},
		{"empty repetition behind a character", `root ::= "x" ("a"?)*`, "unbounded repetition"},
		{"no end", `root ::= "a" root`, "can never come to an end"},
		{"NUL", "root ::= \"a\x00\"", "1:12: NUL"},
		{"invalid UTF-8", "root ::= \"a\xff\"", "1:12: invalid UTF-8"},
		{"empty token", "root ::= <>", "empty token"},
		{"bad token id", "root ::= <[x]>", "bad token id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := Check(c.grammar); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestCheckRefusesAnExponentialLeftWalk(t *testing.T) {
	var b strings.Builder
	b.WriteString("root ::= r0\n")
	for i := range 40 {
		name := func(i int) string { return "r" + strings.Repeat("x", i) }
		if i == 0 {
			b.WriteString("r0 ::= " + name(0) + "\n")
		}
		b.WriteString(name(i) + " ::= " + name(i+1) + " | " + name(i+1) + "\n")
	}
	b.WriteString("r" + strings.Repeat("x", 40) + " ::= \"a\"\n")
	if err := Check(b.String()); err == nil || !strings.Contains(err.Error(),
		"branches too widely") {
		t.Errorf("error %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{`root ::= "a"`, JSON(),
		`root ::= ([a-z]{1,3} | <[1]> | !<x>)* . # c`, "root ::= a?\na ::= (root|\"x\"){2,}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if Check(text) != nil {
			return
		}
		g, err := parseGBNF(text)
		if err != nil {
			t.Fatal(err)
		}
		// A checked grammar has a shortest text, and no rule can start with itself.
		s := &sampler{g: g, height: map[string]int{}, intn: func(int) int { return 0 }}
		for range g.rules {
			for _, r := range g.rules {
				if h := s.heightOf(r.alts); h < far {
					s.height[r.name] = h
				}
			}
		}
		if _, ok := s.height["root"]; !ok {
			t.Fatal("root has no end")
		}
	})
}
