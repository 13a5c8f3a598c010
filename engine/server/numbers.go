package server

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Numbers of requests are read as clients write them: whole numbers as 5, 5.0, 5e0 or "5", others
// as 0.5 or "0.5". Languages without whole numbers send the one, forms and environment variables
// the other. A null is a number that was not given.

// whole is a whole number of a request.
type whole int

// fraction is any finite number of a request.
type fraction float64

// readNumber reads a number as clients write it.
func readNumber(data []byte) (x float64, ok bool) {
	text := string(bytes.TrimSpace(data))
	if strings.HasPrefix(text, `"`) && json.Unmarshal(data, &text) != nil {
		return 0, false
	}
	return parseNumber(text)
}

// parseNumber reads a number as people write it, and neither "inf" nor "0x10".
func parseNumber(text string) (x float64, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, false
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil && !math.IsInf(x, 0)
}

// wrongNumber is the error about a value that is no number of the kind that is wanted. The decoder
// adds the field's name.
func wrongNumber(data []byte, wanted any) error {
	text := string(data)
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	kinds := map[byte]string{'"': "string", '{': "object", '[': "array", 't': "bool", 'f': "bool"}
	value := "number"
	if len(data) > 0 && kinds[data[0]] != "" {
		value = kinds[data[0]]
	}
	return &json.UnmarshalTypeError{Value: value + " (" + text + ")", Type: reflect.TypeOf(wanted)}
}

// maxWhole is beyond any whole number that means something here, and exact in a float64.
const maxWhole = 1 << 53

// UnmarshalJSON implements [json.Unmarshaler].
func (n *whole) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	x, ok := readNumber(data)
	if !ok || x != math.Trunc(x) || math.Abs(x) > math.MaxUint64 {
		return wrongNumber(data, *n)
	}
	*n = whole(min(max(x, -maxWhole), maxWhole))
	return nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (f *fraction) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	x, ok := readNumber(data)
	if !ok {
		return wrongNumber(data, *f)
	}
	*f = fraction(x)
	return nil
}
