package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// isSpace is Python's str.isspace.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// upper, lower and fold follow Unicode's full mappings, as Python does: one character may become
// several.
func upper(s string) string { return byCase(s, strings.ToUpper, cases.Upper(language.Und)) }
func lower(s string) string { return byCase(s, strings.ToLower, cases.Lower(language.Und)) }
func fold(s string) string  { return byCase(s, strings.ToLower, cases.Fold()) }

func byCase(s string, plain func(string) string, full cases.Caser) string {
	if isASCII(s) {
		return plain(s)
	}
	return full.String(s)
}

// titleRune is the title case of a character.
func titleRune(r rune) string {
	if r < utf8.RuneSelf {
		return string(unicode.ToUpper(r))
	}
	full := upper(string(r))
	first, w := utf8.DecodeRuneInString(full)
	if w < len(full) {
		return string(first) + lower(full[w:])
	}
	return string(unicode.ToTitle(r))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isLowerRune(r rune) bool {
	return unicode.IsLower(r) || unicode.Is(unicode.Other_Lowercase, r)
}
func isUpperRune(r rune) bool {
	return unicode.IsUpper(r) || unicode.Is(unicode.Other_Uppercase, r)
}
func isCased(r rune) bool { return isLowerRune(r) || isUpperRune(r) || unicode.IsTitle(r) }

// isLower and isUpper are Python's: something has a case, and nothing has the other.
func isLower(s string) bool { return oneCase(s, isLowerRune) }
func isUpper(s string) bool { return oneCase(s, isUpperRune) }

func oneCase(s string, right func(rune) bool) bool {
	cased := false
	for _, r := range s {
		if right(r) {
			cased = true
		} else if isCased(r) {
			return false
		}
	}
	return cased
}

// isTitle is Python's str.istitle.
func isTitle(s string) bool {
	cased, previous := false, false
	for _, r := range s {
		switch {
		case isUpperRune(r) || unicode.IsTitle(r):
			if previous {
				return false
			}
			cased, previous = true, true
		case isLowerRune(r):
			if !previous {
				return false
			}
			cased = true
		default:
			previous = false
		}
	}
	return cased
}

// digits has the characters of Unicode's Numeric_Type=Digit that are no decimal digits, and
// numerals has the numbers among Han characters.
var (
	digits = rangesOf("\u00b2\u00b3\u00b9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea\u24f5-\u24fd" +
		"\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\U00010a40-\U00010a43\U00010e60-\U00010e68\U00011052-\U0001105a\U0001f100-\U0001f10a")
	numerals = rangesOf("\u3405\u3483\u382a\u3b4d\u4e00\u4e03\u4e07\u4e09\u4e5d\u4e8c\u4e94\u4e96\u4ebf\u4ec0\u4edf\u4ee8\u4f0d\u4f70\u5104\u5146\u5169" +
		"\u516b\u516d\u5341\u5343-\u5345\u534c\u53c1-\u53c4\u56db\u58f1\u58f9\u5e7a\u5efe\u5eff\u5f0c-\u5f0e\u5f10\u62fe\u634c\u67d2\u6f06" +
		"\u7396\u767e\u8086\u842c\u8cae\u8cb3\u8d30\u9621\u9646\u964c\u9678\u96f6\uf96b\uf973\uf978\uf9b2\uf9d1\uf9d3\uf9fd\U00020001" +
		"\U00020064\U000200e2\U00020121\U0002092a\U00020983\U0002098c\U0002099c\U00020aea\U00020afd\U00020b19\U00022390\U00022998\U00023b1b" +
		"\U0002626d\U0002f890")
)

// rangesOf reads characters and ranges of them.
func rangesOf(s string) (out [][2]rune) {
	rs := []rune(s)
	for i := 0; i < len(rs); i++ {
		if i+2 < len(rs) && rs[i+1] == '-' {
			out = append(out, [2]rune{rs[i], rs[i+2]})
			i += 2
			continue
		}
		out = append(out, [2]rune{rs[i], rs[i]})
	}
	return out
}

func among(ranges [][2]rune, r rune) bool {
	return slices.ContainsFunc(ranges, func(x [2]rune) bool { return r >= x[0] && r <= x[1] })
}

func isDecimal(r rune) bool { return unicode.Is(unicode.Nd, r) }
func isDigit(r rune) bool   { return isDecimal(r) || among(digits, r) }
func isNumeric(r rune) bool { return unicode.IsNumber(r) || among(digits, r) || among(numerals, r) }
func isAlnum(r rune) bool   { return unicode.IsLetter(r) || isNumeric(r) }
func isWord(r rune) bool    { return r == '_' || isAlnum(r) }

// isIdentifier is Python's str.isidentifier.
func isIdentifier(s string) bool {
	for i, r := range s {
		start := r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Nl, r)
		if !start && (i == 0 || !isDecimal(r) && !unicode.In(r, unicode.Mn, unicode.Mc,
			unicode.Pc)) {
			return false
		}
	}
	return s != ""
}
