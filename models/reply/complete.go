package reply

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Complete returns arguments as a JSON value. Those of a call that was cut off in the middle, which
// clients send back as they came, are ended where they can be: open texts, lists and objects are
// closed, and a member that has no value is left out. It returns false for what is no beginning of
// JSON.
func Complete(arguments string) (string, bool) {
	if strings.TrimSpace(arguments) == "" {
		return "{}", true
	}
	if json.Valid([]byte(arguments)) {
		return arguments, true
	}
	// Behind each comma and opening bracket outside of texts what comes before can be closed; of
	// these places the last two suffice.
	var open []byte // closing brackets, innermost last
	var places []place
	quoted, escape, unicode := false, 0, 0
	for i := 0; i < len(arguments); i++ {
		c := arguments[i]
		switch {
		case unicode > 0:
			unicode--
			if unicode == 0 {
				escape = 0
			}
		case escape > 0:
			if escape = 0; c == 'u' {
				escape, unicode = i, 4
			}
		case quoted && c == '\\':
			escape = i
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			open = append(open, '}')
			places = append(places, place{i + 1, string(open)})
		case c == '[':
			open = append(open, ']')
			places = append(places, place{i + 1, string(open)})
		case c == '}' || c == ']':
			if len(open) == 0 || open[len(open)-1] != c {
				return "", false
			}
			open = open[:len(open)-1]
		case c == ',':
			places = append(places, place{i, string(open)})
		}
		if len(places) > 2 {
			places = places[1:]
		}
		if len(open) > maxOpen {
			return "", false
		}
	}
	whole := arguments
	if quoted {
		if escape > 0 {
			whole = whole[:strings.LastIndexByte(whole, '\\')]
		}
		whole = strings.ToValidUTF8(whole, "") + `"`
	}
	if s := whole + reversed(string(open)); json.Valid([]byte(s)) {
		return s, true
	}
	for i := len(places) - 1; i >= 0; i-- {
		s := arguments[:places[i].at] + reversed(places[i].open)
		if unfinished.MatchString(arguments[places[i].at:]) && json.Valid([]byte(s)) {
			return s, true
		}
	}
	return "", false
}

// unfinished is a member or an element of which so little is there that it is left out: a name,
// with or without its colon, or a part of a number or word.
var unfinished = regexp.MustCompile(`^,?\s*(?:"(?:[^"\\]|\\.)*\\?"?\s*|(?:"(?:[^"\\]|\\.)*"\s*:\s*)?(?:-?[0-9.eE+-]*|tr?u?|fa?l?s?|nu?l?))$`)

// maxOpen bounds how deep arguments are nested that are completed.
const maxOpen = 64

// place is where a JSON text can be ended, by closing what is open there.
type place struct {
	at   int
	open string
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}
