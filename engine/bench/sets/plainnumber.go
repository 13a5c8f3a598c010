package sets

import (
	"unicode"
	"unicode/utf8"
)

// plainNumbers finds what the expression -?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d]) finds,
// which looks ahead, and Go's expressions do not: numbers without commas and exponents.
func plainNumbers(s string) (list []string) {
	for i := 0; i < len(s); {
		if end := plainNumberAt(s, i); end > i {
			list = append(list, s[i:end])
			i = end
			continue
		}
		i++
	}
	return list
}

// plainNumberAt returns where the number that begins at i ends, or i.
func plainNumberAt(s string, i int) int {
	start := i
	if s[i] == '-' {
		i++
	}
	whole := digits(s, i)
	if whole > i && whole < len(s) && s[whole] == '.' {
		// With decimals; fewer of them where what follows forbids all.
		for end := digits(s, whole+1); end > whole+1; end-- {
			if endsNumber(s, end) {
				return end
			}
		}
	}
	if whole == i && i < len(s) && s[i] == '.' {
		for end := digits(s, i+1); end > i+1; end-- {
			if endsNumber(s, end) {
				return end
			}
		}
	}
	if whole > i && wordEnds(s, whole) && endsNumber(s, whole) {
		return whole
	}
	return start
}

// digits returns where the digits from i on end.
func digits(s string, i int) int {
	for i < len(s) && digit(s[i]) {
		i++
	}
	return i
}

// endsNumber reports whether neither an exponent nor a comma or digit follows.
func endsNumber(s string, end int) bool {
	if end == len(s) {
		return true
	}
	if s[end] == ',' || digit(s[end]) {
		return false
	}
	if s[end] != 'e' && s[end] != 'E' {
		return true
	}
	k := end + 1
	if k < len(s) && (s[k] == '+' || s[k] == '-') {
		k++
	}
	return digits(s, k) == k
}

// wordEnds reports whether a word ends here, as \b has it after a digit.
func wordEnds(s string, end int) bool {
	r, size := utf8.DecodeRuneInString(s[end:])
	return size == 0 || r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}
