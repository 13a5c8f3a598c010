package gguf

import "reflect"

// Len returns the number of elements of an array, and 0 for anything else.
func (v Value) Len() int {
	if v.typ != Array {
		return 0
	}
	return reflect.ValueOf(v.ref).Len()
}

// Index returns element i of an array. It panics if v is no array or i is out
// of range, as indexing a slice does.
func (v Value) Index(i int) Value {
	if v.typ != Array {
		panic("gguf: Index of a value that is no array")
	}
	elem, _ := newValue(reflect.ValueOf(v.ref).Index(i).Interface()) // a type that it takes
	return elem
}

// Strings returns an array of strings; ok is false for all else.
func (v Value) Strings() (a []string, ok bool) {
	a, ok = v.ref.([]string)
	return a, ok
}

// Bools returns an array of bools; ok is false for all else.
func (v Value) Bools() (a []bool, ok bool) {
	a, ok = v.ref.([]bool)
	return a, ok
}

// Ints returns an array of integers of any width; ok is false for all else,
// and where an element does not fit in int64.
func (v Value) Ints() (a []int64, ok bool) {
	return each(v, Value.Int)
}

// Floats returns an array of numbers, integers included as in Float; ok is
// false for all else.
func (v Value) Floats() (a []float64, ok bool) {
	return each(v, Value.Float)
}

// each returns the elements of an array as get returns each; ok is false if it has one that it does
// not return, or v is no array.
func each[T int64 | float64](v Value, get func(Value) (T, bool)) (a []T, ok bool) {
	if a, ok := v.ref.([]T); ok {
		return a, true
	}
	if _, ok := get(Value{typ: v.ElemType()}); !ok || v.typ != Array {
		return nil, false // of another type, even if it is empty
	}
	a = make([]T, v.Len())
	for i := range a {
		if a[i], ok = get(v.Index(i)); !ok {
			return nil, false
		}
	}
	return a, true
}
