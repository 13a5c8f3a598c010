package jinja

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

func filterFirst(c call, v Value) Value {
	if it, ok := v.(*iterator); ok {
		if x, ok := it.next(); ok {
			return x
		}
		return Undefined{"first item of an empty sequence"}
	}
	if t, ok := v.(Text); ok {
		return c.in.char(t.plain(), 0)
	}
	if items := c.in.iterate(v); len(items) > 0 {
		return items[0]
	}
	return Undefined{"first item of an empty sequence"}
}

func filterLast(c call, v Value) Value {
	if t, ok := v.(Text); ok {
		return c.in.char(t.plain(), -1)
	}
	c.in.reversible(v)
	if items := c.in.iterate(v); len(items) > 0 {
		return items[len(items)-1]
	}
	return Undefined{"last item of an empty sequence"}
}

// reversible fails the template for a value that Python's reversed does not accept.
func (in *interp) reversible(v Value) {
	switch x := v.(type) {
	case Text, *List, Undefined:
		return
	case *Dict:
		if !x.ns {
			return
		}
	}
	in.fail("%s is not reversible", typeName(v))
}

func filterReverse(c call, v Value) Value {
	if t, ok := v.(Text); ok {
		items := c.in.iterate(v)
		slices.Reverse(items)
		out := c.in.join(items, Text{})
		out.markup = t.markup
		return out
	}
	items := slices.Clone(c.in.iterate(v))
	slices.Reverse(items)
	if _, ok := v.(*iterator); ok {
		return c.in.list(items)
	}
	return c.in.each("reverse_iterator", items, nil)
}

// each returns an iterator over items. Where f is not nil, it maps each item, and leaves out those
// for which it returns false.
func (in *interp) each(typ string, items []Value, f func(Value) (Value, bool)) *iterator {
	i := 0
	return &iterator{typ: typ, next: func() (Value, bool) {
		for i < len(items) {
			in.step()
			x := items[i]
			i++
			if f == nil {
				return x, true
			}
			if y, ok := f(x); ok {
				return y, true
			}
		}
		return nil, false
	}}
}

// lazily returns an iterator that calls make when its first element is wanted: a Python generator,
// too, runs nothing before.
func (in *interp) lazily(make func() *iterator) *iterator {
	var it *iterator
	return &iterator{typ: "generator", next: func() (Value, bool) {
		if it == nil {
			it = make()
		}
		return it.next()
	}}
}

// path returns what an attribute path such as function.name or 0.text leads to in v. A step that
// leads nowhere gives absent, if that is not nil.
func (in *interp) path(v Value, path, absent Value) Value {
	t, ok := path.(Text)
	if !ok {
		if path == nil {
			return v
		}
		if v = in.item(v, path); absent != nil {
			if _, undefined := v.(Undefined); undefined {
				return absent
			}
		}
		return v
	}
	for _, name := range strings.Split(t.String(), ".") {
		if n, err := strconv.ParseInt(name, 10, 64); err == nil && name[0] != '-' &&
			name[0] != '+' {
			v = in.item(v, n)
		} else {
			v = in.item(v, wrote(name))
		}
		if _, undefined := v.(Undefined); undefined && absent != nil {
			v = absent
		}
	}
	return v
}

// length is Python's len.
func (in *interp) length(v Value) int {
	switch v := v.(type) {
	case Text:
		return utf8.RuneCountInString(v.String())
	case *Dict:
		if !v.ns {
			return len(v.keys)
		}
	case *List:
		return len(v.Items)
	case *loop:
		return len(v.items)
	case Undefined:
		return 0
	}
	in.fail("%s has no length", typeName(v))
	return 0
}

func filterLength(c call, v Value) Value { return int64(c.in.length(v)) }

func filterItems(c call, v Value) Value {
	return c.in.lazily(func() *iterator {
		var pairs []Value
		switch v := v.(type) {
		case Undefined:
		case *Dict:
			if v.ns {
				c.in.fail("can only get the items of a mapping")
			}
			pairs = c.in.pairs(v, itemsView).Items
		default:
			c.in.fail("can only get the items of a mapping, not of %s", typeName(v))
		}
		return c.in.each("generator", pairs, nil)
	})
}

func (in *interp) pairs(d *Dict, kind listKind) *List {
	items := make([]Value, len(d.keys))
	in.spend(3 * len(items) * valueCost)
	for i, k := range d.keys {
		items[i] = tuple(k, d.vals[i])
	}
	return &List{Items: items, kind: kind}
}

func filterJoin(c call, v Value) Value {
	in := c.in
	items := in.iterate(v)
	if a, ok := c.given(1); ok {
		items = slices.Clone(items)
		for i, x := range items {
			items[i] = in.path(x, a, nil)
		}
	}
	d := c.or(0, Text{})
	if !in.autoescape {
		return in.join(items, in.str(d))
	}
	sep := in.soft(d)
	if sep.markup || slices.ContainsFunc(items, func(x Value) bool {
		t, ok := x.(Text)
		return ok && t.markup
	}) {
		return in.joinEscaped(items, in.escape(sep))
	}
	return in.join(items, sep)
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

// joinEscaped is join of markup.
func (in *interp) joinEscaped(items []Value, sep Text) Text {
	escaped := make([]Value, len(items))
	for i, x := range items {
		escaped[i] = in.escape(x)
	}
	return in.join(escaped, sep).marked()
}

func filterMap(c call, v Value) Value {
	in := c.in
	return in.lazily(func() *iterator {
		if !truth(v) {
			return in.each("generator", nil, nil)
		}
		if attr, ok := c.named("attribute"); ok && len(c.more) == 0 {
			absent, given := c.named("default")
			if len(c.kw.keys) > 1 && !(given && len(c.kw.keys) == 2) {
				in.fail("map got an argument that it does not know")
			}
			return in.each("generator", in.iterate(v), func(x Value) (Value, bool) {
				return in.path(x, attr, absent), true
			})
		}
		if len(c.more) == 0 {
			in.fail("map needs the name of a filter")
		}
		name, ok := c.more[0].(Text)
		if !ok {
			in.fail("no filter named %s", in.repr(c.more[0]))
		}
		return in.each("generator", in.iterate(v), func(x Value) (Value, bool) {
			return in.filter(name.String(), x, c.more[1:], c.kw), true
		})
	})
}

func (c *call) named(name string) (Value, bool) {
	if c.kw == nil {
		return nil, false
	}
	return c.kw.get(name)
}

// choosing is one of select, reject, selectattr and rejectattr.
func choosing(byAttr, keep bool) filter {
	return filter{takes("* **"), func(c call, v Value) Value { return choose(c, v, byAttr, keep) }}
}

func choose(c call, v Value, byAttr, keep bool) Value {
	in, args := c.in, c.more
	return in.lazily(func() *iterator {
		if !truth(v) {
			return in.each("generator", nil, nil)
		}
		var attr Value
		if byAttr {
			if len(args) == 0 {
				in.fail("missing the attribute to select by")
			}
			attr, args = args[0], args[1:]
		}
		holds := truth
		if len(args) > 0 {
			name, ok := args[0].(Text)
			if !ok {
				in.fail("no test named %s", in.repr(args[0]))
			}
			holds = func(x Value) bool { return truth(in.test(name.String(), x, args[1:], c.kw)) }
		}
		return in.each("generator", in.iterate(v), func(x Value) (Value, bool) {
			y := x
			if byAttr {
				y = in.path(x, attr, nil)
			}
			return x, holds(y) == keep
		})
	})
}

func filterSum(c call, v Value) Value {
	in := c.in
	total := c.or(1, int64(0))
	if _, ok := total.(Text); ok {
		in.fail("sum cannot add strings")
	}
	attr := c.or(0, nil)
	for _, x := range in.iterate(v) {
		total = in.binary("+", total, in.path(x, attr, nil))
	}
	return total
}

func filterBatch(c call, v Value) Value {
	in := c.in
	count, fill := c.vals[0], c.or(1, nil)
	return in.lazily(func() *iterator {
		items, at, done := in.iterate(v), 0, false
		next := func() (Value, bool) {
			row := []Value{}
			for ; at < len(items); at++ {
				if in.equal(int64(len(row)), count, 0) && (at > 0 || !done) {
					done = true
					return in.list(row), true
				}
				in.step()
				row = append(row, items[at])
				done = true
			}
			if len(row) == 0 {
				return nil, false
			}
			if fill != nil && in.less(int64(len(row)), count, false, 0) {
				n := in.index(count)
				in.fits((n - len(row)) * valueCost)
				in.spend((n - len(row)) * valueCost)
				for len(row) < n {
					row = append(row, fill)
				}
			}
			return in.list(row), true
		}
		return &iterator{typ: "generator", next: next}
	})
}

func filterSlice(c call, v Value) Value {
	in := c.in
	return in.lazily(func() *iterator {
		items, n, fill := in.iterate(v), c.int(0, 0), c.or(1, nil)
		if n == 0 {
			in.fail("division by zero")
		}
		per, extra := floorDiv(len(items), n), len(items)-floorDiv(len(items), n)*n
		slice, offset := 0, 0
		return &iterator{typ: "generator", next: func() (Value, bool) {
			in.step()
			if slice >= n {
				return nil, false
			}
			start := offset + slice*per
			if slice < extra {
				offset++
			}
			row := in.list(slices.Clone(items[start : offset+(slice+1)*per]))
			if fill != nil && slice >= extra {
				row.Items = append(row.Items, fill)
			}
			slice++
			return row, true
		}}
	})
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}
