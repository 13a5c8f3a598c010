package grammar

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

func (c *converter) array(s *spec, want conj, hint string) (string, error) {
	g := c.rules
	if _, err := g.base("ws"); err != nil {
		return "", err
	}
	if len(s.prefix) == 0 && !s.hasItems && s.minItems == 0 && s.maxItems < 0 &&
		len(s.contains) == 0 && !s.unique {
		return g.base("array")
	}
	if s.minItems > maxCount {
		return "", c.place(want).errorf("minItems above %d is not supported", maxCount)
	}
	if excepted := s.exceptOf(kindArray); excepted != nil {
		c.loosen(c.place(want), "arrays that are not allowed by name")
	}
	if len(s.contains) > 0 {
		if body, err := c.containing(s, want, hint); body != "" || err != nil {
			return body, err
		}
	}
	hi := s.maxItems
	if s.unique {
		if body, err := c.distinct(s, want, hint); body != "" || err != nil {
			return body, err
		}
	}
	var elements []string
	further := ""
	for i := 0; i <= len(s.prefix) && (hi < 0 || i < hi); i++ {
		name, err := c.value(s.element(i), hint+"-item")
		if errors.Is(err, errUnsatisfiable) {
			hi = i
			break
		}
		if err != nil {
			return "", err
		}
		if i < len(s.prefix) {
			elements = append(elements, name)
		} else {
			further = name
		}
	}
	if hi >= 0 && s.minItems > hi {
		return "", c.unsatisfiable(want)
	}
	if hi > maxCount {
		hi = maxCount
	}
	if hi == 0 {
		return `"[" ws "]"`, nil
	}
	// rest is what may follow the elements that stand before it.
	rest := ""
	if further != "" {
		tail, err := g.share(hint+"-next", `"," ws `+further)
		if err != nil {
			return "", err
		}
		before := max(1, len(elements))
		most := -1
		if hi >= 0 {
			most = hi - before
		}
		if rest, err = g.repeat(hint+"-next", tail, max(0, s.minItems-before), most); err != nil {
			return "", err
		}
		if len(elements) == 0 {
			elements = []string{further}
		}
	}
	for i := len(elements) - 1; i > 0; i-- {
		rest = `"," ws ` + elements[i] + " " + rest
		optional := i >= s.minItems
		if optional {
			rest += ` | ""`
		}
		if optional || len(rest) > 400 { // long runs are cut, or copying them would be quadratic
			var err error
			if rest, err = g.share(hint+"-rest", rest); err != nil {
				return "", err
			}
		}
	}
	if rest != "" {
		rest += " "
	}
	if s.minItems == 0 {
		return fmt.Sprintf(`"[" ws ( %s %sws )? "]"`, elements[0], group(rest)), nil
	}
	return fmt.Sprintf(`"[" ws %s %sws "]"`, elements[0], group(rest)), nil
}

// containing spells the arrays of s one of whose elements is valid under
// contains; empty where that is left to the check of the answer.
func (c *converter) containing(s *spec, want conj, hint string) (string, error) {
	k := s.contains[0]
	if k.min == 0 && k.max < 0 && len(s.contains) == 1 {
		return "", nil
	}
	if len(s.contains) > 1 || k.min != 1 || k.max >= 0 || len(s.prefix) > 0 || s.minItems > 1 ||
		s.maxItems >= 0 || s.unique {
		c.loosen(k.schema, "how many elements are like this")
		return "", nil
	}
	one, err := c.value(s.items.and(k.schema), hint+"-item")
	if err != nil {
		return "", err
	}
	other, err := c.value(s.items, hint+"-item")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`"[" ws ( %s "," ws )* %s ( "," ws %s )* ws "]"`, other, one, other), nil
}

// maxDistinct is how many values elements may have that a grammar keeps from
// repeating: it has a rule for each set of them.
const maxDistinct = 6

// distinct spells arrays whose elements differ; empty where they may be spelled
// as others are, as they differ anyway or are left to the check of the answer.
func (c *converter) distinct(s *spec, want conj, hint string) (string, error) {
	if s.maxItems == 0 || s.maxItems == 1 {
		return "", nil
	}
	at := c.place(want)
	if len(s.prefix) > 0 {
		if apart, err := c.elementsApart(s); apart || err != nil {
			return "", err
		}
		c.loosen(at, "uniqueItems: whether elements differ")
		return "", nil
	}
	alts, err := c.alternatives(s.items)
	if err != nil {
		return "", err
	}
	if alts, err = c.settle(alts); err != nil {
		return "", err
	}
	values, finite := c.listed(alts)
	if !finite || len(values) > maxDistinct {
		c.loosen(at, "uniqueItems: whether elements differ")
		return "", nil
	}
	if s.minItems > len(values) {
		return "", c.unsatisfiable(want)
	}
	rules := map[int]string{}
	// rest is the rule of what follows where the values of a set have been.
	var rest func(used int) (string, error)
	rest = func(used int) (string, error) {
		if name := rules[used]; name != "" {
			return name, nil
		}
		n := bits.OnesCount(uint(used))
		var ways []string
		if s.maxItems < 0 || n < s.maxItems {
			for i, v := range values {
				if used>>i&1 == 1 {
					continue
				}
				next, err := rest(used | 1<<i)
				if err != nil {
					return "", err
				}
				between := `"," ws `
				if n == 0 {
					between = ""
				}
				ways = append(ways, between+v+" "+next)
			}
		}
		if n >= s.minItems {
			ways = append(ways, `ws "]"`)
		}
		if len(ways) == 0 { // cannot be: there are minItems values
			return "", c.unsatisfiable(want)
		}
		name, err := c.rules.share(hint+"-distinct", strings.Join(ways, " | "))
		rules[used] = name
		return name, err
	}
	first, err := rest(0)
	return `"[" ws ` + first, err
}

// elementsApart reports whether no two elements of s can be equal.
func (c *converter) elementsApart(s *spec) (bool, error) {
	n := len(s.prefix)
	if s.maxItems < 0 || s.maxItems > n {
		if further, err := c.alternatives(s.items); !s.hasItems || len(further) > 0 || err != nil {
			return false, err
		}
	}
	for i := range n {
		for j := range i {
			if apart, err := c.conjApart(s.prefix[i], s.prefix[j], 0); !apart || err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// listed spells the values of alts, false if there is no end to them.
func (c *converter) listed(alts []*spec) ([]string, bool) {
	seen := map[string]bool{}
	var out []string
	add := func(v *node) bool {
		if k := v.canonical(); !seen[k] {
			seen[k] = true
			text, err := c.constant(v)
			if err != nil {
				return false
			}
			out = append(out, text)
		}
		return true
	}
	for _, s := range alts {
		if !s.hasEnum && s.types&^(typeNull|typeBool) != 0 || s.loose {
			return nil, false
		}
		values := s.enum
		if !s.hasEnum {
			values = []*node{{kind: kindNull}, {kind: kindBool}, {kind: kindBool, yes: true}}
		}
		for _, v := range values {
			if len(out) > maxDistinct {
				return out, true
			}
			if ok, err := c.valid(s, v, surely); err != nil || ok && !add(v) {
				return nil, false
			}
		}
	}
	return out, true
}
