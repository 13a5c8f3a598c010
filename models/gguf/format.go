package gguf

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// stringElems is how many elements of an array String shows.
const stringElems = 8

// String returns v for people: a string as it stands, an array by its first
// elements and its length.
func (v Value) String() string {
	switch v.typ {
	case Array:
		var b strings.Builder
		b.WriteByte('[')
		n := v.Len()
		for i := range min(n, stringElems) {
			if i > 0 {
				b.WriteString(", ")
			}
			if e := v.Index(i); e.typ == String {
				b.WriteString(strconv.Quote(e.ref.(string)))
			} else {
				b.WriteString(e.String())
			}
		}
		if n > stringElems {
			fmt.Fprintf(&b, ", … %d in all", n)
		}
		b.WriteByte(']')
		return b.String()
	case String:
		return v.ref.(string)
	}
	return fmt.Sprint(v.Any())
}

// MarshalJSON writes numbers and bools as such, strings with invalid UTF-8
// replaced, and arrays, of bytes too, as arrays. JSON has no infinities and no
// NaN: they become the strings "Infinity", "-Infinity" and "NaN".
func (v Value) MarshalJSON() ([]byte, error) { return v.appendJSON(nil) }

func (v Value) appendJSON(b []byte) ([]byte, error) {
	switch v.typ {
	case Array:
		var err error
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = v.Index(i).appendJSON(b); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case Float32:
		return appendFloat(b, float64(math.Float32frombits(uint32(v.bits))), 32), nil
	case Float64:
		return appendFloat(b, math.Float64frombits(v.bits), 64), nil
	}
	s, err := json.Marshal(v.Any())
	return append(b, s...), err
}

func appendFloat(b []byte, x float64, bits int) []byte {
	switch {
	case math.IsNaN(x):
		return append(b, `"NaN"`...)
	case math.IsInf(x, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(x, -1):
		return append(b, `"-Infinity"`...)
	}
	return strconv.AppendFloat(b, x, 'g', -1, bits)
}
