package jinja

import (
	"fmt"
	"math/big"
	"strings"
	"unicode"
)

// str is Python's str().
func (in *interp) str(v Value) Text {
	switch v := v.(type) {
	case Text:
		return v.plain()
	case Undefined:
		return Text{}
	case int64:
		s, _ := decimal(v)
		return wrote(s)
	}
	return in.repr(v)
}

// soft is markupsafe's soft_str: str, but markup stays markup.
func (in *interp) soft(v Value) Text {
	if t, ok := v.(Text); ok {
		return t
	}
	return in.str(v)
}

// repr is Python's repr().
func (in *interp) repr(v Value) Text {
	w := reprWriter{in: in}
	w.write(v, 0)
	src := Source{}
	if w.data {
		src.Kind = Data
	}
	return in.own(NewText(w.b.String(), src))
}

// reprWriter writes Python's repr and notes whether any of it came from data.
type reprWriter struct {
	in    *interp
	b     strings.Builder
	data  bool
	ascii bool // other characters are escaped
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
	case int64, *big.Int:
		w.b.WriteString(w.in.decimal(v))
	case float64:
		w.b.WriteString(formatFloat(v))
	case Text:
		w.data = w.data || v.dominant().Kind != Template
		w.in.fits(w.b.Len() + v.Len())
		if v.markup {
			w.b.WriteString("Markup(")
			defer w.b.WriteByte(')')
		}
		w.b.WriteString(quote(v.String(), w.ascii))
	case *List:
		if v.Marked {
			w.in.printedMarked = true
		}
		w.list(v, depth)
	case *Dict:
		if v.Image > 0 {
			w.in.printedMarked = true
		}
		if v.ns {
			w.b.WriteString("<Namespace ")
			defer w.b.WriteByte('>')
		}
		w.dict(v, depth)
	case *loop:
		fmt.Fprintf(&w.b, "<LoopContext %d/%d>", v.at+1, len(v.items))
	case *object:
		fmt.Fprintf(&w.b, "<%s object>", v.typ)
	case *iterator:
		fmt.Fprintf(&w.b, "<%s object>", v.typ)
	case *Func:
		if v.attrs != nil {
			name := "anonymous"
			if v.name != "" {
				name = quote(v.name, false)
			}
			fmt.Fprintf(&w.b, "<Macro %s>", name)
			return
		}
		w.b.WriteString("<function " + v.name + ">")
	}
}

func (w *reprWriter) list(v *List, depth int) {
	ends := "[]"
	switch v.kind {
	case tupleList:
		ends = "()"
	case rangeList:
		fmt.Fprintf(&w.b, "range(%d, %d", v.bounds[0], v.bounds[1])
		if v.bounds[2] != 1 {
			fmt.Fprintf(&w.b, ", %d", v.bounds[2])
		}
		w.b.WriteByte(')')
		return
	case keysView, valuesView, itemsView:
		w.b.WriteString(typeName(v) + "(")
		defer w.b.WriteByte(')')
	}
	w.b.WriteByte(ends[0])
	for i, x := range v.Items {
		if i > 0 {
			w.b.WriteString(", ")
		}
		w.write(x, depth+1)
	}
	if v.kind == tupleList && len(v.Items) == 1 {
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

// quote is Python's repr of a string, or its ascii.
func quote(s string, ascii bool) string {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
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
		case unicode.IsPrint(r) && (!ascii || r < 0x80):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteRune(q)
	return b.String()
}
