package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// call holds the arguments of a filter or method.
type call struct {
	in   *interp
	args []Value
	kw   *Dict
}

// arg is the i-th argument or the one of that name.
func (c call) arg(i int, name string) (Value, bool) {
	if i < len(c.args) {
		return c.args[i], true
	}
	if name == "" {
		return nil, false
	}
	return c.kw.get(name)
}

func (c call) text(i int, name string, absent Text) Text {
	v, ok := c.arg(i, name)
	if !ok || v == nil {
		return absent
	}
	t, ok := v.(Text)
	if !ok {
		c.in.fail("argument %s is %s, not a string", name, typeName(v))
	}
	return t
}

func (c call) int(i int, name string, absent int) int {
	v, ok := c.arg(i, name)
	if !ok || v == nil {
		return absent
	}
	n, ok := integer(v)
	if !ok || n > math.MaxInt32 || n < math.MinInt32 {
		c.in.fail("argument %s is no small integer", name)
	}
	return int(n)
}

func (c call) flag(i int, name string) bool {
	v, _ := c.arg(i, name)
	return truth(v)
}

type filterFunc func(c call, v Value) Value

// filters by name. The table is filled in init, as entries that run other filters refer to it.
var filters map[string]filterFunc

func init() {
	filters = map[string]filterFunc{
		"abs": func(c call, v Value) Value {
			if c.in.less(v, int64(0), 0) {
				return c.in.arith("-", int64(0), v)
			}
			return c.in.arith("+", int64(0), v)
		},
		"attr":       func(c call, v Value) Value { return c.in.attr(v, c.text(0, "name", Text{}).String()) },
		"batch":      filterBatch,
		"capitalize": func(c call, v Value) Value { return capitalize(c.in.str(v)) },
		"count":      filterLength,
		"d":          filterDefault,
		"default":    filterDefault,
		"dictsort":   filterDictSort,
		"e":          filterEscape,
		"escape":     filterEscape,
		"first":      func(c call, v Value) Value { return c.in.end(v, false) },
		"float": func(c call, v Value) Value {
			if f, ok := c.in.toFloat(v); ok {
				return f
			}
			if d, ok := c.arg(0, "default"); ok {
				return d
			}
			return 0.0
		},
		"format": func(c call, v Value) Value {
			if len(c.kw.keys) > 0 {
				return c.in.format(c.in.str(v), c.kw)
			}
			return c.in.format(c.in.str(v), &List{Items: c.args, Tuple: true})
		},
		"indent":     filterIndent,
		"int":        filterInt,
		"items":      filterItems,
		"join":       filterJoin,
		"last":       func(c call, v Value) Value { return c.in.end(v, true) },
		"length":     filterLength,
		"list":       func(c call, v Value) Value { return c.in.list(slices.Clone(c.in.iterate(v))) },
		"lower":      func(c call, v Value) Value { return c.in.str(v).mapSpans(strings.ToLower) },
		"map":        filterMap,
		"max":        func(c call, v Value) Value { return extreme(c, v, true) },
		"min":        func(c call, v Value) Value { return extreme(c, v, false) },
		"reject":     func(c call, v Value) Value { return choose(c, v, false, false) },
		"rejectattr": func(c call, v Value) Value { return choose(c, v, true, false) },
		"replace": func(c call, v Value) Value {
			old, repl := c.in.argStr(c, 0), c.in.argStr(c, 1)
			return c.in.replace(c.in.str(v), old, repl, c.int(2, "count", -1))
		},
		"reverse": func(c call, v Value) Value {
			items := slices.Clone(c.in.iterate(v))
			slices.Reverse(items)
			if _, ok := v.(Text); ok {
				return c.in.join(items, Text{})
			}
			return c.in.list(items)
		},
		"round":      filterRound,
		"safe":       func(c call, v Value) Value { return c.in.str(v) },
		"select":     func(c call, v Value) Value { return choose(c, v, false, true) },
		"selectattr": func(c call, v Value) Value { return choose(c, v, true, true) },
		"sort":       filterSort,
		"string":     func(c call, v Value) Value { return c.in.str(v) },
		"sum":        filterSum,
		"title":      func(c call, v Value) Value { return titleFilter(c.in.str(v)) },
		"tojson":     filterToJSON,
		"trim": func(c call, v Value) Value {
			return strip(c.in.str(v), c.text(0, "chars", Text{}).String(), true, true)
		},
		"unique":    filterUnique,
		"upper":     func(c call, v Value) Value { return c.in.str(v).mapSpans(strings.ToUpper) },
		"wordcount": func(c call, v Value) Value { return int64(len(strings.Fields(c.in.str(v).String()))) },
	}
}

func (in *interp) filter(name string, v Value, args []Value, kw *Dict) Value {
	f := filters[name]
	if f == nil {
		in.fail("no filter named %q", name)
	}
	if t, ok := v.(Text); ok {
		in.work(t)
	}
	out := f(call{in, args, kw}, v)
	if t, ok := out.(Text); ok {
		return in.own(t)
	}
	return out
}

func (in *interp) filterChain(fs []filterExpr, v Value, sc *scope) Value {
	for _, f := range fs {
		args, kw := in.args(f.args, sc)
		v = in.filter(f.name, v, args, kw)
	}
	return v
}

// argStr is the i-th argument as a string, whatever it is.
func (in *interp) argStr(c call, i int) Text {
	v, ok := c.arg(i, "")
	if !ok {
		in.fail("argument %d is missing", i+1)
	}
	return in.str(v)
}

func filterDefault(c call, v Value) Value {
	_, undefined := v.(Undefined)
	if undefined || c.flag(1, "boolean") && !truth(v) {
		if d, ok := c.arg(0, "default_value"); ok {
			return d
		}
		return Text{}
	}
	return v
}

func (in *interp) toFloat(v Value) (float64, bool) {
	if f, ok := number(v); ok {
		return f, true
	}
	if t, ok := v.(Text); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(t.String()), 64)
		return f, err == nil
	}
	return 0, false
}

func filterInt(c call, v Value) Value {
	if t, ok := v.(Text); ok {
		if n, err := strconv.ParseInt(strings.TrimSpace(t.String()), c.int(1, "base", 10)%37, 64); err == nil {
			return n
		}
	}
	if i, ok := integer(v); ok {
		return i
	}
	if f, ok := c.in.toFloat(v); ok && math.Abs(f) < 1<<62 {
		return int64(f)
	}
	if d, ok := c.arg(0, "default"); ok {
		return d
	}
	return int64(0)
}

func filterRound(c call, v Value) Value {
	f, ok := number(v)
	if !ok {
		c.in.fail("round needs a number, not %s", typeName(v))
	}
	scale := math.Pow(10, float64(c.int(0, "precision", 0)))
	switch c.text(1, "method", Text{}).String() {
	case "ceil":
		return math.Ceil(f*scale) / scale
	case "floor":
		return math.Floor(f*scale) / scale
	}
	if r := math.RoundToEven(f*scale) / scale; !math.IsNaN(r) && !math.IsInf(r, 0) {
		return r
	}
	return f
}

// filterEscape is HTML escaping as markupsafe does it.
func filterEscape(c call, v Value) Value {
	r := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")
	return c.in.str(v).mapSpans(r.Replace)
}

func filterIndent(c call, v Value) Value {
	pad, ok := Text{}, false
	if w, given := c.arg(0, "width"); given {
		pad, ok = w.(Text)
	}
	if !ok {
		n := max(c.int(0, "width", 4), 0)
		c.in.fits(n)
		pad = NewText(strings.Repeat(" ", n), Source{})
	}
	newline := NewText("\n", Source{})
	var b builder
	for i, line := range splitLines(Concat(c.in.str(v), newline), false) {
		c.in.step()
		if i > 0 {
			b.text(newline)
		}
		if i == 0 && c.flag(1, "first") || i > 0 && (line.Len() > 0 || c.flag(2, "blank")) {
			b.text(pad)
		}
		b.text(line)
		c.in.fits(b.size)
	}
	return b.done()
}
