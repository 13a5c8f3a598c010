package jinja

import (
	"slices"
	"strings"
)

// test is what may follow "is".
type test struct {
	sig  signature // without the value
	call func(c call, v Value) Value
}

// tests by name: all of Jinja 3.1.
var tests map[string]test

func init() {
	kind := func(names ...string) test {
		return test{takes(""), func(_ call, v Value) Value {
			return slices.Contains(names, typeName(v))
		}}
	}
	text := func(is func(string) bool) test {
		return test{takes(""), func(c call, v Value) Value { return is(c.in.str(v).String()) }}
	}
	modulo := func(c call, v, n Value) Value { return c.in.binary("%", v, n) }
	tests = map[string]test{
		"boolean":   kind("bool"),
		"defined":   {takes(""), func(_ call, v Value) Value { _, u := v.(Undefined); return !u }},
		"undefined": kind("Undefined"),
		"none":      kind("NoneType"),
		"string":    kind("str", "Markup"),
		"mapping":   kind("dict"),
		"float":     kind("float"),
		"integer":   kind("int"),
		"number":    kind("int", "float", "bool"),
		"sequence":  kind("str", "Markup", "list", "tuple", "range", "dict", "Undefined"),
		"iterable":  {takes(""), func(_ call, v Value) Value { return iterable(v) }},
		"callable":  {takes(""), func(_ call, v Value) Value { return callable(v) }},
		"escaped":   kind("Markup"),
		"true":      {takes(""), func(_ call, v Value) Value { return v == true }},
		"false":     {takes(""), func(_ call, v Value) Value { return v == false }},
		"even": {takes(""), func(c call, v Value) Value {
			return c.in.equal(modulo(c, v, int64(2)), int64(0), 0)
		}},
		"odd": {takes(""), func(c call, v Value) Value {
			return c.in.equal(modulo(c, v, int64(2)), int64(1), 0)
		}},
		"divisibleby": {takes("num"), func(c call, v Value) Value {
			return c.in.equal(modulo(c, v, c.vals[0]), int64(0), 0)
		}},
		"lower":  text(isLower),
		"upper":  text(isUpper),
		"sameas": {takes("other"), func(c call, v Value) Value { return same(v, c.vals[0]) }},
		"in": {takes("seq"), func(c call, v Value) Value {
			return c.in.contains(c.vals[0], v)
		}},
		"filter": {takes(""), func(c call, v Value) Value {
			_, ok := filters[c.name(v)]
			return ok
		}},
		"test": {takes(""), func(c call, v Value) Value { _, ok := tests[c.name(v)]; return ok }},
	}
	for op, names := range map[string]string{"==": "eq equalto", "!=": "ne", "<": "lt lessthan",
		"<=": "le", ">": "gt greaterthan", ">=": "ge"} {
		for _, name := range append(strings.Fields(names), op) {
			tests[name] = test{takes("/ other"), func(c call, v Value) Value {
				return c.in.compare(op, v, c.vals[0])
			}}
		}
	}
}

// name is a value as a key of a table of names, "" if it is none.
func (c *call) name(v Value) string {
	c.in.hashable(v)
	t, _ := v.(Text)
	return t.String()
}

func (in *interp) test(name string, v Value, args []Value, kw *Dict) Value {
	t, ok := tests[name]
	if !ok {
		in.fail("no test named %q", name)
	}
	return t.call(in.bind(name, &t.sig, args, kw), v)
}

func iterable(v Value) bool {
	switch v := v.(type) {
	case Text, *List, *iterator, *loop, Undefined:
		return true
	case *Dict:
		return !v.ns
	}
	return false
}

func callable(v Value) bool {
	switch v := v.(type) {
	case *Func, *loop, Undefined:
		return true
	case *object:
		return v.call != nil
	}
	return false
}
