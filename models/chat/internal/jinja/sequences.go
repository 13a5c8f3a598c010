package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// end is the first or last element, undefined where there is none.
func (in *interp) end(v Value, last bool) Value {
	items := in.iterate(v)
	switch {
	case len(items) == 0:
		return Undefined{"element of an empty sequence"}
	case last:
		return items[len(items)-1]
	}
	return items[0]
}

// path follows an attribute path such as function.name or 0.text.
func (in *interp) path(v Value, path Value) Value { return in.pathOr(v, path, nil) }

// pathOr is path with a value, if not nil, for each step that leads nowhere.
func (in *interp) pathOr(v Value, path, absent Value) Value {
	steps := strings.Split(in.str(path).String(), ".")
	for _, name := range steps {
		if n, err := strconv.ParseInt(name, 10, 64); err == nil {
			v = in.item(v, n)
		} else {
			v = in.item(v, NewText(name, Source{}))
		}
		if _, undefined := v.(Undefined); undefined && absent != nil {
			v = absent
		}
	}
	return v
}

func filterLength(c call, v Value) Value {
	switch v := v.(type) {
	case Text:
		return int64(len([]rune(v.String())))
	case *Dict:
		return int64(len(v.keys))
	}
	return int64(len(c.in.iterate(v)))
}

func filterItems(c call, v Value) Value {
	switch v := v.(type) {
	case Undefined:
		return c.in.list(nil)
	case *Dict:
		return c.in.pairs(v)
	}
	c.in.fail("can only get the items of a mapping, not of %s", typeName(v))
	return nil
}

func (in *interp) pairs(d *Dict) *List {
	items := make([]Value, len(d.keys))
	in.spend(3 * len(items) * valueCost)
	for i, k := range d.keys {
		items[i] = &List{Items: []Value{k, d.vals[i]}, Tuple: true}
	}
	return &List{Items: items}
}

func filterJoin(c call, v Value) Value {
	items := c.in.iterate(v)
	if a, ok := c.arg(1, "attribute"); ok && a != nil {
		items = slices.Clone(items)
		for i, x := range items {
			items[i] = c.in.path(x, a)
		}
	}
	sep, _ := c.arg(0, "d")
	if sep == nil {
		sep = Text{}
	}
	return c.in.join(items, c.in.str(sep))
}

func (in *interp) join(items []Value, sep Text) Text {
	var b builder
	for i, x := range items {
		in.step()
		if i > 0 {
			b.text(sep)
		}
		b.text(in.str(x))
		in.fits(b.size)
	}
	return in.own(b.done())
}

func filterMap(c call, v Value) Value {
	items := c.in.iterate(v)
	out := make([]Value, len(items))
	attr, byAttr := c.kw.get("attribute")
	name := ""
	if !byAttr {
		name = c.text(0, "", Text{}).String()
	}
	for i, x := range items {
		c.in.step()
		if !byAttr {
			out[i] = c.in.filter(name, x, c.args[min(1, len(c.args)):], c.kw)
			continue
		}
		absent, _ := c.kw.get("default")
		out[i] = c.in.pathOr(x, attr, absent)
	}
	return c.in.list(out)
}

// choose is select, reject, selectattr and rejectattr.
func choose(c call, v Value, byAttr, keep bool) Value {
	args := c.args
	var attr Value
	if byAttr {
		if len(args) == 0 {
			c.in.fail("missing the attribute to select by")
		}
		attr, args = args[0], args[1:]
	}
	holds := func(x Value) bool { return truth(x) }
	if len(args) > 0 {
		name := c.in.str(args[0]).String()
		test := tests[name]
		if test == nil {
			c.in.fail("no test named %q", name)
		}
		holds = func(x Value) bool { return test(c.in, x, args[1:]) }
	}
	var out []Value
	for _, x := range c.in.iterate(v) {
		c.in.step()
		y := x
		if byAttr {
			y = c.in.path(x, attr)
		}
		if holds(y) == keep {
			out = append(out, x)
		}
	}
	return c.in.list(out)
}

// sortKey folds case and follows the attribute, as Jinja's sort, min, max and unique do by default.
func sortKey(c call, x Value, attr Value, fold bool) Value {
	if attr != nil {
		x = c.in.path(x, attr)
	}
	if t, ok := x.(Text); ok && fold {
		return t.mapSpans(strings.ToLower)
	}
	return x
}

func (in *interp) order(a, b Value) int {
	in.step()
	switch {
	case in.less(a, b, 0):
		return -1
	case in.less(b, a, 0):
		return 1
	}
	return 0
}

func filterSort(c call, v Value) Value {
	attr, _ := c.arg(2, "attribute")
	fold := !c.flag(1, "case_sensitive")
	items := slices.Clone(c.in.iterate(v))
	reverse := c.flag(0, "reverse")
	slices.SortStableFunc(items, func(a, b Value) int {
		o := c.in.order(sortKey(c, a, attr, fold), sortKey(c, b, attr, fold))
		if reverse {
			return -o
		}
		return o
	})
	return c.in.list(items)
}

func filterDictSort(c call, v Value) Value {
	d, ok := v.(*Dict)
	if !ok {
		c.in.fail("dictsort needs a mapping, not %s", typeName(v))
	}
	by := 0
	if c.text(1, "by", Text{}).String() == "value" {
		by = 1
	}
	items, fold, reverse := c.in.pairs(d), !c.flag(0, "case_sensitive"), c.flag(2, "reverse")
	slices.SortStableFunc(items.Items, func(a, b Value) int {
		o := c.in.order(sortKey(c, a.(*List).Items[by], nil, fold), sortKey(c, b.(*List).Items[by], nil, fold))
		if reverse {
			return -o
		}
		return o
	})
	return items
}

func extreme(c call, v Value, greatest bool) Value {
	attr, _ := c.arg(1, "attribute")
	fold := !c.flag(0, "case_sensitive")
	var best Value = Undefined{"element of an empty sequence"}
	for i, x := range c.in.iterate(v) {
		o := 0
		if i > 0 {
			o = c.in.order(sortKey(c, x, attr, fold), sortKey(c, best, attr, fold))
		}
		if i == 0 || o < 0 && !greatest || o > 0 && greatest {
			best = x
		}
	}
	return best
}

func filterUnique(c call, v Value) Value {
	attr, _ := c.arg(1, "attribute")
	fold := !c.flag(0, "case_sensitive")
	seen := map[string]bool{}
	var out []Value
	for _, x := range c.in.iterate(v) {
		k, ok := hashKey(sortKey(c, x, attr, fold))
		if !ok {
			c.in.fail("unique cannot take a %s", typeName(x))
		}
		if !seen[k] {
			seen[k] = true
			out = append(out, x)
		}
	}
	return c.in.list(out)
}

func filterSum(c call, v Value) Value {
	attr, _ := c.arg(0, "attribute")
	total, ok := c.arg(1, "start")
	if !ok {
		total = int64(0)
	}
	for _, x := range c.in.iterate(v) {
		if attr != nil {
			x = c.in.path(x, attr)
		}
		total = c.in.binary("+", total, x)
	}
	return total
}

func filterBatch(c call, v Value) Value {
	n := c.int(0, "linecount", 0)
	if n < 1 {
		c.in.fail("batch needs a positive size")
	}
	var out []Value
	items := c.in.iterate(v)
	for at := 0; at < len(items); at += n {
		row := slices.Clone(items[at:min(at+n, len(items))])
		if fill, ok := c.arg(1, "fill_with"); ok && fill != nil {
			c.in.spend((n - len(row)) * valueCost)
			for len(row) < n {
				row = append(row, fill)
			}
		}
		out = append(out, c.in.list(row))
	}
	return c.in.list(out)
}
