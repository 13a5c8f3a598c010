package main

import "encoding/binary"

// Instructions that are looked at or written (core specification 2.0, 5.4).
const (
	block        = 0x02
	loop         = 0x03
	ifTrue       = 0x04
	tryTable     = 0x1f // of the proposal for exceptions, as those from try to delegate
	try          = 0x06
	catch        = 0x07
	throw        = 0x08
	rethrow      = 0x09
	delegate     = 0x18
	end          = 0x0b
	br           = 0x0c
	brIf         = 0x0d
	brTable      = 0x0e
	call         = 0x10
	callIndirect = 0x11
	drop         = 0x1a
	selectOf     = 0x1c
	globalGet    = 0x23
	globalSet    = 0x24
	firstAccess  = 0x28 // of memory
	lastAccess   = 0x3e
	memorySize   = 0x3f
	memoryGrow   = 0x40
	int32Const   = 0x41
	int64Const   = 0x42
	float32Const = 0x43
	float64Const = 0x44
	int32IsZero  = 0x45
	int32Minus   = 0x6b
	lastPlain    = 0xc4
	nullOf       = 0xd0
	functionOf   = 0xd2
	moreCodes    = 0xfc
	vectorCodes  = 0xfd

	noResult = 0x40 // the type of a block
)

// expression copies instructions up to the end that is theirs, and puts ticks into loops.
func (t *ticker) expression(c *cursor) {
	for depth := 1; depth > 0 && c.err == nil; {
		switch op := c.byte(); op {
		case block, ifTrue, try:
			c.signed()
			depth++
		case loop:
			c.signed()
			t.tick(c)
			depth++
		case tryTable:
			c.signed()
			c.list(0, func() {
				if c.byte() < 2 {
					c.number() // the kind of exceptions
				}
				c.number()
			})
			depth++
		case end:
			depth--
		case delegate:
			c.number()
			depth--
		default:
			t.instruction(c, op)
		}
	}
}

// instruction copies what belongs to an instruction that begins and ends nothing.
func (t *ticker) instruction(c *cursor, op byte) {
	switch op {
	case call, functionOf:
		t.moved(c)
	case callIndirect:
		c.number()
		c.number()
	case brTable:
		c.list(0, func() { c.number() })
		c.number()
	case selectOf:
		c.list(0, func() { c.byte() })
	case br, brIf, catch, throw, rethrow, 0x20, 0x21, 0x22, globalGet, globalSet, 0x25, 0x26,
		memorySize, memoryGrow: // of labels, kinds of exceptions, variables, tables, memories
		c.number()
	case int32Const, int64Const:
		c.signed()
	case float32Const:
		c.copy(4)
	case float64Const:
		c.copy(8)
	case nullOf:
		c.byte()
	case moreCodes:
		bulk(c)
	case vectorCodes:
		vector(c)
	case 0x00, 0x01, 0x05, 0x0a, 0x0f, 0x19, drop, 0x1b, 0xd1:
	default:
		switch {
		case op >= firstAccess && op <= lastAccess:
			access(c)
		case op > float64Const && op <= lastPlain:
		default: // tail calls among them, which could make a loop without a loop
			c.fail("an instruction that is not known here")
		}
	}
}

// access copies what instructions for memory have: alignment and offset.
func access(c *cursor) {
	if c.number() >= 64 {
		c.fail("an access to another memory")
	}
	c.number()
}

// bulk copies what belongs to conversions that saturate, and to instructions for whole stretches.
func bulk(c *cursor) {
	switch op := c.number(); {
	case op < 8: // conversions
	case op == 8 || op == 10 || op == 12 || op == 14:
		c.number()
		c.number()
	case op < 18:
		c.number()
	default:
		c.fail("an instruction that is not known here")
	}
}

// vector copies what belongs to instructions for vectors.
func vector(c *cursor) {
	switch op := c.number(); {
	case op < 12, op == 92, op == 93:
		access(c)
	case op == 12, op == 13: // a constant, a shuffle
		c.copy(16)
	case op > 20 && op < 35: // lanes
		c.byte()
	case op > 83 && op < 92: // lanes in memory
		access(c)
		c.byte()
	case op > 255: // relaxed
		c.fail("an instruction that is not known here")
	}
}

// tick counts a round of a loop and makes the call when it is time.
func (t *ticker) tick(c *cursor) {
	global := func(op byte) {
		c.put(op)
		c.putNumber(t.counter)
	}
	global(globalGet)
	t.constant(c, 1)
	c.put(int32Minus)
	global(globalSet)
	global(globalGet)
	c.put(int32IsZero, ifTrue, noResult)
	t.constant(c, t.interval)
	global(globalSet)
	c.put(call)
	c.putNumber(t.function)
	if t.call.result {
		c.put(drop)
	}
	c.put(end)
}

// constant writes a positive number as an instruction.
func (t *ticker) constant(c *cursor, v int32) {
	c.put(int32Const)
	// Of signed numbers the seventh bit of the last byte is the sign.
	for ; v >= 1<<6; v >>= 7 {
		c.put(byte(v) | 0x80)
	}
	c.out = binary.AppendUvarint(c.out, uint64(v))
}
