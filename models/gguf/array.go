package gguf

import "math"

// integer lists the element types that Ints widens.
type integer interface {
	~uint8 | ~int8 | ~uint16 | ~int16 | ~uint32 | ~int32 | ~uint64 | ~int64
}

type number interface {
	integer | ~float32 | ~float64
}

// Len returns the number of elements of an array, and 0 for anything else.
func (v Value) Len() int {
	switch a := v.ref.(type) {
	case []uint8:
		return len(a)
	case []int8:
		return len(a)
	case []uint16:
		return len(a)
	case []int16:
		return len(a)
	case []uint32:
		return len(a)
	case []int32:
		return len(a)
	case []uint64:
		return len(a)
	case []int64:
		return len(a)
	case []float32:
		return len(a)
	case []float64:
		return len(a)
	case []bool:
		return len(a)
	case []string:
		return len(a)
	case []Value:
		return len(a)
	}
	return 0
}

// Index returns element i of an array. It panics if v is no array or i is out
// of range, as indexing a slice does.
func (v Value) Index(i int) Value {
	var e any
	switch a := v.ref.(type) {
	case []uint8:
		e = a[i]
	case []int8:
		e = a[i]
	case []uint16:
		e = a[i]
	case []int16:
		e = a[i]
	case []uint32:
		e = a[i]
	case []int32:
		e = a[i]
	case []uint64:
		e = a[i]
	case []int64:
		e = a[i]
	case []float32:
		e = a[i]
	case []float64:
		e = a[i]
	case []bool:
		e = a[i]
	case []string:
		e = a[i]
	case []Value:
		return a[i]
	default:
		panic("gguf: Index of a value that is no array")
	}
	// Every case above is a type that newValue takes.
	elem, _ := newValue(e)
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
