package grammar

import (
	"fmt"
	"math/big"
	"strings"
)

// bounds is a range of numbers; nil is no bound.
type bounds struct {
	min, max             *big.Rat
	minStrict, maxStrict bool // the bound itself is outside
}

func (b *bounds) atLeast(v *big.Rat, strict bool) {
	if c := 0; b.min != nil {
		if c = v.Cmp(b.min); c < 0 || c == 0 && !strict {
			return
		}
	}
	b.min, b.minStrict = v, strict
}

func (b *bounds) atMost(v *big.Rat, strict bool) {
	if c := 0; b.max != nil {
		if c = v.Cmp(b.max); c > 0 || c == 0 && !strict {
			return
		}
	}
	b.max, b.maxStrict = v, strict
}

func (b bounds) contains(v *big.Rat) bool {
	if b.min != nil {
		if c := v.Cmp(b.min); c < 0 || c == 0 && b.minStrict {
			return false
		}
	}
	if b.max != nil {
		if c := v.Cmp(b.max); c > 0 || c == 0 && b.maxStrict {
			return false
		}
	}
	return true
}

func (b bounds) empty() bool {
	if b.min == nil || b.max == nil {
		return false
	}
	c := b.min.Cmp(b.max)
	return c > 0 || c == 0 && (b.minStrict || b.maxStrict)
}

// integers are the least and greatest integer within b, nil where unbounded.
func (b bounds) integers() (lo, hi *big.Int) {
	one := big.NewInt(1)
	if b.min != nil {
		lo = floor(b.min)
		if !b.min.IsInt() || b.minStrict {
			lo.Add(lo, one)
		}
	}
	if b.max != nil {
		hi = floor(b.max)
		if b.max.IsInt() && b.maxStrict {
			hi.Sub(hi, one)
		}
	}
	return lo, hi
}

func floor(r *big.Rat) *big.Int {
	return new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: downwards, as Denom > 0
}

const (
	maxIntegerDigits  = 20 // where no bound says otherwise
	maxFractionDigits = 15
)

// integerRange spells the integers of [lo, hi], nil being unbounded, "" if none.
func integerRange(lo, hi *big.Int) string {
	var alts []string
	if lo == nil || lo.Sign() < 0 { // -1 and below
		from, to := big.NewInt(1), (*big.Int)(nil)
		if hi != nil && hi.Sign() < 0 {
			from = new(big.Int).Neg(hi)
		}
		if lo != nil {
			to = new(big.Int).Neg(lo)
		}
		if a := naturalRange(from, to); a != "" {
			alts = append(alts, `"-" `+group(a))
		}
	}
	if hi == nil || hi.Sign() >= 0 {
		from := new(big.Int)
		if lo != nil && lo.Sign() > 0 {
			from = lo
		}
		if a := naturalRange(from, hi); a != "" {
			alts = append(alts, a)
		}
	}
	return strings.Join(alts, " | ")
}

func group(s string) string {
	if strings.Contains(s, " | ") {
		return "( " + s + " )"
	}
	return s
}

// naturalRange spells the integers of [lo, hi] with lo >= 0, without leading
// zeros: one alternative for each number of digits.
func naturalRange(lo, hi *big.Int) string {
	if hi != nil && lo.Cmp(hi) > 0 {
		return ""
	}
	from := lo.String()
	longest := max(maxIntegerDigits, len(from)+1)
	if hi != nil {
		longest = len(hi.String())
	}
	var alts []string
	for n := len(from); n <= longest; n++ {
		a, b := "1"+strings.Repeat("0", n-1), strings.Repeat("9", n)
		if n == 1 {
			a = "0"
		}
		if n == len(from) {
			a = from
		}
		if hi != nil && n == longest {
			b = hi.String()
		}
		if hi == nil && n > len(from) { // everything longer at once
			alts = append(alts, fmt.Sprintf("[1-9] [0-9]{%d,%d}", n-1, longest-1))
			break
		}
		alts = append(alts, digitRange(a, b))
	}
	return strings.Join(alts, " | ")
}

func digitClass(lo, hi byte) string {
	if lo == hi {
		return `"` + string(lo) + `"`
	}
	return "[" + string(lo) + "-" + string(hi) + "]"
}

func anyDigits(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " [0-9]"
	}
	return fmt.Sprintf(" [0-9]{%d}", n)
}

// digitRange spells the digit strings from a to b, which have equal length and
// a <= b, in the order of the first digit.
func digitRange(a, b string) string {
	if a == b {
		return `"` + a + `"`
	}
	common := 0
	for a[common] == b[common] {
		common++
	}
	prefix := ""
	if common > 0 {
		prefix = `"` + a[:common] + `" `
	}
	a, b = a[common:], b[common:]
	rest := len(a) - 1
	lo, hi := a[0], b[0]
	var alts []string
	zeros, nines := strings.Repeat("0", rest), strings.Repeat("9", rest)
	if a[1:] != zeros {
		alts = append(alts, digitClass(lo, lo)+" "+group(digitRange(a[1:], nines)))
		lo++
	}
	last := ""
	if b[1:] != nines {
		last = digitClass(hi, hi) + " " + group(digitRange(zeros, b[1:]))
		hi--
	}
	if lo <= hi {
		alts = append(alts, digitClass(lo, hi)+anyDigits(rest))
	}
	if last != "" {
		alts = append(alts, last)
	}
	if prefix != "" {
		return prefix + group(strings.Join(alts, " | "))
	}
	return strings.Join(alts, " | ")
}

// maxDecimals is how many digits after its point a number in a schema has at most.
const maxDecimals = maxExponent + maxNumberText

// decimal returns what stands before the point of r, which is not negative, and the digits after
// it; finite is false if these do not end within limit.
func decimal(r *big.Rat, limit int) (whole *big.Int, digits string, finite bool) {
	whole = floor(r)
	rest := new(big.Rat).Sub(r, new(big.Rat).SetInt(whole))
	if rest.Sign() == 0 {
		return whole, "", true
	}
	for n := 1; n <= limit; n++ {
		if scaled := new(big.Rat).Mul(rest, new(big.Rat).SetInt(pow10(n))); scaled.IsInt() {
			return whole, fmt.Sprintf("%0*s", n, scaled.Num()), true
		}
	}
	return whole, "", false
}

// shortest returns the shortest decimal spelling of r without exponent, false if it has none.
func shortest(r *big.Rat) (text string, finite bool) {
	whole, digits, finite := decimal(new(big.Rat).Abs(r), maxDecimals)
	text = whole.String()
	if digits != "" {
		text += "." + digits
	}
	if r.Sign() < 0 {
		text = "-" + text
	}
	return text, finite
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// numberRange spells the decimal numbers within b, at most fraction digits after
// the point, without exponent; "" if none.
func numberRange(b bounds, fraction int) string {
	var alts []string
	zero := new(big.Rat)
	neg := func(r *big.Rat) *big.Rat {
		if r == nil {
			return nil
		}
		return new(big.Rat).Neg(r)
	}
	below := bounds{min: neg(b.max), minStrict: b.maxStrict, max: neg(b.min),
		maxStrict: b.minStrict}
	below.atLeast(zero, true)
	if !below.empty() {
		if a := unsignedRange(below, fraction); a != "" {
			alts = append(alts, `"-" `+group(a))
		}
	}
	above := b
	above.atLeast(zero, false)
	if !above.empty() {
		if a := unsignedRange(above, fraction); a != "" {
			alts = append(alts, a)
		}
	}
	return strings.Join(alts, " | ")
}

// unsignedRange is numberRange for b.min >= 0. The integer part decides unless
// it equals that of a bound; then the digits after the point are compared.
func unsignedRange(b bounds, fraction int) string {
	iLo, fLo, _ := decimal(b.min, maxDecimals)
	lo := &edge{digits: fLo, strict: b.minStrict}
	one := big.NewInt(1)
	var hi *edge
	var iHi *big.Int
	widest := len(iLo.String())
	if b.max != nil {
		hi = &edge{strict: b.maxStrict}
		iHi, hi.digits, _ = decimal(b.max, maxDecimals)
		widest = len(iHi.String())
	}
	if fraction > 0 {
		// About as many digits as a float64 tells apart: more of them would let
		// 0.99…9 round up to an excluded 1 in the program that reads it.
		most := fraction
		fraction = min(fraction, max(1, maxFractionDigits-widest))
		if hi != nil && iLo.Cmp(iHi) == 0 {
			fraction = max(fraction, len(hi.digits)+1)
		}
		fraction = max(fraction, len(lo.digits)+1)
		// a multipleOf says so, and the bounds are multiples themselves
		if most < maxFractionDigits {
			fraction = most
		}
	}
	var alts []string
	add := func(integers, after string, ok bool) {
		if ok {
			alts = append(alts, strings.TrimSpace(group(integers)+" "+after))
		}
	}
	if iHi != nil && iLo.Cmp(iHi) == 0 {
		after, ok := point(lo, hi, fraction)
		add(`"`+iLo.String()+`"`, after, ok)
		return strings.Join(alts, " | ")
	}
	from := iLo
	if lo.digits != "" || lo.strict {
		after, ok := point(lo, nil, fraction)
		add(`"`+iLo.String()+`"`, after, ok)
		from = new(big.Int).Add(iLo, one)
	}
	var to *big.Int
	if iHi != nil {
		to = new(big.Int).Sub(iHi, one)
	}
	if mid := naturalRange(from, to); mid != "" {
		after, ok := point(nil, nil, fraction)
		add(mid, after, ok)
	}
	if iHi != nil {
		after, ok := point(nil, hi, fraction)
		add(`"`+iHi.String()+`"`, after, ok)
	}
	return strings.Join(alts, " | ")
}

// edge is a bound on the digits after the point, without trailing zeros.
type edge struct {
	digits string
	strict bool
}

// point spells the point and the digits after it, or nothing, such that the
// value lies between the edges (nil: no bound); false if there is no way.
func point(lo, hi *edge, room int) (string, bool) {
	bare := (lo == nil || lo.digits == "" && !lo.strict) && (hi == nil || hi.digits != "" ||
		!hi.strict)
	after, ok := "", false
	if room > 0 {
		after, ok = fractionDigits(lo, hi, room, true)
	}
	switch {
	case ok && bare:
		return `( "." ` + group(after) + " )?", true
	case ok:
		return `"." ` + group(after), true
	}
	return "", bare
}

// fractionDigits spells at most room digits between the edges. With need set
// there must be one, as JSON has no number that ends in a point. false if none.
func fractionDigits(lo, hi *edge, room int, need bool) (string, bool) {
	if lo != nil && lo.digits == "" && !lo.strict {
		lo = nil // any digits are enough
	}
	if hi != nil && hi.digits == "" { // zeros at most
		if hi.strict || lo != nil {
			return "", false
		}
		if need {
			return `"0"`, room > 0
		}
		return "", true
	}
	if lo == nil && hi == nil || room == 0 {
		return freeDigits(lo, hi, room, need)
	}
	loD, hiD := -1, 10 // a digit strictly between is free
	var loRest, hiRest *edge
	if lo != nil {
		loD, loRest = lo.next()
	}
	if hi != nil {
		hiD, hiRest = hi.next()
	}
	var alts []string
	step := func(d int, l, h *edge) {
		if s, ok := fractionDigits(l, h, room-1, false); ok {
			alts = append(alts, strings.TrimSpace(digitClass('0'+byte(d),
				'0'+byte(d))+" "+group(s)))
		}
	}
	if loD == hiD {
		step(loD, loRest, hiRest)
	} else if loD < hiD {
		if loD >= 0 {
			step(loD, loRest, nil)
		}
		if a, b := max(loD+1, 0), min(hiD-1, 9); a <= b {
			tail, _ := freeDigits(nil, nil, room-1, false)
			alts = append(alts, strings.TrimSpace(digitClass('0'+byte(a), '0'+byte(b))+" "+tail))
		}
		if hiD <= 9 {
			step(hiD, nil, hiRest)
		}
	}
	if !need && stopHere(lo, hi) {
		alts = append(alts, `""`)
	}
	if len(alts) == 0 {
		return "", false
	}
	return strings.Join(alts, " | "), true
}

// next is the first digit of an edge and the edge on the digits after it. Past
// its digits an edge goes on with zeros.
func (e *edge) next() (int, *edge) {
	if e.digits == "" {
		return 0, e
	}
	return int(e.digits[0] - '0'), &edge{e.digits[1:], e.strict}
}

// stopHere reports whether no further digits, which means zeros, lie between the edges.
func stopHere(lo, hi *edge) bool {
	return (lo == nil || lo.digits == "" && !lo.strict) && (hi == nil || hi.digits != "" ||
		!hi.strict)
}

func freeDigits(lo, hi *edge, room int, need bool) (string, bool) {
	switch {
	case room == 0:
		return "", !need && stopHere(lo, hi)
	case need:
		return fmt.Sprintf("[0-9]{1,%d}", room), true
	}
	return fmt.Sprintf("[0-9]{0,%d}", room), true
}

// onSteps narrows b to the multiples of 10^-digits that are its first and last.
func (b bounds) onSteps(digits int) bounds {
	step := new(big.Rat).SetFrac(big.NewInt(1), pow10(digits))
	scale := func(r *big.Rat) *big.Rat {
		if r == nil {
			return nil
		}
		return new(big.Rat).Quo(r, step)
	}
	first, last := bounds{scale(b.min), scale(b.max), b.minStrict, b.maxStrict}.integers()
	var on bounds
	if first != nil {
		on.min = new(big.Rat).Mul(new(big.Rat).SetInt(first), step)
	}
	if last != nil {
		on.max = new(big.Rat).Mul(new(big.Rat).SetInt(last), step)
	}
	return on
}

// maxMultiples is how many multiples of multipleOf are listed one by one.
const maxMultiples = 512

// number spells the numbers of s of some kinds, integers or fractions.
func (c *converter) number(s *spec, kinds types, want conj, hint string) string {
	if s.num.empty() {
		return ""
	}
	whole := kinds == typeInteger
	var excepted []*big.Rat
	for _, v := range s.except {
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

// powerOfTen reports whether m is 1, 0.1, 0.01 …
func powerOfTen(m *big.Rat) bool {
	return m.Num().IsInt64() && m.Num().Int64() == 1 && strings.Trim(m.Denom().String(), "0") == "1"
}

// commonMultiple is the least common multiple of two positive rationals.
func commonMultiple(a, b *big.Rat) *big.Rat {
	den := new(big.Int).Mul(a.Denom(), b.Denom())
	x := new(big.Int).Mul(a.Num(), b.Denom())
	y := new(big.Int).Mul(b.Num(), a.Denom())
	lcm := new(big.Int).Div(new(big.Int).Mul(x, y), new(big.Int).GCD(nil, nil, x, y))
	return new(big.Rat).SetFrac(lcm, den)
}
