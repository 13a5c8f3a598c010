package jinja

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// filter is what follows a bar.
type filter struct {
	sig  signature // without the value
	call func(c call, v Value) Value
}

// filters by name: all of Jinja 3.1, with Hugging Face's tojson. The table is filled in init, as
// entries that run other filters refer to it.
var filters map[string]filter

func init() {
	filters = map[string]filter{
		"abs":            {takes(""), filterAbs},
		"attr":           {takes("name"), filterAttr},
		"batch":          {takes("linecount fill_with?"), filterBatch},
		"capitalize":     ofText(capitalize),
		"center":         {takes("width?"), filterCenter},
		"count":          {takes(""), filterLength},
		"d":              {takes("default_value? boolean?"), filterDefault},
		"default":        {takes("default_value? boolean?"), filterDefault},
		"dictsort":       {takes("case_sensitive? by? reverse?"), filterDictSort},
		"e":              {takes(""), func(c call, v Value) Value { return c.in.escape(v) }},
		"escape":         {takes(""), func(c call, v Value) Value { return c.in.escape(v) }},
		"filesizeformat": {takes("binary?"), filterFileSize},
		"first":          {takes(""), filterFirst},
		"float":          {takes("default?"), filterFloat},
		"forceescape": {takes(""), func(c call, v Value) Value {
			return c.in.escape(c.in.str(v))
		}},
		"format":  {takes("* **"), filterFormat},
		"groupby": {takes("attribute default? case_sensitive?"), filterGroupBy},
		"indent":  {takes("width? first? blank?"), filterIndent},
		"int":     {takes("default? base?"), filterInt},
		"items":   {takes(""), filterItems},
		"join":    {takes("d? attribute?"), filterJoin},
		"last":    {takes(""), filterLast},
		"length":  {takes(""), filterLength},
		"list": {takes(""), func(c call, v Value) Value {
			return c.in.list(slices.Clone(c.in.iterate(v)))
		}},
		"lower":      ofText(func(t Text) Text { return t.mapSpans(lower) }),
		"map":        {takes("* **"), filterMap},
		"max":        {takes("case_sensitive? attribute?"), with(extreme, true)},
		"min":        {takes("case_sensitive? attribute?"), with(extreme, false)},
		"pprint":     {takes(""), filterPPrint},
		"random":     {takes(""), unrepeatable("random")},
		"reject":     choosing(false, false),
		"rejectattr": choosing(true, false),
		"replace":    {takes("old new count?"), filterReplace},
		"reverse":    {takes(""), filterReverse},
		"round":      {takes("precision? method?"), filterRound},
		"safe":       ofText(Text.marked),
		"select":     choosing(false, true),
		"selectattr": choosing(true, true),
		"slice":      {takes("slices fill_with?"), filterSlice},
		"sort":       {takes("reverse? case_sensitive? attribute?"), filterSort},
		"string":     {takes(""), func(c call, v Value) Value { return c.in.soft(v) }},
		"striptags":  {takes(""), filterStripTags},
		"sum":        {takes("attribute? start?"), filterSum},
		"title":      ofText(titleFilter),
		"tojson":     {takes("ensure_ascii? indent? separators? sort_keys?"), filterToJSON},
		"trim":       {takes("chars?"), filterTrim},
		"truncate":   {takes("length? killwords? end? leeway?"), filterTruncate},
		"unique":     {takes("case_sensitive? attribute?"), filterUnique},
		"upper":      ofText(func(t Text) Text { return t.mapSpans(upper) }),
		"urlencode":  {takes(""), filterURLEncode},
		"urlize": {takes("trim_url_limit? nofollow? target? rel? extra_schemes?"),
			filterURLize},
		"wordcount": {takes(""), filterWordCount},
		"wordwrap": {takes("width? break_long_words? wrapstring? break_on_hyphens?"),
			filterWordWrap},
		"xmlattr": {takes("autospace?"), filterXMLAttr},
	}
}

// ofText makes a filter of a function on strings: it gets the string form of the value.
func ofText(f func(Text) Text) filter {
	return filter{takes(""), func(c call, v Value) Value { return f(c.in.soft(v)) }}
}

// with fixes the last argument of f.
func with[V, A any](f func(c call, v V, a A) Value, a A) func(call, V) Value {
	return func(c call, v V) Value { return f(c, v, a) }
}

// unrepeatable returns a filter that fails, in place of one whose result differs from run to run.
func unrepeatable(name string) func(call, Value) Value {
	return func(c call, _ Value) Value {
		c.in.fail("%s is refused: a prompt must be the same each time", name)
		return nil
	}
}

func (in *interp) filter(name string, v Value, args []Value, kw *Dict) Value {
	f, ok := filters[name]
	if !ok {
		in.fail("no filter named %q", name)
	}
	if t, ok := v.(Text); ok {
		in.work(t)
	}
	out := f.call(in.bind(name, &f.sig, args, kw), v)
	if t, ok := out.(Text); ok {
		return in.own(t)
	}
	return out
}

func (in *interp) filterChain(fs []*filterExpr, v Value, sc *scope) Value {
	for _, f := range fs {
		args, kw := in.args(&f.args, sc, nil)
		v = in.filter(f.name, v, args, kw)
	}
	return v
}

func filterDefault(c call, v Value) Value {
	_, undefined := v.(Undefined)
	if undefined || c.flag(1) && !truth(v) {
		return c.or(0, Text{})
	}
	return v
}

func filterAbs(c call, v Value) Value {
	if !isNumber(v) {
		c.in.fail("bad operand type for abs(): %s", typeName(v))
	}
	if f, ok := v.(float64); ok {
		return math.Abs(f)
	}
	if c.in.less(v, int64(0), false, 0) {
		return c.in.negative(v)
	}
	return c.in.positive(v)
}

// filterAttr implements attr, which finds attributes alone and no items.
func filterAttr(c call, v Value) Value {
	name := c.text(0, "").String()
	if d, ok := v.(*Dict); ok && d.ns {
		return c.in.attr(v, name)
	}
	switch x := v.(type) {
	case Undefined:
		c.in.fail("%s is undefined, it has no %s", x.Name, name)
	case *loop:
		return c.in.attr(v, name)
	}
	if x, ok := c.in.attribute(v, name); ok {
		return x
	}
	return Undefined{name}
}

func filterFloat(c call, v Value) Value {
	switch v := v.(type) {
	case Undefined:
		c.in.fail("%s is undefined, it is no number", v.Name)
	case Text:
		if f, ok := parseFloat(v.String()); ok {
			return f
		}
		return c.or(0, 0.0)
	}
	if isNumber(v) {
		return c.in.mustFloat(v)
	}
	return c.or(0, 0.0)
}

func filterInt(c call, v Value) Value {
	otherwise := c.or(0, int64(0))
	switch v := v.(type) {
	case Undefined:
		c.in.fail("%s is undefined, it is no number", v.Name)
	case Text:
		if n, ok := parseInt(v.String(), c.int(1, 10)); ok {
			return n
		}
		if f, ok := parseFloat(v.String()); ok && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return c.in.truncate(f)
		}
	case float64:
		if math.IsNaN(v) {
			return otherwise
		}
		return c.in.truncate(v)
	default:
		if isNumber(v) {
			return c.in.positive(v)
		}
	}
	return otherwise
}

func filterRound(c call, v Value) Value {
	in := c.in
	precision := int64(c.int(0, 0))
	method := c.text(1, "common").String()
	if method == "common" {
		return in.round(v, precision)
	}
	if method != "ceil" && method != "floor" {
		in.fail("the method of round must be common, ceil or floor")
	}
	scale := in.arith("**", int64(10), precision)
	x := in.arith("*", v, scale)
	if f, ok := x.(float64); ok {
		if method == "ceil" {
			f = math.Ceil(f)
		} else {
			f = math.Floor(f)
		}
		x = in.truncate(f)
	}
	return in.arith("/", x, scale)
}

func filterFormat(c call, v Value) Value {
	t := c.in.soft(v)
	switch {
	case c.kw != nil && len(c.more) > 0:
		c.in.fail("format takes arguments by position or by name, not both")
	case c.kw != nil:
		return c.in.percent(t, c.kw)
	}
	return c.in.percent(t, tuple(c.more...))
}

func filterTrim(c call, v Value) Value {
	return stripMethod(c, c.in.soft(v), true, true)
}

// stripMethod removes whitespace, or the characters that are given, from the ends.
func stripMethod(c call, t Text, left, right bool) Value {
	set := ""
	if _, ok := c.given(0); ok {
		if set = c.text(0, "").String(); set == "" {
			return t
		}
	}
	return strip(t, set, left, right)
}

func filterReplace(c call, v Value) Value {
	in := c.in
	count := -1
	if _, ok := c.given(2); ok {
		count = c.int(2, -1)
	}
	if !in.autoescape {
		return in.replace(in.str(v), in.str(c.vals[0]), in.str(c.vals[1]), count)
	}
	s, old, repl := in.soft(v), in.soft(c.vals[0]), in.soft(c.vals[1])
	if old.markup || repl.markup && !s.markup {
		s = in.escape(s)
	}
	if s.markup {
		repl = in.escape(repl)
	}
	out := in.replace(s, old, repl, count)
	out.markup = s.markup
	return out
}

func filterCenter(c call, v Value) Value {
	w := c.int(0, 80)
	c.in.fits(max(w, 0))
	return pad(c.in.soft(v), w, ' ', true, true, false)
}

func filterIndent(c call, v Value) Value {
	t, ok := v.(Text)
	if !ok {
		c.in.fail("indent needs a string, not %s", typeName(v))
	}
	prefix, ok := c.or(0, int64(4)).(Text)
	if !ok {
		n := max(c.int(0, 4), 0)
		c.in.fits(n)
		prefix = wrote(strings.Repeat(" ", n))
	}
	newline := wrote("\n")
	var b builder
	for i, line := range c.in.lines(Concat(t, newline), false) {
		c.in.step()
		if i > 0 {
			b.text(newline)
		}
		if i == 0 && c.flag(1) || i > 0 && (line.Len() > 0 || c.flag(2)) {
			b.text(prefix)
		}
		b.text(line)
		c.in.fits(b.size)
	}
	out := b.done()
	out.markup = t.markup
	return out
}

func filterTruncate(c call, v Value) Value {
	in := c.in
	length, end := c.int(0, 255), c.text(2, "...")
	leeway := 5
	if _, ok := c.given(3); ok {
		leeway = c.int(3, 5)
	}
	short := utf8.RuneCountInString(end.String())
	if length < short || leeway < 0 {
		in.fail("truncate needs a length of %d at least, and a leeway that is not negative", short)
	}
	if in.length(v) <= length+leeway {
		return v
	}
	t, ok := v.(Text)
	if !ok {
		in.fail("truncate needs a string, not %s", typeName(v))
	}
	s := t.String()
	t = t.slice(0, runeOffset(s, length-short))
	if !c.flag(1) {
		if i := strings.LastIndexByte(t.String(), ' '); i >= 0 {
			t = t.slice(0, i)
		}
	}
	return in.add(t, end)
}

func filterWordCount(c call, v Value) Value {
	n, inside := int64(0), false
	for _, r := range c.in.soft(v).String() {
		if isWord(r) && !inside {
			n++
		}
		inside = isWord(r)
	}
	return n
}
