// Package fields reads the fields that requests of several APIs have in common: numbers, texts,
// what is chosen of sampling, the form of the answer, and bounds of pictures. Errors are failures
// that name the field.
package fields

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

// Whole is a whole number of a request.
type Whole int

// Fraction is any finite number of a request.
type Fraction float64

// ReadNumber reads a number as clients write it.
func ReadNumber(data []byte) (x float64, ok bool) {
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

// WrongNumber returns the error about a value that is no number of the kind that is wanted. The
// decoder adds the field's name.
func WrongNumber(data []byte, wanted any) error {
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
func (n *Whole) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	x, ok := ReadNumber(data)
	if !ok || x != math.Trunc(x) || math.Abs(x) > math.MaxUint64 {
		return WrongNumber(data, *n)
	}
	*n = Whole(min(max(x, -maxWhole), maxWhole))
	return nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (f *Fraction) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	x, ok := ReadNumber(data)
	if !ok {
		return WrongNumber(data, *f)
	}
	*f = Fraction(x)
	return nil
}
