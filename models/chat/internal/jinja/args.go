package jinja

import (
	"math"
	"strings"
)

// call holds the arguments of a filter, test, method or function, bound to its parameters.
type call struct {
	in   *interp
	vals []Value // by parameter; absent where not given
	more []Value // beyond the parameters
	kw   *Dict   // named otherwise; nil for none
}

// absent stands for an argument that was not given.
type absent struct{}

// signature is what a function takes.
type signature struct {
	names      []string
	required   int
	positional bool // names cannot be used
	more, kw   bool // takes further arguments, and further names
}

// takes reads a signature: names of parameters, a question mark behind those that may be left out;
// "/" first where Python takes them by position only; "*" and "**" last for further ones.
func takes(spec string) signature {
	var s signature
	for _, f := range strings.Fields(spec) {
		switch f {
		case "/":
			s.positional = true
		case "*":
			s.more = true
		case "**":
			s.kw = true
		default:
			name, optional := strings.CutSuffix(f, "?")
			s.names = append(s.names, name)
			if !optional {
				s.required = len(s.names)
			}
		}
	}
	return s
}

// function makes a function that takes what spec says.
func function(name, spec string, f func(c call) Value) *Func {
	sig := takes(spec)
	return &Func{name: name, call: func(in *interp, args []Value, kw *Dict) Value {
		return f(in.bind(name, &sig, args, kw))
	}}
}

// bind puts arguments in their places.
func (in *interp) bind(name string, s *signature, args []Value, kw *Dict) call {
	c := call{in: in}
	n := min(len(args), len(s.names))
	if c.more = args[n:]; len(c.more) > 0 && !s.more {
		in.fail("%s takes %d arguments at most, not %d", name, len(s.names), len(args))
	}
	if len(args) == len(s.names) {
		c.vals = args[:n:n]
	} else if len(s.names) > 0 {
		c.vals = make([]Value, len(s.names))
		for i := copy(c.vals, args[:n]); i < len(c.vals); i++ {
			c.vals[i] = absent{}
		}
	}
	if kw != nil {
		for i, key := range kw.keys {
			c.bindName(name, s, key.(Text).String(), kw.vals[i])
		}
	}
	for i := range s.required {
		if _, missing := c.vals[i].(absent); missing {
			in.fail("%s: the argument %s is missing", name, s.names[i])
		}
	}
	return c
}

func (c *call) bindName(name string, s *signature, key string, v Value) {
	for i, x := range s.names {
		if x == key && !s.positional {
			if _, free := c.vals[i].(absent); !free {
				c.in.fail("%s got %s twice", name, key)
			}
			c.vals[i] = v
			return
		}
	}
	if !s.kw {
		c.in.fail("%s takes no argument named %s", name, key)
	}
	if c.kw == nil {
		c.kw = &Dict{}
	}
	c.kw.Set(key, v)
}

// arg is the i-th argument, where it was given.
func (c *call) arg(i int) (Value, bool) {
	if _, missing := c.vals[i].(absent); missing {
		return nil, false
	}
	return c.vals[i], true
}

// or is the i-th argument, else a default.
func (c *call) or(i int, otherwise Value) Value {
	if v, ok := c.arg(i); ok {
		return v
	}
	return otherwise
}

// given is the i-th argument where it is neither left out nor None.
func (c *call) given(i int) (Value, bool) {
	v, ok := c.arg(i)
	return v, ok && v != nil
}

// text is the i-th argument, which must be a string.
func (c *call) text(i int, otherwise string) Text {
	v, ok := c.arg(i)
	if !ok {
		return wrote(otherwise)
	}
	t, ok := v.(Text)
	if !ok {
		c.in.fail("an argument is %s, not a string", typeName(v))
	}
	return t
}

// int is the i-th argument, which must be an integer.
func (c *call) int(i int, otherwise int) int {
	v, ok := c.arg(i)
	if !ok {
		return otherwise
	}
	return c.in.index(v)
}

// index is an integer that counts something.
func (in *interp) index(v Value) int {
	n, ok := smallInt(v)
	if !ok || n > math.MaxInt || n < math.MinInt {
		in.fail("%s is no integer of that size", typeName(v))
	}
	return int(n)
}

func (c *call) flag(i int) bool {
	v, ok := c.arg(i)
	return ok && truth(v)
}
