package grammar

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// format is a value of "format". A string has it if it matches the pattern, in
// full and as the standard defines it, and passes the check.
type format struct {
	pattern string
	check   func(string) bool // what no automaton tells; nil if nothing
	why     string            // what check tells, in words
}

// formats are those of the specification. Other values are annotations.
var formats = map[string]format{
	"date":      {pattern: datePattern},                        // RFC 3339, full-date
	"time":      {pattern: timePattern},                        // RFC 3339, full-time
	"date-time": {pattern: datePattern + `[Tt]` + timePattern}, // RFC 3339, date-time
	"duration":  {pattern: durationPattern},
	"email":     {mailboxPattern, mailbox, "lengths and internationalized names"},
	"idn-email": {idnMailboxPattern, idnMailbox, "lengths and internationalized names"},
	"hostname": {hostPattern, hostname,
		"the whole length and internationalized names"},
	"idn-hostname":  {idnHostPattern, idnHostname, "internationalized names"},
	"ipv4":          {pattern: ipv4Pattern},
	"ipv6":          {pattern: ipv6Pattern},
	"uri":           {pattern: uriPattern(asciiURI, true)},
	"uri-reference": {pattern: uriPattern(asciiURI, false)},
	"iri":           {pattern: uriPattern(unicodeURI, true)},
	"iri-reference": {pattern: uriPattern(unicodeURI, false)},
	"uri-template":  {pattern: templatePattern},
	// RFC 4122
	"uuid": {pattern: `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`},
	// RFC 6901
	"json-pointer": {pattern: pointerPattern},
	// draft-handrews-relative-json-pointer-01
	"relative-json-pointer": {pattern: `(0|[1-9]\d*)(#|` + pointerPattern + `)`},
	"regex":                 {`[^]*`, isRegex, "regular expressions"},
}

var (
	// RFC 3339: the 29th of February only in leap years of the Gregorian calendar.
	datePattern = `(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))` +
		`|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)`
	// A leap second is the last one of a day in UTC.
	timePattern = `(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+\-]([01]\d|2[0-3]):[0-5]\d)|23:59:60(\.\d+)?([Zz]|[+\-]00:00))`

	// RFC 3339, appendix A, and the fraction of the last number that ISO 8601 lets it have.
	durationPattern = `P(` + numberPattern + `W|\d+Y(` + monthsPattern + `|` + clockPattern +
		`)?|\d+\.\d+Y|` + monthsPattern + `|` +
		daysPattern + `|` + clockPattern + `)`
	numberPattern = `\d+(\.\d+)?`
	monthsPattern = `(\d+M(` + daysPattern + `|` + clockPattern + `)?|\d+\.\d+M)`
	daysPattern   = `(\d+D(` + clockPattern + `)?|\d+\.\d+D)`
	clockPattern  = `T(\d+H(` + minutesPattern + `)?|\d+\.\d+H|` + minutesPattern + `|` +
		numberPattern + `S)`
	minutesPattern = `(\d+M(` + numberPattern + `S)?|\d+\.\d+M)`

	// RFC 1123 and RFC 1035: a label has 63 characters at most and neither begins nor ends with a
	// hyphen.
	labelPattern = `[A-Za-z0-9]([A-Za-z0-9\-]{0,61}[A-Za-z0-9])?`
	hostPattern  = labelPattern + `(\.` + labelPattern + `)*`
	ipv4Pattern  = `(` + octetPattern + `\.){3}` + octetPattern
	octetPattern = `(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`

	// RFC 4291, section 2.2, as RFC 3986 writes it.
	ipv6Pattern = strings.NewReplacer("H", `[0-9A-Fa-f]{1,4}`, "L",
		`([0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}|`+ipv4Pattern+`)`).Replace(
		`((H:){6}L|::(H:){5}L|(H)?::(H:){4}L|((H:){0,1}H)?::(H:){3}L|((H:){0,2}H)?::(H:){2}L|((H:){0,3}H)?::H:L` +
			`|((H:){0,4}H)?::L|((H:){0,5}H)?::H|((H:){0,6}H)?::)`)

	// RFC 5321: a dot-string or a quoted string, and a domain or the literal of an address.
	atomPattern    = `[A-Za-z0-9!#$%&'*+/=?^_{|}~\-` + "`" + `]+`
	mailboxPattern = `(` + atomPattern + `(\.` + atomPattern + `)*|"([ !#-\[\]-~]|\\[ -~])*")@(` +
		hostPattern +
		`|\[(` + ipv4Pattern + `|[Ii][Pp][Vv]6:` + ipv6Pattern + `)\])`

	// RFC 6531 adds characters beyond ASCII to each part.
	idnAtomPattern    = `[A-Za-z0-9!#$%&'*+/=?^_{|}~\-` + "`" + `\u0080-\u{10ffff}]+`
	idnHostPattern    = idnLabelPattern + `([.\u3002\uff0e\uff61]` + idnLabelPattern + `)*`
	idnLabelPattern   = `[A-Za-z0-9\-\u0080-\u3001\u3003-\uff0d\uff0f-\uff60\uff62-\u{10ffff}]+`
	idnMailboxPattern = `(` + idnAtomPattern + `(\.` + idnAtomPattern +
		`)*|"([ !#-\[\]-~\u0080-\u{10ffff}]|\\[ -~])*")@(` + idnHostPattern +
		`|\[(` + ipv4Pattern + `|[Ii][Pp][Vv]6:` + ipv6Pattern + `)\])`

	pointerPattern = `(/([^~/]|~[01])*)*`

	// RFC 6570, section 2.
	templatePattern = `([!#$&'-;=?-\[\]_a-z~` + ucsRanges + privateRanges +
		`]|%[0-9A-Fa-f]{2}|\{[+#./;?&=,!@|]?` +
		variablePattern + `(,` + variablePattern + `)*\})*`
	variablePattern = `([A-Za-z0-9_]|%[0-9A-Fa-f]{2})(\.?([A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*(:[1-9]\d{0,3}|\*)?`

	// RFC 3987, section 2.2.
	ucsRanges = `\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\u{10000}-\u{1fffd}\u{20000}-\u{2fffd}\u{30000}-\u{3fffd}\u{40000}-\u{4fffd}` +
		`\u{50000}-\u{5fffd}\u{60000}-\u{6fffd}\u{70000}-\u{7fffd}\u{80000}-\u{8fffd}\u{90000}-\u{9fffd}\u{a0000}-\u{afffd}` +
		`\u{b0000}-\u{bfffd}\u{c0000}-\u{cfffd}\u{d0000}-\u{dfffd}\u{e1000}-\u{efffd}`
	privateRanges = `\ue000-\uf8ff\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}`
)

// letters of a URI: what may stand unescaped, and what only a query may have beside.
type uriLetters struct{ unreserved, query string }

var (
	asciiURI   = uriLetters{unreserved: `A-Za-z0-9\-._~`}
	unicodeURI = uriLetters{`A-Za-z0-9\-._~` + ucsRanges, privateRanges}
)

// uriPattern is RFC 3986's URI, or its URI-reference unless absolute is set; with other letters RFC
// 3987's.
func uriPattern(l uriLetters, absolute bool) string {
	const sub, escaped = `!$&'()*+,;=`, `%[0-9A-Fa-f]{2}`
	char := `([` + l.unreserved + sub + `:@]|` + escaped + `)`
	slashed := `(/` + char + `*)*`
	authority := `//(([` + l.unreserved + sub + `:]|` + escaped + `)*@)?(\[(` + ipv6Pattern +
		`|[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~` + sub + `:]+)\]|([` +
		l.unreserved + sub + `]|` + escaped + `)*)(:\d*)?` + slashed
	rooted := `/(` + char + `+` + slashed + `)?`
	full := `[A-Za-z][A-Za-z0-9+\-.]*:(` + authority + `|` + rooted + `|` + char + `+` + slashed +
		`)?`
	tail := `(\?([` + l.unreserved + sub + `:@/?` + l.query + `]|` + escaped + `)*)?(#([` +
		l.unreserved + sub + `:@/?]|` + escaped + `)*)?`
	if absolute {
		return full + tail
	}
	relative := `(` + authority + `|` + rooted + `|([` + l.unreserved + sub + `@]|` + escaped +
		`)+` + slashed + `)?`
	return `(` + full + `|` + relative + `)` + tail
}

// automata are those of the formats, made on first use and small.
var automata = func() map[string]func() *dfa {
	m := map[string]func() *dfa{}
	for name, f := range formats {
		m[name] = sync.OnceValue(func() *dfa {
			d, err := compilePattern(`^(?:`+f.pattern+`)$`, narrow)
			if err != nil {
				panic(fmt.Sprintf("format %s: %v", name, err)) // the patterns are constants
			}
			return d.minimize()
		})
	}
	return m
}()

// hasFormat reports whether text has the named format; any text has one that is not known.
func hasFormat(name, text string) bool {
	f, known := formats[name]
	return !known || automata[name]().match(text) && (f.check == nil || f.check(text))
}

func mailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at <= 64 && len(s)-at-1 <= 255 && (s[at+1] == '[' || hostname(s[at+1:]))
}

func idnMailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	// A domain in another normal form than C stands for the one in it.
	return at <= 64 && len(s)-at-1 <= 255 && (s[at+1] == '[' ||
		idnHostname(norm.NFC.String(s[at+1:])))
}

// hostname reports whether the A-labels of a name stand for valid U-labels, and
// whether a name of 253 characters holds it, the longest that DNS can carry.
func hostname(s string) bool {
	return len(s) <= 253 && !slices.ContainsFunc(strings.Split(s, "."), func(label string) bool {
		return len(label) > 3 && strings.EqualFold(label[:4], "xn--") && !aLabel(label)
	})
}

// registration are the rules of RFC 5891 for names that are registered.
var registration = idna.New(idna.ValidateForRegistration())

func aLabel(label string) bool {
	label = strings.ToLower(label)
	if !strings.HasPrefix(label, "xn--") {
		return false // reserved by RFC 5890
	}
	u, err := registration.ToUnicode(label)
	return err == nil && u != label && inContext(u)
}

// idnHostname reports whether each label is one of RFC 5890: LDH, A- or U-label.
func idnHostname(s string) bool {
	s = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".").Replace(s)
	ascii, err := registration.ToASCII(s)
	if err != nil || len(ascii) > 253 {
		return false
	}
	for _, label := range strings.Split(ascii, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			len(label) > 3 && label[2:4] == "--" && !aLabel(label) {
			return false
		}
	}
	return true
}

// pvalid and disallowed are the exceptions of RFC 5892, section 2.6, and the characters whose
// context decides: those that may stand in a label although their categories may not, and the other
// way round.
const (
	pvalid     = "\u00df\u03c2\u06fd\u06fe\u0f0b\u3007\u00b7\u0375\u05f3\u05f4\u30fb\u200c\u200d"
	disallowed = "\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b"
)

// inContext applies the rules of RFC 5892 that the idna package does not: which
// characters may stand in a label, and the contextual ones of appendix A but for
// those of joiners.
func inContext(label string) bool {
	runes := []rune(label)
	for _, r := range runes {
		letter := unicode.In(r, unicode.Ll, unicode.Lo, unicode.Lm, unicode.Mn, unicode.Mc,
			unicode.Nd)
		if r >= 0x80 && !letter && !strings.ContainsRune(pvalid, r) ||
			strings.ContainsRune(disallowed, r) {
			return false
		}
	}
	near := func(i int, table func(rune) bool) bool {
		return i >= 0 && i < len(runes) &&
			table(runes[i])
	}
	arabic, extended, katakana, dot := false, false, false, false
	for i, r := range runes {
		switch {
		case r == 0xb7: // middle dot
			if !near(i-1, isL) || !near(i+1, isL) {
				return false
			}
		case r == 0x375: // Greek keraia
			if !near(i+1, isGreek) {
				return false
			}
		case r == 0x5f3 || r == 0x5f4: // Hebrew geresh, gershayim
			if !near(i-1, isHebrew) {
				return false
			}
		case r == 0x30fb:
			dot = true
		case 0x660 <= r && r <= 0x669:
			arabic = true
		case 0x6f0 <= r && r <= 0x6f9:
			extended = true
		}
		katakana = katakana || isKana(r)
		if r == utf8.RuneError {
			return false
		}
	}
	return !(arabic && extended) && (!dot || katakana)
}

func isL(r rune) bool      { return r == 'l' }
func isGreek(r rune) bool  { return unicode.Is(unicode.Greek, r) }
func isHebrew(r rune) bool { return unicode.Is(unicode.Hebrew, r) }

// isKana reports whether r is of Hiragana, Katakana or Han, without the middle dot itself.
func isKana(r rune) bool {
	return r != 0x30fb && unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han)
}

func isRegex(s string) bool {
	_, err := parseRegex(s, exact)
	return err == nil || errors.Is(err, errBackreference)
}
