package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Value is what a template computes with: nil (None), [Undefined], bool, int64, float64, [Text], *[List], *[Dict] or
// *Func.
type Value any

// Undefined is the value of a missing name, attribute or item: it prints as nothing, is false, and fails when used
// otherwise, as jinja2.Undefined does.
type Undefined struct{ Name string }

// List is a Python list or tuple.
type List struct {
	Items []Value
	Tuple bool
	// Marked lists are watched: a template that prints one as a whole (Python's repr) sets [Result.PrintedMarked].
	Marked bool
}

// Dict is a Python dict, which keeps the order of insertion, or a namespace.
type Dict struct {
	keys  []Value
	vals  []Value
	index map[string]int
	ns    bool // a namespace: attributes are the items, set may write them
	// Image is n > 0 where the dict is the caller's n-th image item: what a template writes in the loop iteration
	// over it gets this number as the Index of its Template spans.
	Image int32
}

// Func is something callable.
type Func struct {
	name string
	call func(in *interp, args []Value, kw *Dict) Value
}

// NewDict returns a dict of keys and values in turn; the keys are Go strings.
func NewDict(pairs ...any) *Dict {
	d := &Dict{}
	for i := 0; i+1 < len(pairs); i += 2 {
		d.Set(pairs[i].(string), pairs[i+1])
	}
	return d
}

// Set puts a value under a key that counts as template text.
func (d *Dict) Set(key string, v Value) { d.set(NewText(key, Source{}), v) }

func (d *Dict) set(key, v Value) {
	k, _ := hashKey(key)
	if i, ok := d.index[k]; ok {
		d.vals[i] = v
		return
	}
	if d.index == nil {
		d.index = map[string]int{}
	}
	d.index[k] = len(d.keys)
	d.keys = append(d.keys, key)
	d.vals = append(d.vals, v)
}

func (d *Dict) get(key string) (Value, bool) {
	i, ok := d.index["s"+key]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

func (d *Dict) lookup(key Value) (Value, bool) {
	k, ok := hashKey(key)
	if !ok {
		return nil, false
	}
	i, ok := d.index[k]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

// hashKey maps keys that Python holds equal to the same string. ok is false for what Python cannot hash.
func hashKey(v Value) (string, bool) {
	switch v := v.(type) {
	case Text:
		return "s" + v.String(), true
	case bool, int64, float64:
		f, _ := number(v)
		return "n" + strconv.FormatFloat(f, 'g', -1, 64), true
	case nil:
		return "none", true
	}
	return "", false
}

func truth(v Value) bool {
	switch v := v.(type) {
	case nil, Undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case Text:
		return v.Len() > 0
	case *List:
		return len(v.Items) > 0
	case *Dict:
		return v.ns || len(v.keys) > 0
	}
	return true
}

// number returns v as a float, counting bools as Python does.
func number(v Value) (f float64, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// integer returns v as an integer where it is one (or a bool).
func integer(v Value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case Undefined:
		return "Undefined"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case Text:
		return "str"
	case *List:
		if v.Tuple {
			return "tuple"
		}
		return "list"
	case *Dict:
		if v.ns {
			return "Namespace"
		}
		return "dict"
	}
	return "function"
}

// equal is Python's ==.
func (in *interp) equal(a, b Value, depth int) bool {
	in.deep(depth)
	if ia, ok := integer(a); ok {
		if ib, ok := integer(b); ok {
			return ia == ib
		}
	}
	if fa, ok := number(a); ok {
		fb, ok := number(b)
		return ok && fa == fb
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case Undefined:
		_, ok := b.(Undefined)
		return ok
	case Text:
		in.work(a)
		t, ok := b.(Text)
		return ok && a.Len() == t.Len() && a.String() == t.String()
	case *List:
		l, ok := b.(*List)
		if !ok || a.Tuple != l.Tuple || len(a.Items) != len(l.Items) {
			return false
		}
		for i, v := range a.Items {
			if !in.equal(v, l.Items[i], depth+1) {
				return false
			}
		}
		return true
	case *Dict:
		d, ok := b.(*Dict)
		if !ok || a.ns || d.ns || len(a.keys) != len(d.keys) {
			return ok && a == d
		}
		for i, k := range a.keys {
			v, ok := d.lookup(k)
			if !ok || !in.equal(a.vals[i], v, depth+1) {
				return false
			}
		}
		return true
	case *Func:
		f, ok := b.(*Func)
		return ok && a == f
	}
	return false
}

// less is Python's < for numbers, strings and sequences of them.
func (in *interp) less(a, b Value, depth int) bool {
	in.deep(depth)
	if fa, ok := number(a); ok {
		if fb, ok := number(b); ok {
			return fa < fb
		}
	}
	switch x := a.(type) {
	case Text:
		if y, ok := b.(Text); ok {
			return x.String() < y.String()
		}
	case *List:
		if y, ok := b.(*List); ok && x.Tuple == y.Tuple {
			for i := range min(len(x.Items), len(y.Items)) {
				if !in.equal(x.Items[i], y.Items[i], depth+1) {
					return in.less(x.Items[i], y.Items[i], depth+1)
				}
			}
			return len(x.Items) < len(y.Items)
		}
	}
	in.fail("cannot compare %s with %s", typeName(a), typeName(b))
	return false
}

// str is Python's str().
func (in *interp) str(v Value) Text {
	switch v := v.(type) {
	case Text:
		return v
	case Undefined:
		return Text{}
	}
	var w reprWriter
	w.in = in
	w.write(v, 0)
	src := Source{}
	if w.data {
		src.Kind = Data
	}
	return in.own(NewText(w.b.String(), src))
}

// reprWriter writes Python's repr and notes whether any of it came from data.
type reprWriter struct {
	in   *interp
	b    strings.Builder
	data bool
}

func (w *reprWriter) write(v Value, depth int) {
	w.in.deep(depth)
	w.in.fits(w.b.Len())
	switch v := v.(type) {
	case nil:
		w.b.WriteString("None")
	case Undefined:
		w.b.WriteString("Undefined")
	case bool:
		if v {
			w.b.WriteString("True")
		} else {
			w.b.WriteString("False")
		}
	case int64:
		w.b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		w.b.WriteString(formatFloat(v))
	case Text:
		w.data = w.data || v.dominant().Kind != Template
		w.b.WriteString(quote(v.String()))
	case *List:
		if v.Marked {
			w.in.printedMarked = true
		}
		w.list(v, depth)
	case *Dict:
		if v.Image > 0 {
			w.in.printedMarked = true
		}
		w.dict(v, depth)
	case *Func:
		w.b.WriteString("<function " + v.name + ">")
	}
}

func (w *reprWriter) list(v *List, depth int) {
	ends := "[]"
	if v.Tuple {
		ends = "()"
	}
	w.b.WriteByte(ends[0])
	for i, x := range v.Items {
		if i > 0 {
			w.b.WriteString(", ")
		}
		w.write(x, depth+1)
	}
	if v.Tuple && len(v.Items) == 1 {
		w.b.WriteByte(',')
	}
	w.b.WriteByte(ends[1])
}

func (w *reprWriter) dict(v *Dict, depth int) {
	w.b.WriteByte('{')
	for i, k := range v.keys {
		if i > 0 {
			w.b.WriteString(", ")
		}
		w.write(k, depth+1)
		w.b.WriteString(": ")
		w.write(v.vals[i], depth+1)
	}
	w.b.WriteByte('}')
}

// formatFloat is Python's repr of a float.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quote is Python's repr of a string.
func quote(s string) string {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteRune(q)
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			b.WriteString(`\x` + hex(r, 2))
		case r < 0x10000:
			b.WriteString(`\u` + hex(r, 4))
		default:
			b.WriteString(`\U` + hex(r, 8))
		}
	}
	b.WriteRune(q)
	return b.String()
}

func hex(r rune, width int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", width-len(s)) + s
}
