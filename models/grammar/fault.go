package grammar

import "fmt"

// fault is an error on its way out. The parsers and the converter panic with one, as the parsers
// of text/template and encoding/json do, so that their descent of many levels says what it does
// and not after each call that it may fail. [caught] ends the way.
type fault struct{ error }

func (f fault) Unwrap() error { return f.error }

func faultf(format string, args ...any) fault { return fault{fmt.Errorf(format, args...)} }

// try returns the fault that ends f, nil if there is none.
func try(f func()) (err error) {
	defer caught(&err)
	f()
	return nil
}

// caught returns the fault that ends a function as its error; the function defers it.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case fault:
		*err = r.error
	default:
		panic(r)
	}
}
