package grammar

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// property is a declared property that values may have.
type property struct {
	name     string
	member   string // rule of "name": value; empty for one that is never there
	required bool
}

// chain builds the rules of an object's members. A state is how many declared properties have been
// decided on, how many members have been written (counted up to a cap), and which clauses the
// properties to come must still meet. Every subset of the optional properties is a path through the
// states. The rules are as many as the properties times the cap, which is one unless the schema
// counts properties, times the ways in which properties that speak of others may have gone.
type chain struct {
	c      *converter
	g      *rules
	hint   string
	props  []property
	extra  string // rule of an undeclared member, empty if there is none
	lo, hi int    // bounds on the number of members; hi -1 is none
	cap    int
	names  map[chainState]string // state to rule, "" if it leads nowhere
	short  bool                  // undeclared members that may repeat are counted
}

type chainState struct {
	next, members int
	open          string // clauses over properties to come
}

// maxChain bounds the states of one object.
const maxChain = 4000

// settle returns the clauses that are still open once it is known whether a property is there, and
// false if that breaks one of them. A literal is the place of a property, from one, and below zero
// for its absence.
func settle(clauses [][]int, prop int, has bool) ([][]int, bool) {
	met, unmet := prop+1, -prop-1
	if !has {
		met, unmet = unmet, met
	}
	out := clauses[:0:0]
	for _, cl := range clauses {
		if slices.Contains(cl, met) {
			continue
		}
		if slices.Contains(cl, unmet) {
			cl = slices.DeleteFunc(slices.Clone(cl), func(l int) bool { return l == unmet })
		}
		if len(cl) == 0 {
			return nil, false
		}
		out = append(out, cl)
	}
	return out, true
}

func packClauses(clauses [][]int) string {
	if len(clauses) == 0 {
		return ""
	}
	parts := make([]string, len(clauses))
	for i, cl := range clauses {
		parts[i] = packInts(append([]int{len(cl)}, cl...))
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), "")
}

// state returns the rule of a state, false if no object comes of it.
func (ch *chain) state(i, k int, open [][]int) (string, bool) {
	at := chainState{i, k, packClauses(open)}
	if name, done := ch.names[at]; done {
		return name, name != ""
	}
	if len(ch.names) > maxChain {
		panic(fault.Of(errChain))
	}
	body, ok := ch.body(i, k, open)
	name := ""
	if ok {
		name = ch.g.share(ch.hint+"-rest", body)
	}
	ch.names[at] = name
	return name, ok
}

var errChain = errors.New("too many ways in which its properties may go together")

func (ch *chain) separator(k int) string {
	if k == 0 {
		return ""
	}
	return `"," ws `
}

// body spells what follows in a state, to the closing brace.
func (ch *chain) body(i, k int, open [][]int) (string, bool) {
	ch.c.goOn()
	var run strings.Builder
	for ; i < len(ch.props) && ch.props[i].required; i++ {
		var ok bool
		if open, ok = settle(open, i, true); !ok || ch.hi >= 0 && k >= ch.hi {
			return "", false
		}
		run.WriteString(ch.separator(k) + ch.props[i].member + " ")
		k = min(k+1, ch.cap)
	}
	if i == len(ch.props) {
		end, ok := ch.end(k)
		return run.String() + end, ok && len(open) == 0
	}
	without, canLack := "", false
	if rest, ok := settle(open, i, false); ok {
		without, canLack = ch.state(i+1, k, rest)
	}
	with, canHave := "", false
	if rest, ok := settle(open, i, true); ok && (ch.hi < 0 || k < ch.hi) &&
		ch.props[i].member != "" {
		with, canHave = ch.state(i+1, min(k+1, ch.cap), rest)
		with = ch.separator(k) + ch.props[i].member + " " + with
	}
	switch {
	case canHave && canLack:
		both := with + " | " + without
		if run.Len() > 0 {
			both = group(both)
		}
		return run.String() + both, true
	case canHave:
		return run.String() + with, true
	}
	return run.String() + without, canLack
}

// end spells the undeclared members and the closing brace.
func (ch *chain) end(k int) (string, bool) {
	brace := `ws "}"`
	if k == 0 {
		brace = `"}"`
	}
	need, room := max(0, ch.lo-k), -1
	if ch.hi >= 0 {
		room = ch.hi - k
	}
	if ch.extra == "" || room == 0 {
		return brace, need == 0
	}
	ch.short = ch.short || need > 1 // two undeclared members may be the same one twice
	next := ch.g.share(ch.hint+"-next", `"," ws `+ch.extra)
	if k > 0 {
		return ch.g.repeat(ch.hint+"-next", next, need, room) + " " + brace, true
	}
	if room > 0 {
		room--
	}
	more := ch.g.repeat(ch.hint+"-next", next, max(0, need-1), room)
	// A rule of its own: llama.cpp counts the rules inside a group that may be left out.
	first := ch.g.share(ch.hint+"-members", fmt.Sprintf(`%s %s ws`, ch.extra, more))
	if need == 0 {
		first += "?"
	}
	return first + ` "}"`, true
}
