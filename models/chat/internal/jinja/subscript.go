package jinja

import (
	"math"
	"math/big"
	"unicode/utf8"
)

// attr is x.name: Python's attribute (a method), else the item of that name.
func (in *interp) attr(v Value, name string) Value {
	switch x := v.(type) {
	case Undefined:
		in.fail("%s is undefined, it has no %s", x.Name, name)
	case *loop:
		return x.attr(name)
	case *Dict:
		if x.ns {
			if y, ok := x.get(name); ok {
				return y
			}
			return Undefined{name}
		}
		if y, ok := in.attribute(v, name); ok {
			return y
		}
		if y, ok := x.get(name); ok {
			return y
		}
		return Undefined{name}
	}
	if x, ok := in.attribute(v, name); ok {
		return x
	}
	return Undefined{typeName(v) + "." + name}
}

// item is x[key]: Python's item, else the attribute of that name.
func (in *interp) item(v, key Value) Value {
	switch c := v.(type) {
	case Undefined:
		in.fail("%s is undefined, it has no items", c.Name)
	case *Dict:
		k, ok := hashKey(key)
		in.workOn(len(k))
		if i, there := c.index[k]; ok && there && !c.ns {
			return c.vals[i]
		}
	case *List:
		if i, ok := smallInt(key); ok && c.subscripts() {
			if i < 0 {
				i += int64(len(c.Items))
			}
			if i >= 0 && i < int64(len(c.Items)) {
				return c.Items[i]
			}
			return Undefined{"list item"}
		}
	case Text:
		if i, ok := smallInt(key); ok {
			return in.char(c, i)
		}
	}
	if name, ok := key.(Text); ok {
		return in.attr(v, name.String())
	}
	return Undefined{typeName(v) + " item"}
}

func (in *interp) char(t Text, i int64) Value {
	in.work(t)
	s := t.String()
	n := int64(utf8.RuneCountInString(s))
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return Undefined{"character"}
	}
	at := runeOffset(s, int(i))
	_, w := utf8.DecodeRuneInString(s[at:])
	return t.slice(at, at+w)
}

// runeOffset is the byte offset of the n-th character.
func runeOffset(s string, n int) int {
	if n <= 0 {
		return 0
	}
	if n >= len(s) {
		return len(s)
	}
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// bound evaluates a part of a slice; a number beyond 64 bits is as good as the largest, and what is
// no number a misfit.
func (in *interp) bound(x expr, sc *scope, misfit *bool) *int64 {
	if x == nil {
		return nil
	}
	v := in.eval(x, sc)
	if v == nil {
		return nil
	}
	n, ok := smallInt(v)
	if b, isBig := v.(*big.Int); isBig {
		if n, ok = math.MaxInt64, true; b.Sign() < 0 {
			n = math.MinInt64 + 1
		}
	}
	if !ok {
		*misfit = true
	}
	return &n
}

func (in *interp) slice(x *sliceExpr, sc *scope) Value {
	v := in.eval(x.obj, sc)
	misfit := false
	start, stop, stepBy := in.bound(x.start, sc, &misfit), in.bound(x.stop, sc, &misfit),
		in.bound(x.step, sc, &misfit)
	step := int64(1)
	if stepBy != nil {
		step = *stepBy
	}
	if u, ok := v.(Undefined); ok {
		in.fail("%s is undefined, it cannot be sliced", u.Name)
	}
	if l, ok := v.(*List); misfit || !isText(v) && (!ok || !l.subscripts()) {
		if in.constant {
			return Undefined{"slice"}
		}
		in.fail("%s cannot be sliced so", typeName(v))
	}
	if step == 0 {
		in.fail("slice step is zero")
	}
	switch v := v.(type) {
	case Text:
		in.work(v)
		s := v.String()
		if step == 1 {
			lo, hi := sliceBounds(int64(utf8.RuneCountInString(s)), start, stop, 1)
			if lo >= hi {
				return Text{markup: v.markup}
			}
			return v.slice(runeOffset(s, int(lo)), runeOffset(s, int(hi)))
		}
		out := in.join(in.pick(in.iterate(v), start, stop, step), Text{})
		out.markup = v.markup
		return out
	case *List:
		if v.kind == rangeList {
			return in.sliceRange(v, start, stop, step)
		}
		if step == 1 { // shares the elements
			return &List{Items: in.pick(v.Items, start, stop, 1), kind: v.kind}
		}
		return in.listOf(v.kind, in.pick(v.Items, start, stop, step))
	}
	return nil
}

// sliceRange is a part of a range, which is a range.
func (in *interp) sliceRange(v *List, start, stop *int64, step int64) Value {
	lo, hi := sliceBounds(int64(len(v.Items)), start, stop, step)
	from, by := v.bounds[0], v.bounds[2]
	l := in.listOf(rangeList, in.pick(v.Items, start, stop, step))
	l.bounds = [3]int64{from + lo*by, from + hi*by, step * by}
	return l
}

func (in *interp) pick(items []Value, start, stop *int64, step int64) []Value {
	lo, hi := sliceBounds(int64(len(items)), start, stop, step)
	if step == 1 {
		if lo >= hi {
			return nil
		}
		return items[lo:hi:hi]
	}
	var out []Value
	for i := lo; step > 0 && i < hi || step < 0 && i > hi; i += step {
		in.step()
		out = append(out, items[i])
		if step > 0 && i > math.MaxInt64-step || step < 0 && i < math.MinInt64-step {
			break
		}
	}
	return out
}

// sliceBounds is Python's slice.indices.
func sliceBounds(n int64, start, stop *int64, step int64) (lo, hi int64) {
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	clip := func(p *int64, absent int64) int64 {
		if p == nil {
			return absent
		}
		i := *p
		if i < 0 {
			i = max(i+n, low)
		}
		return min(max(i, low), high)
	}
	if step > 0 {
		return clip(start, low), clip(stop, high)
	}
	return clip(start, high), clip(stop, low)
}
