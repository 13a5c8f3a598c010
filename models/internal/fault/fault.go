// Package fault carries errors out of deep descents: a parser panics with a [Fault] where it finds
// one, and its entry turns that back into an error, as text/template and encoding/gob do inside.
// So each level says what it reads, and not after every call that the call may fail. No Fault
// leaves the package in which it began, and other panics pass untouched.
package fault

import "fmt"

// Fault is an error on its way out.
type Fault struct{ error }

// Unwrap returns the error.
func (f Fault) Unwrap() error { return f.error }

// New returns a Fault with a message, which may wrap errors as fmt.Errorf's.
func New(format string, args ...any) Fault { return Fault{fmt.Errorf(format, args...)} }

// Of returns err, which is not nil, as a Fault.
func Of(err error) Fault { return Fault{err} }

// Check panics with err unless it is nil.
func Check(err error) {
	if err != nil {
		panic(Of(err))
	}
}

// Catch sets err to the Fault that ends the function which defers it.
func Catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case Fault:
		*err = r.error
	default:
		panic(r)
	}
}

// Try runs f and returns the Fault that ends it, nil if none does.
func Try(f func()) (err error) {
	defer Catch(&err)
	f()
	return nil
}

// Within says where a Fault happened that passes the function which defers it.
func Within(where func() string) {
	switch r := recover().(type) {
	case nil:
	case Fault:
		panic(New("%s: %w", where(), r.error))
	default:
		panic(r)
	}
}
