package jinja

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Value is what a template computes with: nil (None), [Undefined], bool, int64, *big.Int where 64
// bits are too few, float64, [Text], *[List], *[Dict], *Func, and what only the interpreter makes:
// iterators, loops and objects.
type Value any

// Undefined is the value of a missing name, attribute or item: it prints as nothing, is false and
// empty, and fails when used otherwise, as jinja2.Undefined does.
type Undefined struct{ Name string }

// listKind tells sequences apart that Python prints, compares and subscripts in different ways.
type listKind uint8

const (
	plainList listKind = iota
	tupleList
	rangeList  // range()
	keysView   // dict.keys()
	valuesView // dict.values()
	itemsView  // dict.items()
)

// List is a Python list, tuple or range, or the view of a dict.
type List struct {
	Items []Value
	// Marked lists are watched: a template that prints one as a whole (Python's repr) sets
	// [Result.PrintedMarked].
	Marked bool
	kind   listKind
	group  bool     // a tuple of groupby, whose elements have names
	bounds [3]int64 // of a range
}

func tuple(items ...Value) *List { return &List{Items: items, kind: tupleList} }

// subscripts reports whether the list takes an index.
func (l *List) subscripts() bool { return l.kind <= rangeList }

// Dict is a Python dict, which keeps the order of insertion, or a namespace.
type Dict struct {
	keys  []Value
	vals  []Value
	index map[string]int
	ns    bool // a namespace: attributes are the items, set may write them
	// Image is n > 0 where the dict is the caller's n-th image item: what a template writes in the
	// loop iteration over it gets this number as the Index of its Template spans.
	Image int32
}

// Func is something callable.
type Func struct {
	name  string
	call  func(in *interp, args []Value, kw *Dict) Value
	attrs map[string]Value
}

// object is a value with attributes, of the type that Python calls it by. Its call may be nil.
type object struct {
	typ  string
	attr func(name string) (Value, bool)
	call func(in *interp, args []Value, kw *Dict) Value
}

// iterator gives its elements once: a Python generator.
type iterator struct {
	typ  string
	next func() (Value, bool)
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

// remove takes a key out.
func (d *Dict) remove(key string) {
	at, ok := d.index["s"+key]
	if !ok {
		return
	}
	out := &Dict{ns: d.ns, Image: d.Image}
	for i, k := range d.keys {
		if i != at {
			out.set(k, d.vals[i])
		}
	}
	*d = *out
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

// hashKey maps keys that Python holds equal to the same string. ok is false for what Python cannot
// hash.
func hashKey(v Value) (key string, ok bool) {
	switch v := v.(type) {
	case Text:
		return "s" + v.String(), true
	case bool:
		if v {
			return "n1", true
		}
		return "n0", true
	case int64:
		return "n" + strconv.FormatInt(v, 10), true
	case *big.Int:
		return "n" + v.Text(16), true
	case float64:
		if v == math.Trunc(v) && !math.IsInf(v, 0) {
			n, _ := big.NewFloat(v).Int(nil)
			return hashKey(whole(n))
		}
		return "n" + strconv.FormatFloat(v, 'g', -1, 64), true
	case nil:
		return "none", true
	case Undefined:
		return "undefined", true
	case *List:
		switch v.kind {
		case rangeList:
			return fmt.Sprintf("r%v", v.bounds), true
		case tupleList:
			var b strings.Builder
			b.WriteByte('t')
			for _, x := range v.Items {
				k, ok := hashKey(x)
				if !ok || b.Len() > maxKey {
					return "", false
				}
				b.WriteString(strconv.Itoa(len(k)))
				b.WriteByte(':')
				b.WriteString(k)
			}
			return b.String(), true
		}
	case *Dict:
		if v.ns {
			return fmt.Sprintf("p%p", v), true
		}
	case *Func, *object, *iterator, *loop:
		return fmt.Sprintf("p%p", v), true
	}
	return "", false
}

// maxKey bounds a tuple that is the key of a dict.
const maxKey = 1 << 20

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

func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case Undefined:
		return "Undefined"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case Text:
		if v.markup {
			return "Markup"
		}
		return "str"
	case *List:
		return [...]string{"list", "tuple", "range", "dict_keys", "dict_values",
			"dict_items"}[v.kind]
	case *Dict:
		if v.ns {
			return "Namespace"
		}
		return "dict"
	case *iterator:
		return v.typ
	case *loop:
		return "LoopContext"
	case *object:
		return v.typ
	}
	return "function"
}

// same is Python's "is", as far as a template can tell.
func same(a, b Value) bool {
	switch x := a.(type) {
	case nil, bool, *List, *Dict, *Func, *object, *iterator, *loop:
		return a == b
	case int64: // CPython keeps one object of each small integer
		y, ok := b.(int64)
		return ok && x == y && x >= -5 && x <= 256
	}
	return false
}

// equal is Python's ==.
func (in *interp) equal(a, b Value, depth int) bool {
	in.deep(depth)
	if isNumber(a) {
		if !isNumber(b) {
			return false
		}
		c, ok := compareNumbers(a, b)
		return ok && c == 0
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case Undefined:
		_, ok := b.(Undefined)
		return ok
	case Text:
		t, ok := b.(Text)
		if !ok || a.Len() != t.Len() {
			return false
		}
		in.work(a)
		return a.String() == t.String()
	case *List:
		l, ok := b.(*List)
		return ok && in.equalLists(a, l, depth)
	case *Dict:
		d, ok := b.(*Dict)
		if !ok || a == d || a.ns || d.ns || len(a.keys) != len(d.keys) {
			return ok && a == d
		}
		for i, k := range a.keys {
			v, ok := d.lookup(k)
			if !ok || !in.equal(a.vals[i], v, depth+1) {
				return false
			}
		}
		return true
	case *Func, *object, *iterator, *loop:
		return a == b
	}
	return false
}

func (in *interp) equalLists(a, b *List, depth int) bool {
	setLike := func(k listKind) bool { return k == keysView || k == itemsView }
	switch {
	case a == b:
		return true
	case setLike(a.kind) && setLike(b.kind):
		return len(a.Items) == len(b.Items) && !slices.ContainsFunc(a.Items,
			func(v Value) bool { return !in.contains(b, v) })
	}
	return a.kind == b.kind && a.kind != valuesView && slices.EqualFunc(a.Items, b.Items,
		func(v, w Value) bool { return in.equal(v, w, depth+1) })
}

// less is Python's < (orEqual: <=) for numbers, strings and sequences of them.
func (in *interp) less(a, b Value, orEqual bool, depth int) bool {
	in.deep(depth)
	if isNumber(a) && isNumber(b) {
		c, ok := compareNumbers(a, b)
		return ok && (c < 0 || orEqual && c == 0)
	}
	switch x := a.(type) {
	case Text:
		if y, ok := b.(Text); ok {
			in.work(x)
			c := strings.Compare(x.String(), y.String())
			return c < 0 || orEqual && c == 0
		}
	case *List:
		if y, ok := b.(*List); ok && x.kind == y.kind && x.kind <= tupleList {
			for i := range min(len(x.Items), len(y.Items)) {
				if !in.equal(x.Items[i], y.Items[i], depth+1) {
					return in.less(x.Items[i], y.Items[i], orEqual, depth+1)
				}
			}
			return len(x.Items) < len(y.Items) || orEqual && len(x.Items) == len(y.Items)
		}
	case Undefined:
		in.fail("%s is undefined, it has no order", x.Name)
	}
	in.fail("cannot compare %s with %s", typeName(a), typeName(b))
	return false
}

// order is less as a sort wants it.
func (in *interp) order(a, b Value) int {
	in.step()
	switch {
	case in.less(a, b, false, 0):
		return -1
	case in.less(b, a, false, 0):
		return 1
	}
	return 0
}
