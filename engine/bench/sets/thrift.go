package sets

import (
	"encoding/binary"
	"fmt"
)

// compact walks values in Thrift's compact protocol, which Parquet writes its tables and page
// headers in, and checks that no list or text claims more than there is: readers reserve what is
// claimed. It follows
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
type compact struct {
	data     []byte
	at       int
	elements int // of lists, so far
	// number, if not nil, is told each number with the ids of the fields that lead to it, lists
	// left out.
	number func(path []int, value int64)
	path   []int
}

// The bounds of a table: elements of all its lists, and how deep it nests.
const (
	maxElements = 1 << 20
	maxNesting  = 32
)

var errThrift = fmt.Errorf("%w: its table is damaged", ErrSet)

// structure walks a structure to its end.
func (c *compact) structure() error {
	if len(c.path) >= maxNesting {
		return errThrift
	}
	id := 0
	c.path = append(c.path, 0)
	defer func() { c.path = c.path[:len(c.path)-1] }()
	for {
		b, err := c.byte()
		if err != nil {
			return err
		}
		if b == 0 {
			return nil
		}
		if delta := int(b >> 4); delta != 0 {
			id += delta
		} else {
			n, err := c.zigzag()
			if err != nil {
				return err
			}
			id = int(int16(n))
		}
		c.path[len(c.path)-1] = id
		if err := c.value(b&15, false); err != nil {
			return err
		}
	}
}

// value walks a value of a type. Booleans of lists take a byte, those of structures none.
func (c *compact) value(kind byte, inList bool) error {
	switch kind {
	case 1, 2:
		if inList {
			return c.skip(1)
		}
		return nil
	case 3:
		return c.skip(1)
	case 4, 5, 6:
		n, err := c.zigzag()
		if err == nil && c.number != nil {
			c.number(c.path, n)
		}
		return err
	case 7:
		return c.skip(8)
	case 8:
		n, err := c.varint()
		if err != nil || n > uint64(len(c.data)-c.at) {
			return errThrift
		}
		return c.skip(int(n))
	case 9, 10:
		return c.list()
	case 12:
		return c.structure()
	}
	return errThrift // maps do not occur in Parquet
}

// list walks a list or a set.
func (c *compact) list() error {
	b, err := c.byte()
	if err != nil {
		return err
	}
	n := uint64(b >> 4)
	if n == 15 {
		if n, err = c.varint(); err != nil {
			return err
		}
	}
	if n > uint64(len(c.data)-c.at) || n > uint64(maxElements-c.elements) {
		return errThrift
	}
	c.elements += int(n)
	if len(c.path) >= maxNesting {
		return errThrift
	}
	c.path = append(c.path, -1)
	defer func() { c.path = c.path[:len(c.path)-1] }()
	for range n {
		if err := c.value(b&15, true); err != nil {
			return err
		}
	}
	return nil
}

func (c *compact) byte() (byte, error) {
	if c.at >= len(c.data) {
		return 0, errThrift
	}
	c.at++
	return c.data[c.at-1], nil
}

func (c *compact) skip(n int) error {
	if n > len(c.data)-c.at {
		return errThrift
	}
	c.at += n
	return nil
}

func (c *compact) varint() (uint64, error) {
	n, size := binary.Uvarint(c.data[c.at:])
	if size <= 0 {
		return 0, errThrift
	}
	c.at += size
	return n, nil
}

func (c *compact) zigzag() (int64, error) {
	n, err := c.varint()
	return int64(n>>1) ^ -int64(n&1), err
}
