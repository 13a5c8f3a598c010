package jinja

import "slices"

// sortKey folds case, as Jinja's sort, min, max and unique do by default.
func sortKey(x Value, fold bool) Value {
	if t, ok := x.(Text); ok && fold {
		return t.mapSpans(lower)
	}
	return x
}

// keyed is an element with what it is sorted by.
type keyed struct{ key, val Value }

// sorted sorts stably, as Python does.
func (in *interp) sorted(items []keyed, reverse bool) []Value {
	in.spend(2 * len(items) * valueCost)
	slices.SortStableFunc(items, func(a, b keyed) int {
		if reverse {
			return -in.order(a.key, b.key)
		}
		return in.order(a.key, b.key)
	})
	out := make([]Value, len(items))
	for i, x := range items {
		out[i] = x.val
	}
	return out
}

func filterSort(c call, v Value) Value {
	in := c.in
	fold := !c.flag(1)
	paths := []Value{nil}
	if attr, ok := c.given(2); ok {
		paths[0] = attr
		if t, ok := attr.(Text); ok {
			paths = in.split(t, ",", -1, false).Items
		}
	}
	var items []keyed
	for _, x := range in.iterate(v) {
		key := make([]Value, len(paths))
		for i, p := range paths {
			key[i] = sortKey(in.path(x, p, nil), fold)
		}
		items = append(items, keyed{&List{Items: key}, x})
	}
	return in.list(in.sorted(items, c.flag(0)))
}

func filterDictSort(c call, v Value) Value {
	in := c.in
	at := 0
	switch by, _ := c.or(1, wrote("key")).(Text); by.String() {
	case "key":
	case "value":
		at = 1
	default:
		in.fail("dictsort sorts by key or value")
	}
	d, ok := v.(*Dict)
	if !ok || d.ns {
		in.fail("dictsort needs a mapping, not %s", typeName(v))
	}
	var items []keyed
	for _, p := range in.pairs(d, itemsView).Items {
		items = append(items, keyed{sortKey(p.(*List).Items[at], !c.flag(0)), p})
	}
	return in.list(in.sorted(items, c.flag(2)))
}

func extreme(c call, v Value, greatest bool) Value {
	in := c.in
	attr, fold := c.or(1, nil), !c.flag(0)
	var best keyed
	items := in.iterate(v)
	for i, x := range items {
		key := sortKey(in.path(x, attr, nil), fold)
		if i == 0 || greatest && in.less(best.key, key, false, 0) || !greatest && in.less(key,
			best.key, false, 0) {
			best = keyed{key, x}
		}
		in.step()
	}
	if len(items) == 0 {
		return Undefined{"item of an empty sequence"}
	}
	return best.val
}

func filterUnique(c call, v Value) Value {
	in := c.in
	attr, fold := c.or(1, nil), !c.flag(0)
	return in.lazily(func() *iterator {
		seen := map[string]bool{}
		return in.each("generator", in.iterate(v), func(x Value) (Value, bool) {
			key := in.hashable(sortKey(in.path(x, attr, nil), fold))
			known := seen[key]
			seen[key] = true
			return x, !known
		})
	})
}

func filterGroupBy(c call, v Value) Value {
	in := c.in
	attr, absent, fold := c.vals[0], c.or(1, nil), !c.flag(2)
	var items []keyed
	for _, x := range in.iterate(v) {
		items = append(items, keyed{sortKey(in.path(x, attr, absent), fold), x})
	}
	in.sorted(items, false)
	var out []Value
	for i := 0; i < len(items); {
		group := in.list(nil)
		key := items[i].key
		if fold {
			key = in.path(items[i].val, attr, absent)
		}
		first := items[i].key
		for ; i < len(items) && in.equal(first, items[i].key, 0); i++ {
			group.Items = append(group.Items, items[i].val)
		}
		in.spend(len(group.Items) * valueCost)
		out = append(out, &List{Items: []Value{key, group}, kind: tupleList, group: true})
		if len(group.Items) == 0 { // a key that is not equal to itself
			in.fail("groupby cannot group by NaN")
		}
	}
	return in.list(out)
}
