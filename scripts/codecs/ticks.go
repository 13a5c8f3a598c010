package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sections of a WebAssembly module (core specification 2.0, 5.5), and forms of types.
const (
	customSection  = 0
	typeSection    = 1
	importSection  = 2
	globalSection  = 6
	exportSection  = 7
	startSection   = 8
	elementSection = 9
	codeSection    = 10

	functionForm = 0x60
	int32Form    = 0x7f
)

// imported is a function that a module imports. It takes nothing.
type imported struct {
	module, name string
	result       bool // it returns an i32, which counts for nothing
}

// A ticker puts the calls into a module.
type ticker struct {
	call            imported
	interval        int32
	signature       uint64 // the type of the function
	function        uint64 // the number of the new one; others from it on move up
	counter         uint64 // the global that counts the rounds
	importedGlobals uint64
}

// insertTicks returns a module whose loops, all together, call a function after every so many
// rounds.
//
// The program of a decoder runs in machine code that nothing outside can interrupt: neither a
// caller that gives up, nor Go's garbage collector, for which all goroutines then wait. The calls
// that wazero itself puts into loops for that (WithCloseOnContextDone) are made in every round, and
// take most of the time.
func insertTicks(program []byte, call imported, interval int32) ([]byte, error) {
	const header = "\x00asm\x01\x00\x00\x00"
	if !bytes.HasPrefix(program, []byte(header)) {
		return nil, errors.New("this is no WebAssembly module")
	}
	t := &ticker{call: call, interval: interval}
	seen := map[byte]bool{}
	out := []byte(header)
	in := &cursor{in: program[len(header):]}
	for in.more() {
		id := in.take(1)[0]
		section := &cursor{in: in.takeBlock()}
		if in.err != nil {
			return nil, in.err
		}
		if id == customSection { // names and the like, whose numbers would be wrong
			continue
		}
		seen[id] = true
		t.section(id, section)
		if section.more() {
			section.fail("something stands behind its end")
		}
		if section.err != nil {
			return nil, fmt.Errorf("section %d: %w", id, section.err)
		}
		out = binary.AppendUvarint(append(out, id), uint64(len(section.out)))
		out = append(out, section.out...)
	}
	for _, id := range []byte{typeSection, importSection, globalSection, codeSection} {
		if !seen[id] {
			return nil, fmt.Errorf("the module has no section %d", id)
		}
	}
	return out, in.err
}

// section writes a section anew.
func (t *ticker) section(id byte, c *cursor) {
	switch id {
	case typeSection:
		t.addType(c)
	case importSection:
		t.addImport(c)
	case globalSection:
		n := c.list(1, func() { c.byte(); c.byte(); t.expression(c) })
		t.counter = t.importedGlobals + n
		c.put(int32Form, 1)
		t.constant(c, t.interval)
		c.put(end)
	case exportSection:
		c.list(0, func() {
			c.block() // its name
			if c.byte() == 0 {
				t.moved(c)
			} else {
				c.number()
			}
		})
	case startSection:
		t.moved(c)
	case elementSection:
		c.list(0, func() {
			if c.number() != 0 {
				c.fail("elements of a kind that is not known here")
			}
			t.expression(c)
			c.list(0, func() { t.moved(c) })
		})
	case codeSection:
		c.list(0, func() {
			body := &cursor{in: c.takeBlock()}
			body.list(0, func() { body.number(); body.byte() }) // variables
			t.expression(body)
			if body.more() {
				body.fail("something stands behind a function's end")
			}
			c.putBlock(body.out)
			if body.err != nil && c.err == nil {
				c.err = body.err
			}
		})
	default:
		c.copy(uint64(len(c.in)))
	}
}

// addType adds the type of the new function.
func (t *ticker) addType(c *cursor) {
	t.signature = c.list(1, func() {
		if c.byte() != functionForm {
			c.fail("a type that is no function's")
		}
		c.block() // what it takes: a byte for each, as long as there are no references to types
		c.block()
	})
	c.put(functionForm, 0)
	if t.call.result {
		c.putBlock([]byte{int32Form})
	} else {
		c.put(0)
	}
}

// addImport adds the new function behind all others that are imported.
func (t *ticker) addImport(c *cursor) {
	c.list(1, func() {
		c.block()
		c.block()
		switch c.byte() {
		case 0: // a function
			c.number()
			t.function++
		case 1: // a table
			c.byte()
			limits(c)
		case 2: // memory
			limits(c)
		case 3: // a global
			c.byte()
			c.byte()
			t.importedGlobals++
		case 4: // a kind of exceptions
			c.byte()
			c.number()
		default:
			c.fail("an import of a kind that is not known here")
		}
	})
	c.putBlock([]byte(t.call.module))
	c.putBlock([]byte(t.call.name))
	c.put(0)
	c.putNumber(t.signature)
}

// limits copies how small and how large something may be.
func limits(c *cursor) {
	most := c.number()&1 != 0
	c.number()
	if most {
		c.number()
	}
}

// moved copies the number of a function.
func (t *ticker) moved(c *cursor) {
	n := c.takeNumber()
	if n >= t.function {
		n++
	}
	c.putNumber(n)
}
