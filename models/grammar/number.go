package grammar

import (
	"maps"
	"math/big"
	"slices"
	"strings"
)

// maxMultiples is how many multiples of multipleOf are listed one by one.
const maxMultiples = 512

// number spells the numbers of s of some kinds, integers or fractions.
func (c *converter) number(s *spec, kinds types, want conj, hint string) string {
	if s.num.empty() {
		return ""
	}
	whole := kinds == typeInteger
	var excepted []*big.Rat
	for _, k := range slices.Sorted(maps.Keys(s.except)) { // in one order, for one grammar
		v := s.except[k]
		if r, err := v.rational(); err == nil {
			excepted = append(excepted, r)
		} else if v.kind == kindNumber {
			c.loosen(v, "a number this large or long")
		}
	}
	if kinds&typeInteger != 0 && len(s.notMultiples) == 0 && len(excepted) == 0 {
		switch {
		case s.num.min != nil || s.num.max != nil || len(s.multiples) > 0:
		case whole:
			return c.rules.base("integer")
		default:
			return c.rules.base("number")
		}
		if body, done := s.number(whole); done {
			return body
		}
	}
	return c.numberDFA(s, kinds, excepted, want, hint)
}

// numberDFA spells the numbers of s by an automaton over their digits.
func (c *converter) numberDFA(s *spec, kinds types, excepted []*big.Rat, want conj,
	hint string) string {
	at := c.place(want)
	body := ""
	if kinds == typeInteger {
		lo, hi := s.num.integers()
		body = integerRange(lo, hi)
	} else {
		body = numberRange(s.num, maxFractionDigits)
	}
	if body == "" {
		return ""
	}
	d, err := bodyDFA(body)
	if err != nil {
		c.loosen(at, "its numbers")
		if kinds == typeInteger {
			return c.rules.base("integer")
		}
		return c.rules.base("number")
	}
	narrowTo := func(e *dfa, except bool, what string) {
		if e != nil {
			if e, err = d.combine(e, except); err == nil {
				d = e
				return
			}
		}
		c.loosen(at, what)
	}
	if kinds == typeFraction {
		e, _ := compilePattern(`^-?\d+(\.0*)?$`, narrow)
		narrowTo(e, true, "numbers that are no integers")
	}
	for _, m := range s.multiples {
		narrowTo(multiplesDFA(m), false, "multipleOf "+m.RatString())
	}
	for _, m := range s.notMultiples {
		narrowTo(multiplesDFA(m), true, "multiples of "+m.RatString())
	}
	for _, r := range excepted {
		whole, digits, finite := decimal(new(big.Rat).Abs(r), maxDecimals)
		if !finite { // no decimal spelling, so never spelled
			continue
		}
		pattern := whole.String() + `(\.0*)?`
		if digits != "" {
			pattern = whole.String() + `\.` + digits + `0*`
		}
		switch r.Sign() {
		case 0:
			pattern = "-?" + pattern
		case -1:
			pattern = "-" + pattern
		}
		e, _ := compilePattern("^"+pattern+"$", narrow)
		narrowTo(e, true, "numbers that are not allowed")
	}
	if d.empty() {
		return ""
	}
	return c.automaton(hint, d)

}

// multiplesDFA accepts decimal spellings of multiples of m; nil if that takes too many states. A
// state is the value of the digits so far, modulo m in units of its last digit, and how many of
// them were behind the point.
func multiplesDFA(m *big.Rat) *dfa {
	_, digits, finite := decimal(m, maxFractionDigits)
	if !finite {
		return nil
	}
	places := len(digits)
	units := new(big.Int).Div(new(big.Int).Mul(m.Num(), pow10(places)), m.Denom())
	if !units.IsInt64() || units.Int64() > maxDFAStates ||
		units.Int64()*int64(places+1) > maxDFAStates {
		return nil
	}
	mod := units.Int64()
	// values before the first digit; the place before the point
	const start, sign, none = -1, -2, -1
	scale := make([]int64, places+1)
	for i := range scale {
		scale[i] = new(big.Int).Mod(pow10(places-i), units).Int64()
	}
	key := func(value int64, place int) string { return packInts([]int{int(value), place + 2}) }
	parts := func(key string) (value int64, place int) {
		s := unpackInts(key)
		return int64(int32(s[0])), s[1] - 2
	}
	d, err := explore(key(start, none), func(k string) bool {
		value, place := parts(k)
		return value >= 0 && place != 0 && value*scale[min(max(place, 0), places)]%mod == 0
	}, func(k string) []keyEdge {
		value, place := parts(k)
		var out []keyEdge
		if value == start {
			out = append(out, keyEdge{runeSet{{'-', '-'}}, key(sign, none)})
		}
		if value >= 0 && place == none {
			out = append(out, keyEdge{runeSet{{'.', '.'}}, key(value, 0)})
		}
		if place >= places { // only zeros add nothing
			return append(out, keyEdge{runeSet{{'0', '0'}}, key(value, max(place, 1))})
		}
		next := place
		if place >= 0 {
			next++
		}
		for digit := range int64(10) {
			out = append(out, keyEdge{runeSet{{rune('0' + digit), rune('0' + digit)}},
				key((max(value, 0)*10+digit)%mod, next)})
		}
		return out
	})
	if err != nil {
		return nil
	}
	return d.minimize()
}

// bodyDFA is the automaton of a body of a rule that names no others.
func bodyDFA(body string) (*dfa, error) {
	g, err := parseGBNF("root ::= " + body)
	if err != nil {
		return nil, err
	}
	p := &regexParser{n: &nfa{}}
	var alternatives func(alts []sequence) fragment
	once := func(it *item) fragment {
		switch it.kind {
		case itemGroup:
			return alternatives(it.alts)
		case itemClass:
			var set []runeRange
			set = append(set, it.ranges...)
			return p.set(newRuneSet(set...))
		}
		f := fragment{p.state(), 0}
		f.out = f.in
		for _, r := range it.text {
			step := p.set(runeSet{{r, r}})
			p.link(f.out, step.in)
			f.out = step.out
		}
		return f
	}
	alternatives = func(alts []sequence) fragment {
		f := fragment{p.state(), p.state()}
		for _, s := range alts {
			at := f.in
			for _, it := range s {
				for range it.min {
					step := once(it)
					p.link(at, step.in)
					at = step.out
				}
				end := p.state()
				p.link(at, end)
				for i := it.min; i < it.max; i++ {
					step := once(it)
					p.link(at, step.in)
					p.link(step.out, end)
					at = step.out
				}
				at = end
			}
			p.link(at, f.out)
		}
		return f
	}
	f := alternatives(g.rules[0].alts)
	if len(p.n.states) > maxNFAStates {
		return nil, errPatternSize
	}
	p.n.start, p.n.accept = f.in, f.out
	return p.n.determinize()
}

// number spells the numbers of s as ranges or lists, only integers if whole; not done where they
// are too many to be listed.
func (s *spec) number(whole bool) (body string, done bool) {
	fraction := maxFractionDigits
	if whole {
		fraction = 0
	}
	var listed *big.Rat
	for _, m := range s.multiples {
		switch _, digits, finite := decimal(m, maxFractionDigits); {
		case new(big.Rat).Inv(m).IsInt() && finite && powerOfTen(m):
			fraction = min(fraction, len(digits))
		case listed == nil:
			listed = m
		default:
			listed = commonMultiple(listed, m)
		}
	}
	if listed == nil {
		if s.num.min == nil && s.num.max == nil && fraction == maxFractionDigits {
			return "number", true
		}
		if fraction == 0 {
			lo, hi := s.num.integers()
			return integerRange(lo, hi), true
		}
		if fraction < maxFractionDigits {
			return numberRange(s.num.onSteps(fraction), fraction), true
		}
		return numberRange(s.num, fraction), true
	}
	if whole {
		listed = commonMultiple(listed, big.NewRat(1, 1))
	}
	if fraction < maxFractionDigits {
		listed = commonMultiple(listed, new(big.Rat).SetFrac(big.NewInt(1), pow10(fraction)))
	}
	if s.num.min == nil || s.num.max == nil {
		return "", false
	}
	scaled := bounds{new(big.Rat).Quo(s.num.min, listed), new(big.Rat).Quo(s.num.max, listed),
		s.num.minStrict, s.num.maxStrict}
	first, last := scaled.integers()
	if new(big.Int).Sub(last, first).Cmp(big.NewInt(maxMultiples)) >= 0 {
		return "", false
	}
	var alts []string
	for k := new(big.Int).Set(first); k.Cmp(last) <= 0; k.Add(k, big.NewInt(1)) {
		text, finite := shortest(new(big.Rat).Mul(new(big.Rat).SetInt(k), listed))
		if !finite {
			return "", false
		}
		alts = append(alts, `"`+text+`"`)
	}
	return strings.Join(alts, " | "), true
}
