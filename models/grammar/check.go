package grammar

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// maxLeftWalk bounds the rule visits of llama.cpp's search for left recursion,
// which does not remember rules it has already cleared.
const maxLeftWalk = 1 << 20

// Check reports the first fault in a GBNF grammar whose start rule is "root",
// with line and column. A grammar that passes is safe to hand to llama.cpp
// 0.7: it parses there, every rule named is defined, no rule is left-recursive
// (also through parts that may be empty, which llama.cpp's own search misses),
// repetitions stay under its bound, and root can come to an end. Tokens
// (<text>, <[id]>) are checked for their form alone; only a vocabulary knows
// whether they exist.
func Check(gbnf string) error {
	g, err := parseGBNF(gbnf)
	if err != nil {
		return err
	}
	return g.check(false)
}

// check is [Check] of a grammar that has been parsed; whole says that root is known to come to an
// end.
func (g *gbnf) check(whole bool) (err error) {
	defer fault.Catch(&err)
	if len(g.rules) == 0 {
		return errors.New("grammar: no rules")
	}
	if g.index["root"] == nil {
		return errors.New("grammar: no rule \"root\"")
	}
	for _, r := range g.rules {
		for it := range references(r.alts) {
			if g.index[it.text] == nil {
				return fmt.Errorf("grammar: %v: rule %q is not defined", it.at, it.text)
			}
		}
	}
	g.link()
	nullable := g.fixpoint(func(it *item) bool { return it.kind == itemLiteral && it.text == "" })
	l := leftWalk{g: g, nullable: nullable, cost: make([]int, len(g.rules))}
	for i := range g.rules {
		l.rule(i)
	}
	if !whole && !g.productive()[slices.Index(g.rules, g.index["root"])] {
		return fmt.Errorf("grammar: %v: rule \"root\" can never come to an end", g.index["root"].at)
	}
	return nil
}

// productive returns the rules that derive some finite text.
func (g *gbnf) productive() []bool {
	return g.fixpoint(func(*item) bool { return true })
}

// references returns the items of alternatives, and of the groups among them, that name rules.
func references(alts []sequence) iter.Seq[*item] {
	return func(yield func(*item) bool) { eachReference(alts, yield) }
}

func eachReference(alts []sequence, yield func(*item) bool) bool {
	for _, s := range alts {
		for _, it := range s {
			if it.kind == itemRef && !yield(it) || !eachReference(it.alts, yield) {
				return false
			}
		}
	}
	return true
}

// fixpoint returns the least set of rules with an alternative all of whose items may be left out,
// name a rule of the set, are groups with such an alternative, or satisfy holds. Rules go by their
// places.
func (g *gbnf) fixpoint(holds func(it *item) bool) []bool {
	has := make([]bool, len(g.rules))
	var of func(alts []sequence) bool
	one := func(it *item) bool {
		switch {
		case it.min == 0:
			return true
		case it.kind == itemRef:
			return it.rule >= 0 && has[it.rule]
		case it.kind == itemGroup:
			return of(it.alts)
		}
		return holds(it)
	}
	of = func(alts []sequence) bool {
	next:
		for _, s := range alts {
			for _, it := range s {
				if !one(it) {
					continue next
				}
			}
			return true
		}
		return false
	}
	// A rule is looked at again only when a rule it names has joined the set,
	// so that a long chain of rules costs its length and not its square.
	users := g.users()
	work := make([]int, 0, len(g.rules))
	for i := range g.rules {
		work = append(work, i)
	}
	for len(work) > 0 {
		r := work[len(work)-1]
		work = work[:len(work)-1]
		if !has[r] && of(g.rules[r].alts) {
			has[r] = true
			work = append(work, users[r]...)
		}
	}
	return has
}

// users returns for each rule those that name it, one as often as it does.
func (g *gbnf) users() [][]int {
	counts, total := make([]int, len(g.rules)), 0
	for _, r := range g.rules {
		for it := range references(r.alts) {
			if it.rule >= 0 {
				counts[it.rule]++
				total++
			}
		}
	}
	room, users := make([]int, total), make([][]int, len(g.rules))
	for i, n := range counts {
		users[i], room = room[:0:n], room[n:]
	}
	for user, r := range g.rules {
		for it := range references(r.alts) {
			if it.rule >= 0 {
				users[it.rule] = append(users[it.rule], user)
			}
		}
	}
	return users
}

// link finds the places of the rules that items name, -1 for rules that there are not.
func (g *gbnf) link() {
	places := make(map[string]int, len(g.rules))
	for i, r := range g.rules {
		places[r.name] = i
	}
	for _, r := range g.rules {
		for it := range references(r.alts) {
			it.rule = -1
			if at, ok := places[it.text]; ok {
				it.rule = at
			}
		}
	}
}

const walking = -1

// leftWalk visits what can stand leftmost in each rule.
type leftWalk struct {
	g        *gbnf
	nullable []bool
	// visits llama.cpp makes below a rule, from one on; 0 before it is known, walking while on the
	// path
	cost  []int
	depth int
}

func (l *leftWalk) rule(i int) int {
	r := l.g.rules[i]
	if c := l.cost[i]; c != 0 {
		if c == walking {
			panic(fault.New("grammar: %v: rule %q is left-recursive: it can start with itself",
				r.at, r.name))
		}
		return c
	}
	// llama.cpp walks by recursion on the C stack.
	if l.depth++; l.depth > 20000 {
		panic(fault.New("grammar: %v: chain of leftmost rules is too long", r.at))
	}
	l.cost[i] = walking
	c, _ := l.alts(r.alts)
	if c++; c > maxLeftWalk {
		panic(fault.New("grammar: %v: rule %q branches too widely before its first character",
			r.at, r.name))
	}
	l.cost[i] = c
	l.depth--
	return c
}

// alts returns the visits below the alternatives and whether one may be empty.
func (l *leftWalk) alts(alts []sequence) (cost int, empty bool) {
	for _, s := range alts {
		leftmost := true
		for _, it := range s {
			c, e := 0, it.kind == itemLiteral && it.text == ""
			switch {
			case it.kind == itemGroup:
				// Parsed even when not leftmost: an unbounded repetition of
				// something empty is a fault wherever it stands.
				c, e = l.group(it.alts, leftmost)
			case it.kind == itemRef && leftmost:
				c = l.rule(it.rule)
				e = l.nullable[it.rule]
			case it.kind == itemRef:
				e = l.nullable[it.rule]
			}
			if it.max < 0 && e {
				panic(fault.New(
					"grammar: %v: unbounded repetition of something that may be empty", it.at))
			}
			if leftmost {
				// x{0,n} becomes n rules, each starting with x.
				cost = min(cost+c*max(1, it.max-it.min)+max(0, it.max-it.min), maxLeftWalk+1)
			}
			if it.min > 0 && !e {
				leftmost = false
			}
		}
		empty = empty || leftmost
	}
	return cost, empty
}

func (l *leftWalk) group(alts []sequence, leftmost bool) (int, bool) {
	if leftmost {
		return l.alts(alts)
	}
	// Not leftmost: look only for empty repetitions, do not follow rules.
	empty := false
	for _, s := range alts {
		all := true
		for _, it := range s {
			e := it.kind == itemLiteral && it.text == "" || it.kind == itemRef &&
				l.nullable[it.rule]
			if it.kind == itemGroup {
				_, e = l.group(it.alts, false)
			}
			if it.max < 0 && e {
				panic(fault.New(
					"grammar: %v: unbounded repetition of something that may be empty", it.at))
			}
			all = all && (e || it.min == 0)
		}
		empty = empty || all
	}
	return 0, empty
}
