package gguf

import (
	"fmt"
	"math"
	"reflect"
)

// ValueType is the type of a metadata value, numbered as gguf_type in gguf.h.
type ValueType uint32

// The value types of GGUF.
const (
	Uint8   ValueType = 0
	Int8    ValueType = 1
	Uint16  ValueType = 2
	Int16   ValueType = 3
	Uint32  ValueType = 4
	Int32   ValueType = 5
	Float32 ValueType = 6
	Bool    ValueType = 7
	String  ValueType = 8
	Array   ValueType = 9
	Uint64  ValueType = 10
	Int64   ValueType = 11
	Float64 ValueType = 12
)

var valueTypes = [...]struct {
	name   string
	size   int          // smallest encoding in bytes
	scalar reflect.Type // nil for strings and arrays
}{
	Uint8: {"uint8", 1, reflect.TypeFor[uint8]()}, Int8: {"int8", 1, reflect.TypeFor[int8]()},
	Uint16: {"uint16", 2, reflect.TypeFor[uint16]()}, Int16: {"int16", 2, reflect.TypeFor[int16]()},
	Uint32: {"uint32", 4, reflect.TypeFor[uint32]()}, Int32: {"int32", 4, reflect.TypeFor[int32]()},
	Uint64: {"uint64", 8, reflect.TypeFor[uint64]()}, Int64: {"int64", 8, reflect.TypeFor[int64]()},
	Float32: {"float32", 4, reflect.TypeFor[float32]()},
	Float64: {"float64", 8, reflect.TypeFor[float64]()},
	Bool:    {"bool", 1, reflect.TypeFor[bool]()}, String: {"string", 8, nil},
	Array: {"array", 12, nil},
}

// String returns the Go name of the type, as in "uint32", or "array".
func (t ValueType) String() string {
	if t.valid() {
		return valueTypes[t].name
	}
	return fmt.Sprintf("ValueType(%d)", uint32(t))
}

func (t ValueType) valid() bool { return int64(t) < int64(len(valueTypes)) }

// Value is one metadata value: a number, bool, string, or array of one type.
// Arrays are kept as typed slices, so that a vocabulary of 100 000 scores
// costs 400 kB. Slices that a Value hands out are its own storage and must not
// be changed. The zero Value is the uint8 0.
type Value struct {
	typ  ValueType
	bits uint64 // a scalar: integers sign-extended, floats as their IEEE bits
	ref  any    // a string, or an array: []T of a scalar type, []string, []Value
}

// NewValue makes a Value of a Go value. The Go type decides the GGUF type:
// uint8 … uint64, int8 … int64, float32, float64, bool, string, slices of
// these, []Value for an array of arrays, or a Value itself. int and uint are
// refused, since the file's readers look for a certain width. The slice is
// kept, not copied. The specification allows arrays of arrays, but libggml
// refuses a file that has one.
func NewValue(v any) (Value, error) {
	x, err := newValue(v)
	if err != nil {
		err = fmt.Errorf("gguf: %w", err)
	}
	return x, err
}

func newValue(v any) (Value, error) {
	switch v := v.(type) {
	case Value:
		return v, nil
	case string:
		return Value{typ: String, ref: v}, nil
	case []string:
		return Value{typ: Array, ref: v}, nil
	case []Value:
		for i, e := range v {
			if e.typ != Array {
				return Value{}, fmt.Errorf(
					"element %d of an array of arrays is a %s; use a slice of a Go type", i, e.typ)
			}
		}
		return Value{typ: Array, ref: v}, nil
	case bool:
		if v {
			return Value{typ: Bool, bits: 1}, nil
		}
		return Value{typ: Bool}, nil
	case float32:
		return Value{typ: Float32, bits: uint64(math.Float32bits(v))}, nil
	case float64:
		return Value{typ: Float64, bits: math.Float64bits(v)}, nil
	}
	x := reflect.ValueOf(v)
	if x.Kind() == reflect.Slice && scalar(x.Type().Elem()) {
		return Value{typ: Array, ref: v}, nil
	}
	switch {
	case !x.IsValid() || !scalar(x.Type()):
	case x.CanUint():
		return Value{typ: typesOf[x.Kind()], bits: x.Uint()}, nil
	case x.CanInt():
		return Value{typ: typesOf[x.Kind()], bits: uint64(x.Int())}, nil
	}
	return Value{}, fmt.Errorf("no GGUF type for a Go %T", v)
}

// scalar reports whether a Go type is that of a number or bool, and not another one of its kind.
func scalar(t reflect.Type) bool {
	typ, ok := typesOf[t.Kind()]
	return ok && valueTypes[typ].scalar == t
}

// Type returns the type of v; for an array, ElemType tells what it holds.
func (v Value) Type() ValueType { return v.typ }

// ElemType returns the type of an array's elements, Array for an array of
// arrays. For anything but an array it returns the type itself.
func (v Value) ElemType() ValueType {
	if v.typ != Array {
		return v.typ
	}
	return typesOf[reflect.TypeOf(v.ref).Elem().Kind()]
}

// typesOf are the types of values by the kinds of the Go types that hold them.
var typesOf = map[reflect.Kind]ValueType{
	reflect.Uint8: Uint8, reflect.Int8: Int8, reflect.Uint16: Uint16, reflect.Int16: Int16,
	reflect.Uint32: Uint32, reflect.Int32: Int32, reflect.Uint64: Uint64, reflect.Int64: Int64,
	reflect.Float32: Float32, reflect.Float64: Float64, reflect.Bool: Bool, reflect.String: String,
	reflect.Struct: Array, // of Values
}

// Any returns v as the Go value that NewValue takes: a scalar, a string, or a
// typed slice ([]Value for an array of arrays).
func (v Value) Any() any {
	switch v.typ {
	case String, Array:
		return v.ref
	case Float32:
		return math.Float32frombits(uint32(v.bits))
	case Float64:
		return math.Float64frombits(v.bits)
	case Bool:
		return v.bits != 0
	}
	x := reflect.New(valueTypes[v.typ].scalar).Elem()
	if x.CanUint() {
		x.SetUint(v.bits)
	} else {
		x.SetInt(int64(v.bits))
	}
	return x.Interface()
}

// Uint returns any integer that is not negative; ok is false for all else.
func (v Value) Uint() (n uint64, ok bool) {
	switch v.typ {
	case Uint8, Uint16, Uint32, Uint64:
		return v.bits, true
	case Int8, Int16, Int32, Int64:
		return v.bits, int64(v.bits) >= 0
	}
	return 0, false
}

// Int returns any integer that fits in int64; ok is false for all else.
func (v Value) Int() (n int64, ok bool) {
	switch v.typ {
	case Uint8, Uint16, Uint32, Uint64:
		return int64(v.bits), v.bits <= math.MaxInt64
	case Int8, Int16, Int32, Int64:
		return int64(v.bits), true
	}
	return 0, false
}

// Float returns any number, since files write whole numbers such as a RoPE
// base in either kind; integers beyond 2^53 are rounded. ok is false for all
// that is no number.
func (v Value) Float() (x float64, ok bool) {
	switch v.typ {
	case Float32:
		return float64(math.Float32frombits(uint32(v.bits))), true
	case Float64:
		return math.Float64frombits(v.bits), true
	case Uint64:
		return float64(v.bits), true
	}
	n, ok := v.Int()
	return float64(n), ok
}

// Bool returns a bool; ok is false for all else.
func (v Value) Bool() (b, ok bool) { return v.bits != 0, v.typ == Bool }

// Str returns a string; ok is false for all else. The format asks for UTF-8
// and nothing enforces it.
func (v Value) Str() (s string, ok bool) {
	s, ok = v.ref.(string)
	return s, ok
}
