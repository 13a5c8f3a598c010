package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// made is a module of one function, (i32) -> i32, that is called run:
//
//	global.set 0 (i32.const 0)
//	loop
//	  global.set 0 (i32.add (global.get 0) (i32.const 1))
//	  br_if 0 (i32.lt_u (global.get 0) (local.get 0))
//	end
//	call 0 (global.get 0)                              ;; imported: it returns what it is given
//
// It has a table with the function and a start function that does nothing, whose numbers move.
var made = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x09\x02\x60\x01\x7f\x01\x7f\x60\x00\x00" + // types
	"\x02\x0a\x01\x04host\x01f\x00\x00" + // imports
	"\x03\x03\x02\x00\x01" + // types of functions
	"\x04\x04\x01\x70\x00\x01" + // a table
	"\x06\x06\x01\x7f\x01\x41\x00\x0b" + // a global
	"\x07\x07\x01\x03run\x00\x01" + // exports
	"\x08\x01\x02" + // the start function
	"\x09\x07\x01\x00\x41\x00\x0b\x01\x01" + // elements
	"\x0a\x20\x02" + // code
	"\x1b\x00\x41\x00\x24\x00\x03\x40\x23\x00\x41\x01\x6a\x24\x00\x23\x00\x20\x00\x49\x0d\x00\x0b" +
	"\x23\x00\x10\x00\x0b" +
	"\x02\x00\x0b")

// run calls run of a module with ticks, and says how often they came.
func run(t *testing.T, call imported, rounds uint64, interval int32, most int) (got uint64,
	ticks int, err error) {
	t.Helper()
	program, err := insertTicks(made, call, interval)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	host := func(name, function string, f func(stack []uint64), types ...[]api.ValueType) {
		_, err := r.NewHostModuleBuilder(name).NewFunctionBuilder().WithGoFunction(api.GoFunc(
			func(_ context.Context, stack []uint64) { f(stack) }), types[0], types[1]).
			Export(function).Instantiate(ctx)
		if err != nil {
			t.Fatal(err)
		}
	}
	number := []api.ValueType{api.ValueTypeI32}
	host("host", "f", func([]uint64) {}, number, number)
	result := []api.ValueType(nil)
	if call.result {
		result = number
	}
	host(call.module, call.name, func([]uint64) {
		if ticks++; ticks > most {
			panic(errors.New("enough"))
		}
	}, nil, result)
	m, err := r.Instantiate(ctx, program)
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.ExportedFunction("run").Call(ctx, rounds)
	if err != nil {
		return 0, ticks, err
	}
	return out[0], ticks, nil
}

func TestTicksComeAfterSoManyRounds(t *testing.T) {
	for _, call := range []imported{{module: "a", name: "b"}, {module: "a", name: "b",
		result: true}} {
		for _, interval := range []int32{1, 63, 64, 100, 8191, 8192, 1 << 20} {
			got, ticks, err := run(t, call, 20_000, interval, 1<<30)
			if want := 20_000 / int(interval); got != 20_000 || ticks != want || err != nil {
				t.Errorf("every %d: %d, %d ticks instead of %d, %v", interval, got, ticks, want,
					err)
			}
		}
	}
}

func TestTicksEndALoopWithoutAnEnd(t *testing.T) {
	if _, ticks, err := run(t, imported{module: "a", name: "b"}, 1<<32-1, 1000, 5); err == nil ||
		ticks != 6 {
		t.Errorf("%d ticks, %v", ticks, err)
	}
}

// A module that is cut off, or that has what is not known, is an error.
func TestModulesThatAreNotUnderstoodAreRefused(t *testing.T) {
	call := imported{module: "a", name: "b"}
	for n := range made {
		if _, err := insertTicks(made[:n], call, 1); err == nil {
			t.Errorf("the first %d bytes are taken for a module", n)
		}
	}
	tail := bytes.Replace(made, []byte("\x10\x00\x0b"), []byte("\x12\x00\x0b"), 1)
	if _, err := insertTicks(tail, call, 1); err == nil || bytes.Equal(tail, made) {
		t.Error("a tail call is taken")
	}
}
