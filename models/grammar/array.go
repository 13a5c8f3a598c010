package grammar

import (
	"fmt"
	"math/bits"
	"strings"
)

func (c *converter) array(s *spec, want conj, hint string) string {
	g := c.rules
	g.base("ws")
	if len(s.prefix) == 0 && !s.hasItems && s.minItems == 0 && s.maxItems < 0 &&
		len(s.contains) == 0 && !s.unique {
		return g.base("array")
	}
	if s.minItems > maxCount {
		panic(c.place(want).errorf("minItems above %d is not supported", maxCount))
	}
	if excepted := s.exceptOf(kindArray); excepted != nil {
		c.loosen(c.place(want), "arrays that are not allowed by name")
	}
	if len(s.contains) > 0 {
		if body, done := c.containing(s, hint); done {
			return body
		}
	}
	hi := s.maxItems
	if s.unique {
		if body, done := c.distinct(s, want, hint); done {
			return body
		}
	}
	var elements []string
	further := ""
	for i := 0; i <= len(s.prefix) && (hi < 0 || i < hi); i++ {
		name := c.value(s.element(i), hint+"-item")
		if name == "" {
			hi = i
			break
		}
		if i < len(s.prefix) {
			elements = append(elements, name)
		} else {
			further = name
		}
	}
	if hi >= 0 && s.minItems > hi {
		return ""
	}
	hi = min(hi, maxCount)
	if hi == 0 {
		return `"[" ws "]"`
	}
	// rest is what may follow the elements that stand before it.
	rest := ""
	if further != "" {
		tail := g.share(hint+"-next", `"," ws `+further)
		before := max(1, len(elements))
		most := -1
		if hi >= 0 {
			most = hi - before
		}
		rest = g.repeat(hint+"-next", tail, max(0, s.minItems-before), most)
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
			rest = g.share(hint+"-rest", rest)
		}
	}
	if rest != "" {
		rest += " "
	}
	if s.minItems == 0 {
		return fmt.Sprintf(`"[" ws ( %s %sws )? "]"`, elements[0], group(rest))
	}
	return fmt.Sprintf(`"[" ws %s %sws "]"`, elements[0], group(rest))
}

// containing spells the arrays of s one of whose elements is valid under
// contains; not done where that is left to the check of the answer.
func (c *converter) containing(s *spec, hint string) (body string, done bool) {
	k := s.contains[0]
	if k.min == 0 && k.max < 0 && len(s.contains) == 1 {
		return "", false
	}
	if len(s.contains) > 1 || k.min != 1 || k.max >= 0 || len(s.prefix) > 0 || s.minItems > 1 ||
		s.maxItems >= 0 || s.unique {
		c.loosen(k.schema, "how many elements are like this")
		return "", false
	}
	one := c.value(s.items.and(k.schema), hint+"-item")
	if one == "" {
		return "", true
	}
	other := c.value(s.items, hint+"-item")
	if other == "" {
		return "", true
	}
	return fmt.Sprintf(`"[" ws ( %s "," ws )* %s ( "," ws %s )* ws "]"`, other, one, other), true
}

// maxDistinct is how many values elements may have that a grammar keeps from
// repeating: it has a rule for each set of them.
const maxDistinct = 6

// distinct spells arrays whose elements differ; not done where they may be spelled
// as others are, as they differ anyway or are left to the check of the answer.
func (c *converter) distinct(s *spec, want conj, hint string) (body string, done bool) {
	if s.maxItems == 0 || s.maxItems == 1 {
		return "", false
	}
	at := c.place(want)
	if len(s.prefix) > 0 {
		if !c.elementsApart(s) {
			c.loosen(at, "uniqueItems: whether elements differ")
		}
		return "", false
	}
	values, finite := c.listed(c.settle(c.alternatives(s.items)))
	if !finite || len(values) > maxDistinct {
		c.loosen(at, "uniqueItems: whether elements differ")
		return "", false
	}
	if s.minItems > len(values) || s.maxItems >= 0 && s.minItems > s.maxItems {
		return "", true
	}
	rules := map[int]string{}
	// rest is the rule of what follows where the values of a set have been.
	var rest func(used int) string
	rest = func(used int) string {
		if name := rules[used]; name != "" {
			return name
		}
		n := bits.OnesCount(uint(used))
		var ways []string
		if s.maxItems < 0 || n < s.maxItems {
			for i, v := range values {
				if used>>i&1 == 1 {
					continue
				}
				between := `"," ws `
				if n == 0 {
					between = ""
				}
				ways = append(ways, between+v+" "+rest(used|1<<i))
			}
		}
		if n >= s.minItems {
			ways = append(ways, `ws "]"`)
		}
		rules[used] = c.rules.share(hint+"-distinct", strings.Join(ways, " | "))
		return rules[used]
	}
	return `"[" ws ` + rest(0), true
}

// elementsApart reports whether no two elements of s can be equal.
func (c *converter) elementsApart(s *spec) bool {
	n := len(s.prefix)
	if s.maxItems < 0 || s.maxItems > n {
		if further := c.alternatives(s.items); !s.hasItems || len(further) > 0 {
			return false
		}
	}
	for i := range n {
		for j := range i {
			if !c.conjApart(s.prefix[i], s.prefix[j], 0) {
				return false
			}
		}
	}
	return true
}

// listed spells the values of alts, false if there is no end to them.
func (c *converter) listed(alts []*spec) ([]string, bool) {
	seen := map[string]bool{}
	var out []string
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
			if k := v.canonical(); c.valid(s, v, surely) && !seen[k] {
				seen[k] = true
				out = append(out, c.constant(v))
			}
		}
	}
	return out, true
}
