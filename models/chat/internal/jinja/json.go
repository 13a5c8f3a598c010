package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// filterToJSON is Hugging Face's tojson: json.dumps(x, ensure_ascii=False, indent=None,
// separators=None, sort_keys=False), with no HTML escaping. The result counts as data where the
// value held any.
func filterToJSON(c call, v Value) Value {
	w := jsonWriter{in: c.in, item: ", ", key: ": ", ascii: c.flag(0), sorted: c.flag(3)}
	if ind, ok := c.given(1); ok {
		w.pretty = true
		w.item = ","
		if t, ok := ind.(Text); ok {
			w.indent = t.String()
		} else {
			n := max(c.int(1, 0), 0)
			c.in.fits(n)
			w.indent = strings.Repeat(" ", n)
		}
	}
	if s, ok := c.given(2); ok {
		pair := c.in.iterate(s)
		if len(pair) != 2 {
			c.in.fail("separators must be two strings")
		}
		for i, to := range []*string{&w.item, &w.key} {
			t, ok := pair[i].(Text)
			if !ok {
				c.in.fail("separators must be two strings")
			}
			*to = t.String()
		}
	}
	w.write(v, 0)
	src := Source{}
	if w.data {
		src.Kind = Data
	}
	return NewText(w.b.String(), src)
}

type jsonWriter struct {
	in            *interp
	b             strings.Builder
	item, key     string
	indent        string
	pretty        bool
	ascii, sorted bool
	data          bool
}

func (w *jsonWriter) write(v Value, depth int) {
	w.in.deep(depth)
	w.in.fits(w.b.Len())
	switch v := v.(type) {
	case nil:
		w.b.WriteString("null")
	case bool:
		w.b.WriteString(strconv.FormatBool(v))
	case int64, *big.Int:
		w.b.WriteString(w.in.decimal(v))
	case float64:
		switch {
		case math.IsNaN(v):
			w.b.WriteString("NaN")
		case math.IsInf(v, 0):
			w.b.WriteString(strings.Replace(formatFloat(v), "inf", "Infinity", 1))
		default:
			w.b.WriteString(formatFloat(v))
		}
	case Text:
		w.data = w.data || v.dominant().Kind != Template
		w.in.fits(w.b.Len() + v.Len())
		w.str(v.String())
	case *List:
		if v.kind > tupleList {
			w.in.fail("%s is not JSON serializable", typeName(v))
		}
		if v.Marked {
			w.in.printedMarked = true
		}
		w.row("[]", len(v.Items), depth, func(i int) { w.write(v.Items[i], depth+1) })
	case *Dict:
		if v.ns {
			w.in.fail("a namespace is not JSON serializable")
		}
		w.dict(v, depth)
	default:
		w.in.fail("%s is not JSON serializable", typeName(v))
	}
}

func (w *jsonWriter) row(ends string, n, depth int, elem func(int)) {
	w.b.WriteByte(ends[0])
	for i := range n {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		w.newline(depth + 1)
		elem(i)
	}
	if n > 0 {
		w.newline(depth)
	}
	w.b.WriteByte(ends[1])
}

func (w *jsonWriter) newline(depth int) {
	if w.pretty {
		w.in.fits(depth * len(w.indent))
		w.b.WriteByte('\n')
		w.b.WriteString(strings.Repeat(w.indent, depth))
	}
}

func (w *jsonWriter) dict(v *Dict, depth int) {
	order := make([]int, len(v.keys))
	for i := range order {
		order[i] = i
	}
	if w.sorted {
		slices.SortStableFunc(order, func(a, b int) int { return w.in.order(v.keys[a], v.keys[b]) })
	}
	for _, k := range v.keys {
		if _, ok := k.(Text); !ok && k != nil && !isNumber(k) {
			w.in.fail("keys must be str, int, float, bool or None, not %s", typeName(k))
		}
	}
	w.row("{}", len(order), depth, func(i int) {
		switch k := v.keys[order[i]].(type) {
		case Text:
			w.write(k, depth+1)
		default: // Python writes other keys as strings of their JSON
			var sub jsonWriter
			sub.in = w.in
			sub.write(k, depth+1)
			w.str(sub.b.String())
		}
		w.b.WriteString(w.key)
		w.write(v.vals[order[i]], depth+1)
	})
}

func (w *jsonWriter) str(s string) {
	w.b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.b.WriteByte('\\')
			w.b.WriteRune(r)
		case r == '\n':
			w.b.WriteString(`\n`)
		case r == '\r':
			w.b.WriteString(`\r`)
		case r == '\t':
			w.b.WriteString(`\t`)
		case r == '\b':
			w.b.WriteString(`\b`)
		case r == '\f':
			w.b.WriteString(`\f`)
		case r < 0x20 || w.ascii && r >= 0x7f && r < 0x10000:
			fmt.Fprintf(&w.b, `\u%04x`, r)
		case w.ascii && r >= 0x10000:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&w.b, `\u%04x\u%04x`, high, low)
		default:
			w.b.WriteRune(r)
		}
	}
	w.b.WriteByte('"')
}

// FromJSON turns JSON into a value whose strings count as data; objects keep the order of their
// keys. Numbers are read as Python reads them.
func FromJSON(raw []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := decode(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// parseNumber reads a number as Python's json does: without fraction and exponent it is an integer
// of any size, and a float may be infinite.
func parseNumber(s string) (Value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, err
		}
		return f, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	n, ok := parseInt(s, 10)
	if !ok {
		return nil, errDigits
	}
	return n, nil
}

func decode(d *json.Decoder, depth int) (Value, error) {
	if depth >= maxValues {
		return nil, fmt.Errorf("JSON is nested more than %d deep", maxValues)
	}
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	data := Source{Kind: Data}
	switch tok := tok.(type) {
	case nil:
		return nil, nil
	case bool:
		return tok, nil
	case string:
		return NewText(tok, data), nil
	case json.Number:
		return parseNumber(tok.String())
	case json.Delim:
		if tok == '[' {
			l := &List{}
			for d.More() {
				v, err := decode(d, depth+1)
				if err != nil {
					return nil, err
				}
				l.Items = append(l.Items, v)
			}
			_, err := d.Token()
			return l, err
		}
		out := &Dict{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			out.set(NewText(k.(string), data), v)
		}
		_, err := d.Token()
		return out, err
	}
	return nil, fmt.Errorf("unexpected JSON token %v", tok)
}
