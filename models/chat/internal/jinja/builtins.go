package jinja

import (
	"cmp"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// builtins is the scope under every run; nothing writes to it.
var builtins = sync.OnceValue(func() *scope {
	s := &scope{}
	def := func(name, spec string, f func(c call) Value) *Func {
		fn := function(name, spec, f)
		s.set(name, fn)
		return fn
	}
	def("range", "/ start stop? step?", rangeOf)
	def("namespace", "/ values? **", func(c call) Value {
		d := c.in.dictOf(c)
		for _, k := range d.keys {
			c.in.checkName(k)
		}
		d.ns = true
		return d
	})
	def("dict", "/ values? **", func(c call) Value {
		return c.in.dictOf(c)
	}).attrs = map[string]Value{
		"fromkeys": function("fromkeys", "/ keys value?", fromKeys),
	}
	def("cycler", "*", newCycler)
	def("joiner", "sep?", newJoiner)
	def("lipsum", "* **", func(c call) Value { return unrepeatable("lipsum")(c, nil) })
	def("raise_exception", "message", func(c call) Value {
		panic(&Error{Line: c.in.line, Msg: c.in.str(c.vals[0]).String(), Raised: true})
	})
	def("strftime_now", "format", func(c call) Value {
		return c.in.own(wrote(strftime(c.in.now, c.text(0, "").String())))
	})
	return s
})

// checkName refuses names that Hugging Face refuses to keep in a namespace.
func (in *interp) checkName(name Value) {
	if t, ok := name.(Text); ok && strings.HasPrefix(t.String(), "_") {
		in.fail("a namespace takes no attribute that begins with an underscore: %s", t.String())
	}
}

func rangeOf(c call) Value {
	in := c.in
	at := func(i int, otherwise int64) *big.Int {
		n, ok := bigInt(c.or(i, otherwise))
		if !ok {
			in.fail("range needs integers")
		}
		return n
	}
	start, stop, step := at(0, 0), at(1, 0), at(2, 1)
	if _, two := c.arg(1); !two {
		start, stop = new(big.Int), start
	}
	if step.Sign() == 0 {
		in.fail("range step is zero")
	}
	n := new(big.Int).Sub(stop, start) // how many steps there are, rounded up
	n.Add(n, step)
	n.Sub(n, big.NewInt(int64(step.Sign())))
	n.Quo(n, step)
	if n.Sign() < 0 {
		n.SetInt64(0)
	}
	if n.Cmp(big.NewInt(maxRange)) > 0 {
		in.overLimit("range of more than %d", maxRange)
	}
	l := &List{kind: rangeList, Items: make([]Value, n.Int64()), bounds: [3]int64{start.Int64(),
		stop.Int64(), step.Int64()}}
	in.spend(len(l.Items) * valueCost)
	x := new(big.Int).Set(start)
	for i := range l.Items {
		l.Items[i] = whole(new(big.Int).Set(x))
		x.Add(x, step)
	}
	return l
}

// dictOf is dict(mapping or pairs, key=value ...).
func (in *interp) dictOf(c call) *Dict {
	out := &Dict{}
	switch v := c.or(0, Text{}).(type) {
	case Undefined:
		in.fail("%s is undefined, it is no mapping", v.Name)
	case *Dict:
		if v.ns {
			in.fail("a namespace is no mapping")
		}
		out = in.copyDict(v)
		out.Image = 0
	default:
		for _, p := range in.iterate(v) {
			kv := in.iterate(p)
			if len(kv) != 2 {
				in.fail("dict needs pairs")
			}
			in.setItem(out, kv[0], kv[1])
		}
	}
	if c.kw != nil {
		for i, k := range c.kw.keys {
			in.setItem(out, k, c.kw.vals[i])
		}
	}
	return out
}

// newCycler is jinja2.utils.Cycler.
func newCycler(c call) Value {
	if len(c.more) == 0 {
		c.in.fail("at least one item has to be provided")
	}
	items, at := c.more, 0
	return &object{typ: "Cycler", attr: func(name string) (Value, bool) {
		switch name {
		case "items":
			return tuple(items...), true
		case "pos":
			return int64(at), true
		case "current":
			return items[at], true
		case "next":
			return function(name, "", func(call) Value {
				v := items[at]
				at = (at + 1) % len(items)
				return v
			}), true
		case "reset":
			return function(name, "", func(call) Value { at = 0; return nil }), true
		}
		return nil, false
	}}
}

// newJoiner is jinja2.utils.Joiner.
func newJoiner(c call) Value {
	sep, used := c.or(0, wrote(", ")), false
	return &object{
		typ: "Joiner",
		attr: func(name string) (Value, bool) {
			switch name {
			case "sep":
				return sep, true
			case "used":
				return used, true
			}
			return nil, false
		},
		call: function("joiner", "", func(call) Value {
			if !used {
				used = true
				return Text{}
			}
			return sep
		}).call,
	}
}

// strftime formats a time without zone as Python does on glibc, in the C locale: - drops a number's
// padding, _ pads with blanks, 0 with zeros, ^ makes capitals; E and O, for other calendars, change
// nothing.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		start, flag := i, byte(0)
		for i++; i < len(format) && strings.IndexByte("-_0^#", format[i]) >= 0; i++ {
			flag = format[i]
		}
		fits := "" // what may follow E or O
		if i < len(format) && (format[i] == 'E' || format[i] == 'O') {
			fits = map[byte]string{'E': "cCnpPrRtTuxXyYzZ%",
				'O': "bBCdegGhHIjklmMnpPrRStTuUVwWyzZ%"}[format[i]]
			i++
		}
		if i >= len(format) {
			b.WriteString(format[start:])
			break
		}
		s, ok := timePart(t, format[i])
		if format[i] == 'f' && start != i-1 { // Python's own, which takes no flags
			ok = false
		}
		if !ok || fits != "" && strings.IndexByte(fits, format[i]) < 0 {
			s = format[start : i+1]
		} else {
			s = padded(s, flag)
		}
		b.WriteString(s)
	}
	return b.String()
}

// padded applies a flag of strftime.
func padded(s string, flag byte) string {
	number := s != "" && strings.Trim(s, "0123456789 ") == "" && strings.Trim(s, " ") != ""
	switch {
	case flag == '#' && (s == "AM" || s == "PM"):
		return strings.ToLower(s)
	case flag == '^' || flag == '#':
		return strings.ToUpper(s)
	case !number:
		return s
	case flag == '-' || flag == '_':
		bare := cmp.Or(strings.TrimLeft(s, "0 "), "0")
		if flag == '_' {
			return strings.Repeat(" ", len(s)-len(bare)) + bare
		}
		return bare
	case flag == '0':
		return strings.ReplaceAll(s, " ", "0")
	}
	return s
}

// layouts are the conversions of strftime that package time has, in the C locale.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'h': "Jan",
	'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'D': "01/02/06",
	'e': "_2", 'F': "2006-01-02", 'H': "15", 'I': "03", 'm': "01", 'M': "04", 'p': "PM", 'P': "pm",
	'r': "03:04:05 PM", 'R': "15:04",
	'S': "05", 'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006",
}

// computed are the other conversions: a format of package fmt and what it is given.
var computed = map[byte]struct {
	format string
	value  func(time.Time) any
}{
	'C': {"%02d", func(t time.Time) any { return t.Year() / 100 }},
	'f': {"%06d", func(t time.Time) any { return t.Nanosecond() / 1000 }},
	'g': {"%02d", func(t time.Time) any { year, _ := t.ISOWeek(); return year % 100 }},
	'G': {"%d", func(t time.Time) any { year, _ := t.ISOWeek(); return year }},
	'j': {"%03d", func(t time.Time) any { return t.YearDay() }},
	'k': {"%2d", func(t time.Time) any { return t.Hour() }},
	'l': {"%2d", func(t time.Time) any { return (t.Hour()+11)%12 + 1 }},
	's': {"%d", func(t time.Time) any { return t.Unix() }},
	'u': {"%d", func(t time.Time) any { return int(t.Weekday()+6)%7 + 1 }},
	'U': {"%02d", func(t time.Time) any { return (t.YearDay() + 6 - int(t.Weekday())) / 7 }},
	'V': {"%02d", func(t time.Time) any { _, week := t.ISOWeek(); return week }},
	'w': {"%d", func(t time.Time) any { return int(t.Weekday()) }},
	'W': {"%02d", func(t time.Time) any { return (t.YearDay() + 6 - int(t.Weekday()+6)%7) / 7 }},
}

// fixed are the conversions that are the same at any time; a time has no zone here.
var fixed = map[byte]string{'%': "%", 'n': "\n", 't': "\t", 'z': "", 'Z': ""}

// timePart is one conversion of strftime.
func timePart(t time.Time, c byte) (string, bool) {
	if s, ok := fixed[c]; ok {
		return s, true
	}
	if part, ok := computed[c]; ok {
		return fmt.Sprintf(part.format, part.value(t)), true
	}
	layout, ok := layouts[c]
	return t.Format(layout), ok
}
