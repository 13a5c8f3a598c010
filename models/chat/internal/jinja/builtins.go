package jinja

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// builtins is the scope under every run; nothing writes to it.
var builtins = sync.OnceValue(func() *scope {
	s := &scope{vars: map[string]Value{}}
	def := func(name string, f func(c call) Value) {
		s.vars[name] = &Func{name, func(in *interp, args []Value, kw *Dict) Value { return f(call{in, args, kw}) }}
	}
	def("range", rangeOf)
	def("namespace", func(c call) Value { d := c.in.dictOf(c); d.ns = true; return d })
	def("dict", func(c call) Value { return c.in.dictOf(c) })
	def("raise_exception", func(c call) Value {
		msg := "the template refuses the conversation"
		if len(c.args) > 0 {
			msg = c.in.str(c.args[0]).String()
		}
		panic(&Error{Line: c.in.line, Msg: msg, Raised: true})
	})
	def("strftime_now", func(c call) Value {
		return c.in.own(NewText(strftime(c.in.now, c.text(0, "format", Text{}).String()), Source{}))
	})
	return s
})

func rangeOf(c call) Value {
	start, stop, step := 0, c.int(0, "", 0), c.int(2, "", 1)
	if len(c.args) == 0 {
		c.in.fail("range needs a number")
	}
	if len(c.args) > 1 {
		start, stop = stop, c.int(1, "", 0)
	}
	if step == 0 {
		c.in.fail("range step is zero")
	}
	n := (stop - start + step - step/max(step, -step)) / step
	if n > maxRange {
		c.in.overLimit("range of %d is over the limit of %d", n, maxRange)
	}
	items := make([]Value, 0, max(n, 0))
	for i := range n {
		items = append(items, int64(start+i*step))
	}
	return c.in.list(items)
}

// dictOf is dict(mapping or pairs, key=value ...).
func (in *interp) dictOf(c call) *Dict {
	out := &Dict{}
	if len(c.args) > 0 {
		if d, ok := c.args[0].(*Dict); ok {
			for i, k := range d.keys {
				in.setItem(out, k, d.vals[i])
			}
		} else {
			for _, p := range in.iterate(c.args[0]) {
				kv := in.iterate(p)
				if len(kv) != 2 {
					in.fail("dict needs pairs")
				}
				in.setItem(out, kv[0], kv[1])
			}
		}
	}
	for i, k := range c.kw.keys {
		in.setItem(out, k, c.kw.vals[i])
	}
	return out
}

// strftime formats as C's function of that name in the C locale; "%-d" drops the leading zero, as in glibc.
func strftime(t time.Time, format string) string {
	layouts := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'h': "Jan", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02",
		'D': "01/02/06", 'e': "_2", 'F': "2006-01-02", 'H': "15", 'I': "03", 'm': "01", 'M': "04", 'p': "PM", 'R': "15:04",
		'S': "05", 'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 >= len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		bare := format[i] == '-' && i+1 < len(format)
		if bare {
			i++
		}
		var s string
		switch c := format[i]; {
		case c == '%':
			s = "%"
		case c == 'j':
			s = fmt.Sprintf("%03d", t.YearDay())
		case c == 'f':
			s = fmt.Sprintf("%06d", t.Nanosecond()/1000)
		case c == 'u':
			s = fmt.Sprint((int(t.Weekday())+6)%7 + 1)
		case c == 'w':
			s = fmt.Sprint(int(t.Weekday()))
		case c == 's':
			s = fmt.Sprint(t.Unix())
		case layouts[c] != "":
			s = t.Format(layouts[c])
		default:
			s = "%" + string(c)
		}
		if bare {
			if s = strings.TrimLeft(s, "0 "); s == "" {
				s = "0"
			}
		}
		b.WriteString(s)
	}
	return b.String()
}
