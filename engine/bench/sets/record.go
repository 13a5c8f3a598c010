package sets

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrSet marks a fault in the files of a set.
var ErrSet = errors.New("bad question set")

// record is a row of a set: strings, numbers (float64, int64, json.Number), booleans, lists
// ([]any), objects (map[string]any) and pictures (stored).
type record map[string]any

// has reports whether a column is there and not null.
func (r record) has(column string) bool { return r[column] != nil }

// text is the first of some columns that is no empty text, "" where all are missing. Numbers are
// written as they are.
func (r record) text(columns ...string) string {
	for _, c := range columns {
		if s := textOf(r[c]); s != "" {
			return s
		}
	}
	return ""
}

// objectTexts are the fields of an object that are its text, in the order in which they are
// looked for: VQA's people answer with {"answer": "red", "answer_confidence": "yes"}, and RefCOCO's
// describe with {"raw": "The man.", "sent": "the man"}.
var objectTexts = []string{"answer", "sent", "raw", "text"}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case map[string]any:
		for _, field := range objectTexts {
			if s, ok := v[field].(string); ok {
				return s
			}
		}
	}
	return ""
}

// texts is the first of some columns that is there, as a list of texts; a single value is a list of
// one.
func (r record) texts(columns ...string) (list []string) {
	for _, c := range columns {
		switch v := r[c].(type) {
		case nil:
			continue
		case []any:
			for _, x := range v {
				list = append(list, textOf(x))
			}
		default:
			list = []string{textOf(v)}
		}
		break
	}
	return list
}

// number is a column as a finite number.
func (r record) number(column string) (float64, error) { return numberOf(column, r[column]) }

func numberOf(column string, v any) (float64, error) {
	x, err := strconv.ParseFloat(textOf(v), 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, fmt.Errorf("%w: %q is no number", ErrSet, column)
	}
	return x, nil
}

// numbers is a column that lists so many numbers.
func (r record) numbers(column string, n int) ([]float64, error) {
	values, _ := r[column].([]any)
	if len(values) != n {
		return nil, fmt.Errorf("%w: %q does not list %d numbers", ErrSet, column, n)
	}
	list := make([]float64, n)
	for i, v := range values {
		var err error
		if list[i], err = numberOf(column, v); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// pythonList reads a list of texts as Python prints it, which MMMU stores its choices as: ['a',
// "b's"].
func pythonList(s string) (list []string, err error) {
	bad := fmt.Errorf("%w: %.60q is no list of texts", ErrSet, s)
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") {
		return nil, bad
	}
	s = strings.TrimSpace(s[1 : len(s)-1])
	for s != "" {
		text, rest, ok := pythonText(s)
		if !ok {
			return nil, bad
		}
		list = append(list, text)
		s = strings.TrimSpace(rest)
		if s == "" {
			break
		}
		if s[0] != ',' {
			return nil, bad
		}
		s = strings.TrimSpace(s[1:])
	}
	return list, nil
}

// pythonText reads the text that s begins with, in quotes of either kind, or a number, which counts
// as its digits.
func pythonText(s string) (text, rest string, ok bool) {
	if s[0] != '\'' && s[0] != '"' {
		end := strings.IndexByte(s, ',')
		if end < 0 {
			end = len(s)
		}
		text = strings.TrimSpace(s[:end])
		_, ok = pythonFloat(text)
		return text, s[end:], ok
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return b.String(), s[i+1:], true
		case s[i] == '\\':
			value, tail, err := "", "", error(nil)
			if i+1 < len(s) && strings.IndexByte("\\'\"", s[i+1]) >= 0 {
				value, tail = s[i+1:i+2], s[i+2:]
			} else {
				var r rune
				var wide bool
				r, wide, tail, err = strconv.UnquoteChar(s[i:], s[0])
				if value = string(r); !wide && r > 127 { // \xe9 is a character in Python
					value = string(rune(r))
				}
			}
			if err != nil {
				b.WriteByte('\\') // Python keeps what is no escape
				continue
			}
			b.WriteString(value)
			i = len(s) - len(tail) - 1
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}
