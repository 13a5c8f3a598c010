package grammar

import (
	"errors"
	"fmt"
	"strings"
)

// property is a declared property that values may have.
type property struct {
	member   string // rule of "name": value
	required bool
}

// chain builds the rules of an object's members. Its states are (declared
// properties decided on, members written so far, counted up to a cap): every
// subset of optional properties is a path, and the rules are as many as the
// properties times the cap, which is one unless the schema counts properties.
type chain struct {
	g      *rules
	hint   string
	props  []property
	extra  string // rule of an undeclared member, empty if there is none
	lo, hi int    // bounds on the number of members; hi -1 is none
	cap    int
	names  map[[2]int]string // state to rule, "" if it leads nowhere
	short  bool              // some state failed as undeclared members may repeat
}

// state returns the rule of a state, false if no object comes of it.
func (ch *chain) state(i, k int) (string, bool, error) {
	at := [2]int{i, k}
	if name, done := ch.names[at]; done {
		return name, name != "", nil
	}
	body, ok, err := ch.body(i, k)
	if err != nil {
		return "", false, err
	}
	name := ""
	if ok {
		name, err = ch.g.share(ch.hint+"-rest", body)
	}
	ch.names[at] = name
	return name, ok, err
}

func (ch *chain) separator(k int) string {
	if k == 0 {
		return ""
	}
	return `"," ws `
}

// body spells what follows in a state, to the closing brace.
func (ch *chain) body(i, k int) (string, bool, error) {
	var run strings.Builder
	for ; i < len(ch.props) && ch.props[i].required; i++ {
		if ch.hi >= 0 && k >= ch.hi {
			return "", false, nil
		}
		run.WriteString(ch.separator(k) + ch.props[i].member + " ")
		k = min(k+1, ch.cap)
	}
	if i == len(ch.props) {
		end, ok, err := ch.end(k)
		return run.String() + end, ok, err
	}
	skip, canSkip, err := ch.state(i+1, k)
	if err != nil {
		return "", false, err
	}
	take, canTake := "", false
	if ch.hi < 0 || k < ch.hi {
		if take, canTake, err = ch.state(i+1, min(k+1, ch.cap)); err != nil {
			return "", false, err
		}
		take = ch.separator(k) + ch.props[i].member + " " + take
	}
	switch {
	case canTake && canSkip:
		both := take + " | " + skip
		if run.Len() > 0 {
			both = group(both)
		}
		return run.String() + both, true, nil
	case canTake:
		return run.String() + take, true, nil
	}
	return run.String() + skip, canSkip, nil
}

// end spells the undeclared members and the closing brace.
func (ch *chain) end(k int) (string, bool, error) {
	brace := `ws "}"`
	if k == 0 {
		brace = `"}"`
	}
	need, room := max(0, ch.lo-k), -1
	if ch.hi >= 0 {
		room = ch.hi - k
	}
	if ch.extra == "" || room == 0 {
		return brace, need == 0, nil
	}
	if need > 1 { // two undeclared members may be the same one twice
		ch.short = true
		return "", false, nil
	}
	next, err := ch.g.share(ch.hint+"-next", `"," ws `+ch.extra)
	if err != nil {
		return "", false, err
	}
	if k > 0 {
		more, err := ch.g.repeat(ch.hint+"-next", next, need, room)
		return more + " " + brace, true, err
	}
	if room > 0 {
		room--
	}
	more, err := ch.g.repeat(ch.hint+"-next", next, 0, room)
	if err != nil {
		return "", false, err
	}
	first := fmt.Sprintf(`%s %s ws`, ch.extra, more)
	if need == 0 {
		first = "( " + first + " )?"
	}
	return first + ` "}"`, true, nil
}

func (c *converter) object(s *spec, want conj, hint string) (string, error) {
	g := c.rules
	for _, b := range []string{"ws", "colon"} {
		if _, err := g.base(b); err != nil {
			return "", err
		}
	}
	if s.maxProps >= 0 && s.minProps > s.maxProps {
		return "", c.unsatisfiable(want)
	}
	names := s.declared()
	if len(names) == 0 && len(s.layers) == 0 && len(s.names) == 0 && s.minProps == 0 && s.maxProps < 0 {
		return g.base("object")
	}
	ch := &chain{g: g, hint: hint, lo: s.minProps, hi: s.maxProps, names: map[[2]int]string{}}
	for _, name := range names {
		p, err := c.property(s, name, hint)
		if errors.Is(err, errUnsatisfiable) && !s.mustHave(name) {
			continue
		}
		if err != nil {
			return "", err
		}
		ch.props = append(ch.props, p)
	}
	var err error
	if ch.extra, err = c.extra(s, want, names, hint); err != nil {
		return "", err
	}
	ch.hi = min(ch.hi, maxCount)
	ch.cap = max(1, min(max(ch.lo, ch.hi), len(ch.props)))
	if ch.cap*len(ch.props) > 4*c.limits.MaxRules {
		return "", c.place(want).errorf("minProperties or maxProperties with this many properties is not supported")
	}
	body, ok, err := ch.body(0, 0)
	if err != nil {
		return "", err
	}
	if !ok && ch.short {
		return "", c.place(want).errorf("minProperties above 1 needs declared properties: undeclared ones may repeat")
	}
	if !ok {
		return "", c.unsatisfiable(want)
	}
	return `"{" ws ` + group(body), nil
}

func (c *converter) property(s *spec, name, hint string) (property, error) {
	want, _ := s.view(name)
	if ok, err := c.validConj(s.names, &node{kind: kindString, text: name}, surely); err != nil {
		return property{}, err
	} else if !ok {
		return property{}, c.unsatisfiable(s.names)
	}
	value, err := c.value(want, strings.TrimPrefix(hint+"-"+name, "start-"))
	if err != nil {
		return property{}, err
	}
	member, err := c.rules.share(name+"-member", literal(quoteJSON(name))+" colon "+value)
	return property{member, s.mustHave(name)}, err
}

// extra returns the rule of a member that no layer declares, "" if there is none.
func (c *converter) extra(s *spec, want conj, declared []string, hint string) (string, error) {
	open := len(s.layers) == 0
	var patterns []pattern
	for _, l := range s.layers {
		open = open || l.additional != nil
		patterns = append(patterns, l.patterns...)
	}
	var members []string
	add := func(only *dfa, other []pattern, value conj) error {
		rule, err := c.value(value, hint+"-value")
		if errors.Is(err, errUnsatisfiable) {
			return nil
		}
		if err != nil {
			return err
		}
		key, err := c.key(s, only, other, declared, hint)
		if err != nil {
			return c.place(want).errorf("property names: %v", err)
		}
		if key != "" {
			members = append(members, key+" colon "+rule)
		}
		return nil
	}
	if open {
		var value conj
		for _, l := range s.layers {
			if l.additional != nil {
				value = value.and(l.additional)
			}
		}
		if err := add(nil, patterns, value); err != nil {
			return "", err
		}
	}
	done := map[string]bool{}
	for _, p := range patterns {
		if done[p.source] {
			continue
		}
		done[p.source] = true
		var value conj
		var other []pattern
		for _, l := range s.layers {
			own := false
			for j, q := range l.patterns {
				if q.source == p.source {
					value, own = value.and(l.values[j]), true
				} else {
					other = append(other, q)
				}
			}
			if !own && l.additional != nil {
				value = value.and(l.additional)
			}
		}
		if err := add(p.dfa, other, value); err != nil {
			return "", err
		}
	}
	if len(members) == 0 {
		return "", nil
	}
	return c.rules.share(hint+"-extra", strings.Join(members, " | "))
}

// key spells, with its quotes, a name that matches only (nil: any) and none of
// other, is not declared and satisfies propertyNames; "" if there is none.
func (c *converter) key(s *spec, only *dfa, other []pattern, declared []string, hint string) (string, error) {
	if only == nil && len(other) == 0 && len(declared) == 0 && len(s.names) == 0 {
		return c.rules.base("string")
	}
	d := only
	if d == nil {
		d, _ = anyText(0, -1)
	}
	except, err := exactly(declared)
	if err != nil {
		return "", err
	}
	if d, err = d.combine(except, true); err != nil {
		return "", err
	}
	for _, p := range other {
		if d, err = d.combine(p.dfa, true); err != nil {
			return "", err
		}
	}
	var parts []string
	if len(s.names) == 0 {
		parts, err = c.keyPart(parts, d, hint)
		return strings.Join(parts, ""), err
	}
	alts, err := c.alternatives(s.names)
	if err != nil {
		return "", err
	}
	for _, a := range alts {
		if a.types&typeString == 0 {
			continue
		}
		var e *dfa
		if a.hasEnum {
			var texts []string
			for _, v := range a.enum {
				if ok, err := c.valid(a, v, surely); err != nil {
					return "", err
				} else if ok && v.kind == kindString {
					texts = append(texts, v.text)
				}
			}
			e, err = exactly(texts)
		} else if len(a.oneOf) > 0 {
			err = errors.New("oneOf within propertyNames is not supported")
		} else {
			e, err = c.strDFA(a, s.names)
		}
		if err == nil {
			e, err = d.combine(e, false)
		}
		if err == nil {
			parts, err = c.keyPart(parts, e, hint)
		}
		if err != nil {
			return "", err
		}
	}
	if len(parts) > 1 {
		return "( " + strings.Join(parts, " | ") + " )", nil
	}
	return strings.Join(parts, ""), nil
}

func (c *converter) keyPart(parts []string, d *dfa, hint string) ([]string, error) {
	if d.empty() {
		return parts, nil
	}
	start, err := c.rules.automaton(hint+"-key", d)
	return append(parts, `"\"" `+start+` "\""`), err
}
