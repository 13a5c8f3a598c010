package main

import (
	"encoding/binary"
	"errors"
	"io"
)

// A cursor reads a part of a module and writes it anew. After an error it reads zeros.
type cursor struct {
	in  []byte
	out []byte
	err error
}

func (c *cursor) fail(text string) {
	if c.err == nil {
		c.err = errors.New(text)
	}
	c.in = nil
}

func (c *cursor) more() bool { return len(c.in) > 0 }

// take reads n bytes that are not written.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.in)) {
		c.fail(io.ErrUnexpectedEOF.Error())
		return nil
	}
	bytes := c.in[:n]
	c.in = c.in[n:]
	return bytes
}

// takeNumber reads an unsigned number (LEB128) that is not written.
func (c *cursor) takeNumber() uint64 {
	v, n := binary.Uvarint(c.in)
	if n <= 0 {
		c.fail("a number without an end")
		return 0
	}
	c.in = c.in[n:]
	return v
}

// takeBlock reads bytes behind their number that are not written.
func (c *cursor) takeBlock() []byte { return c.take(c.takeNumber()) }

func (c *cursor) put(bytes ...byte) { c.out = append(c.out, bytes...) }

func (c *cursor) putNumber(v uint64) { c.out = binary.AppendUvarint(c.out, v) }

func (c *cursor) putBlock(bytes []byte) {
	c.putNumber(uint64(len(bytes)))
	c.put(bytes...)
}

// copy reads and writes n bytes.
func (c *cursor) copy(n uint64) []byte {
	bytes := c.take(n)
	c.put(bytes...)
	return bytes
}

func (c *cursor) byte() byte {
	if b := c.copy(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) number() uint64 {
	v := c.takeNumber()
	c.putNumber(v)
	return v
}

// signed copies a signed number (LEB128), which nobody asks for.
func (c *cursor) signed() {
	for c.byte() >= 0x80 && c.more() {
	}
}

func (c *cursor) block() []byte {
	bytes := c.takeBlock()
	c.putBlock(bytes)
	return bytes
}

// list copies a vector, whose elements each copies, and adds more to its number for those that the
// caller writes behind it.
func (c *cursor) list(more uint64, each func()) (n uint64) {
	n = c.takeNumber()
	c.putNumber(n + more)
	for i := uint64(0); i < n && c.err == nil; i++ {
		each()
	}
	return n
}
