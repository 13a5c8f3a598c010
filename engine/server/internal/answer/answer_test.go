package answer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine"
)

// changes spells what steps do to blocks: +kind for a beginning, the text, -kind for an end.
func changes(events ...engine.Event) (string, *Answer) {
	var b strings.Builder
	a := &Answer{}
	for _, e := range events {
		for _, d := range a.Add(e).Deltas {
			switch d.Change {
			case Began:
				fmt.Fprintf(&b, "+%d%s ", d.Block.Kind, d.Block.Name)
			case Grew:
				fmt.Fprintf(&b, "%q ", d.Text)
			case Ended:
				fmt.Fprintf(&b, "-%d%t ", d.Block.Kind, d.Block.Cut)
			}
		}
	}
	return strings.TrimSpace(b.String()), a
}

func TestAnswersAreMadeOfBlocks(t *testing.T) {
	call := func(name, arguments string, done bool) engine.CallDelta {
		return engine.CallDelta{Name: name, Arguments: arguments, Done: done}
	}
	end := engine.Event{Done: &engine.Result{}}
	for name, c := range map[string]struct {
		events     []engine.Event
		want, text string
	}{
		"the first blank separates words": {[]engine.Event{{Text: " "}, {Text: " a "}, {Text: " "},
			end}, `+1 "a " " " -1false`, "a  "},
		"blank text is no block": {[]engine.Event{{Reasoning: "r"}, {Text: "\n"}, end},
			`+0 "r" -0false`, "\n"},
		"kinds end each other": {[]engine.Event{{Reasoning: "r"}, {Text: "a"}, {Reasoning: "s"},
			end}, `+0 "r" -0false +1 "a" -1false +0 "s" -0false`, "a"},
		"calls end by themselves": {[]engine.Event{{Text: "a"}, {Calls: []engine.CallDelta{
			call("f", "{", false), call("", "}", true), call("g", "{}", true)}}, end},
			`+1 "a" -1false +2f "{" "}" -2false +2g "{}" -2false`, "a"},
		"a call that is cut off": {[]engine.Event{{Calls: []engine.CallDelta{
			call("f", "{", false)}}, end}, `+2f "{" -2true`, ""},
		"nothing": {[]engine.Event{end}, "", ""},
	} {
		got, a := changes(c.events...)
		if got != c.want || a.Text() != c.text || a.Result == nil {
			t.Errorf("%s: %s, text %q", name, got, a.Text())
		}
	}
	a := &Answer{}
	a.Continued()
	if s := a.Add(engine.Event{Text: " a"}); s.Text != " a" || !s.First {
		t.Errorf("an answer that goes on a text begins with %q", s.Text)
	}
}
