package jinja

import "strings"

// tests by name: what may follow "is".
var tests map[string]func(in *interp, v Value, args []Value) bool

func init() {
	kind := func(names ...string) func(*interp, Value, []Value) bool {
		return func(_ *interp, v Value, _ []Value) bool {
			for _, n := range names {
				if typeName(v) == n {
					return true
				}
			}
			return false
		}
	}
	versus := func(op string) func(*interp, Value, []Value) bool {
		return func(in *interp, v Value, args []Value) bool {
			if len(args) != 1 {
				in.fail("test %s needs one argument", op)
			}
			return in.compare(op, v, args[0])
		}
	}
	modulo := func(in *interp, v Value, n Value) Value { return in.arith("%", v, n) }
	tests = map[string]func(*interp, Value, []Value) bool{
		"boolean":   kind("bool"),
		"callable":  kind("function"),
		"defined":   func(_ *interp, v Value, _ []Value) bool { _, u := v.(Undefined); return !u },
		"undefined": kind("Undefined"),
		"none":      kind("NoneType"),
		"string":    kind("str"),
		"mapping":   kind("dict"),
		"float":     kind("float"),
		"integer":   kind("int"),
		"number":    kind("int", "float", "bool"),
		"iterable":  kind("str", "list", "tuple", "dict", "Undefined"),
		"sequence":  kind("str", "list", "tuple", "dict", "Undefined"),
		"true":      func(_ *interp, v Value, _ []Value) bool { return v == true },
		"false":     func(_ *interp, v Value, _ []Value) bool { return v == false },
		"even":      func(in *interp, v Value, _ []Value) bool { return in.equal(modulo(in, v, int64(2)), int64(0), 0) },
		"odd":       func(in *interp, v Value, _ []Value) bool { return in.equal(modulo(in, v, int64(2)), int64(1), 0) },
		"divisibleby": func(in *interp, v Value, args []Value) bool {
			if len(args) != 1 {
				in.fail("test divisibleby needs one argument")
			}
			return in.equal(modulo(in, v, args[0]), int64(0), 0)
		},
		"lower": func(in *interp, v Value, _ []Value) bool { s := in.str(v).String(); return isCased(s, strings.ToLower) },
		"upper": func(in *interp, v Value, _ []Value) bool { s := in.str(v).String(); return isCased(s, strings.ToUpper) },
		"sameas": func(in *interp, v Value, args []Value) bool {
			if len(args) != 1 {
				in.fail("test sameas needs one argument")
			}
			switch v.(type) {
			case nil, bool, *List, *Dict, *Func:
				return v == args[0]
			}
			return typeName(v) == typeName(args[0]) && in.equal(v, args[0], 0)
		},
		"filter": func(in *interp, v Value, _ []Value) bool { return filters[in.str(v).String()] != nil },
		"test":   func(in *interp, v Value, _ []Value) bool { return tests[in.str(v).String()] != nil },
	}
	for op, names := range map[string][]string{
		"==": {"eq", "equalto"}, "!=": {"ne"}, "<": {"lt", "lessthan"}, "<=": {"le"}, ">": {"gt", "greaterthan"},
		">=": {"ge"}, "in": nil,
	} {
		tests[op] = versus(op)
		for _, n := range names {
			tests[n] = versus(op)
		}
	}
}

// isCased is Python's islower or isupper: nothing changes, and there is something that could.
func isCased(s string, fold func(string) string) bool {
	return fold(s) == s && strings.ToLower(s) != strings.ToUpper(s)
}
