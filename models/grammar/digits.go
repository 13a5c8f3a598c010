package grammar

import (
	"fmt"
	"math/big"
	"strings"
)

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
	bare := stopHere(lo, hi)
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
