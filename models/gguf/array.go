package gguf

import (
	"math"
	"reflect"
)

// integer lists the element types that Ints widens.
type integer interface {
	~uint8 | ~int8 | ~uint16 | ~int16 | ~uint32 | ~int32 | ~uint64 | ~int64
}

type number interface {
	integer | ~float32 | ~float64
}

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
	switch a := v.ref.(type) {
	case []uint8:
		return convert[int64](a), true
	case []int8:
		return convert[int64](a), true
	case []uint16:
		return convert[int64](a), true
	case []int16:
		return convert[int64](a), true
	case []uint32:
		return convert[int64](a), true
	case []int32:
		return convert[int64](a), true
	case []int64:
		return a, true
	case []uint64:
		for _, x := range a {
			if x > math.MaxInt64 {
				return nil, false
			}
		}
		return convert[int64](a), true
	}
	return nil, false
}

// Floats returns an array of numbers, integers included as in Float; ok is
// false for all else.
func (v Value) Floats() (a []float64, ok bool) {
	switch a := v.ref.(type) {
	case []float32:
		return convert[float64](a), true
	case []float64:
		return a, true
	case []uint64:
		return convert[float64](a), true
	}
	n, ok := v.Ints()
	if !ok {
		return nil, false
	}
	return convert[float64](n), true
}

func convert[To, From number](a []From) []To {
	out := make([]To, len(a))
	for i, x := range a {
		out[i] = To(x)
	}
	return out
}
