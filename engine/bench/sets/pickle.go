package sets

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// The bounds of a pickle, in bytes and in values.
const (
	maxPickle       = 128 << 20
	maxPickleValues = 16 << 20
)

var errPickle = fmt.Errorf("%w: it is a damaged pickle, or holds other things than lists, "+
	"dictionaries, texts and numbers", ErrSet)

// mark is where a list of values begins on a pickle's stack.
type mark struct{}

// pickled is a list or dictionary that is being made: others may refer to it before it is whole.
type pickled struct {
	list   []any
	object map[string]any

	begun bool // to be made plain
	plain any  // what came of it
}

// pickleReader reads what Python's pickle writes of plain values. It knows no operation that names
// a class or calls anything. The operations are those of Lib/pickletools.py of CPython.
type pickleReader struct {
	r      *bufio.Reader
	stack  []any
	memo   map[int]any
	values int
}

// readPickle reads a value: a string, int64, float64, bool, nil, []any or map[string]any.
func readPickle(in io.Reader) (any, error) {
	p := &pickleReader{r: bufio.NewReaderSize(io.LimitReader(in, maxPickle), 1<<16),
		memo: map[int]any{}}
	for {
		op, err := p.r.ReadByte()
		if err != nil {
			return nil, errPickle
		}
		if op == '.' {
			if len(p.stack) != 1 {
				return nil, errPickle
			}
			return plainValue(p.stack[0], 0)
		}
		if err := p.step(op); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errPickle
			}
			return nil, err
		}
		if p.values++; p.values > maxPickleValues {
			return nil, fmt.Errorf("%w: the pickle holds too much", ErrSet)
		}
	}
}

// plainValue takes the wrappers off, once of each value, however many refer to it. A value that
// holds itself is an error.
func plainValue(v any, depth int) (out any, err error) {
	p, ok := v.(*pickled)
	if !ok {
		if _, ok := v.(mark); ok {
			return nil, errPickle
		}
		return v, nil
	}
	if p.begun || depth > maxNesting {
		if p.plain == nil {
			return nil, errPickle
		}
		return p.plain, nil
	}
	p.begun = true
	if p.object != nil {
		made := make(map[string]any, len(p.object))
		for k, x := range p.object {
			if made[k], err = plainValue(x, depth+1); err != nil {
				return nil, err
			}
		}
		p.plain = made
		return made, nil
	}
	list := make([]any, len(p.list))
	for i, x := range p.list {
		if list[i], err = plainValue(x, depth+1); err != nil {
			return nil, err
		}
	}
	p.plain = list
	return list, nil
}

func (p *pickleReader) push(v any) error { p.stack = append(p.stack, v); return nil }

func (p *pickleReader) pop() (v any, err error) {
	if len(p.stack) == 0 {
		return nil, errPickle
	}
	v = p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	return v, nil
}

// fromMark takes what lies above the last mark, and the mark.
func (p *pickleReader) fromMark() ([]any, error) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if _, ok := p.stack[i].(mark); ok {
			list := append([]any{}, p.stack[i+1:]...)
			p.stack = p.stack[:i]
			return list, nil
		}
	}
	return nil, errPickle
}

// top is the list or dictionary that lies on top.
func (p *pickleReader) top() (*pickled, error) {
	if n := len(p.stack); n > 0 {
		if c, ok := p.stack[n-1].(*pickled); ok {
			return c, nil
		}
	}
	return nil, errPickle
}

// number reads so many bytes as a little-endian number.
func (p *pickleReader) number(bytes int) (n uint64, err error) {
	var b [8]byte
	_, err = io.ReadFull(p.r, b[:bytes])
	return binary.LittleEndian.Uint64(b[:]), err
}

// bytes reads so many bytes. Memory grows with what is there, not with what is claimed.
func (p *pickleReader) bytes(n uint64) (string, error) {
	if n > maxRecord {
		return "", errPickle
	}
	var b strings.Builder
	_, err := io.CopyN(&b, p.r, int64(n))
	return b.String(), err
}

// line reads to the end of a line.
func (p *pickleReader) line() (string, error) {
	line, err := p.r.ReadSlice('\n')
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), err
}

// step does one operation.
func (p *pickleReader) step(op byte) error {
	switch op {
	case 0x80: // protocol
		_, err := p.number(1)
		return err
	case 0x95: // length of a frame
		_, err := p.number(8)
		return err
	case '(':
		return p.push(mark{})
	case 'N':
		return p.push(nil)
	case 0x88, 0x89:
		return p.push(op == 0x88)
	case ']':
		return p.push(&pickled{})
	case '}':
		return p.push(&pickled{object: map[string]any{}})
	case ')':
		return p.push(&pickled{})
	case '0':
		_, err := p.pop()
		return err
	case 'p', 'g', 'q', 'r', 'h', 'j', 0x94:
		return p.remember(op)
	case 'I', 'L', 'F', 'S', 'V', 'K', 'M', 'J', 'G', 0x8a, 'X', 0x8c, 0x8d, 'T', 'U':
		v, err := p.scalar(op)
		if err != nil {
			return err
		}
		return p.push(v)
	}
	return p.collect(op)
}

// remember puts the top into the memory of values, or takes a value from there.
func (p *pickleReader) remember(op byte) error {
	var key uint64
	var err error
	switch op {
	case 'q', 'h':
		key, err = p.number(1)
	case 'r', 'j':
		key, err = p.number(4)
	case 0x94:
		key = uint64(len(p.memo))
	default:
		var text string
		if text, err = p.line(); err == nil {
			key, err = strconv.ParseUint(text, 10, 32)
		}
	}
	if err != nil || len(p.stack) == 0 && op != 'g' && op != 'h' && op != 'j' {
		return errPickle
	}
	if op == 'g' || op == 'h' || op == 'j' {
		v, ok := p.memo[int(key)]
		if !ok {
			return errPickle
		}
		return p.push(v)
	}
	p.memo[int(key)] = p.stack[len(p.stack)-1]
	return nil
}

// scalar reads a number or a text.
func (p *pickleReader) scalar(op byte) (any, error) {
	switch op {
	case 'K', 'M', 'J':
		n, err := p.number(map[byte]int{'K': 1, 'M': 2, 'J': 4}[op])
		if op == 'J' {
			return int64(int32(n)), err
		}
		return int64(n), err
	case 0x8a: // a number of up to 8 bytes
		size, err := p.number(1)
		if err != nil || size > 8 {
			return nil, errPickle
		}
		n, err := p.number(int(size))
		if size > 0 {
			shift := 64 - 8*size
			n = uint64(int64(n<<shift) >> shift)
		}
		return int64(n), err
	case 'G':
		var b [8]byte
		_, err := io.ReadFull(p.r, b[:])
		return math.Float64frombits(binary.BigEndian.Uint64(b[:])), err
	case 'X', 0x8c, 0x8d, 'T', 'U':
		n, err := p.number(map[byte]int{'X': 4, 0x8c: 1, 0x8d: 8, 'T': 4, 'U': 1}[op])
		if err != nil {
			return nil, err
		}
		return p.bytes(n)
	}
	text, err := p.line()
	if err != nil {
		return nil, errPickle
	}
	return parsePickled(op, text)
}

// parsePickled reads a number or a text of a line.
func parsePickled(op byte, text string) (any, error) {
	switch op {
	case 'S':
		list, err := pythonList("[" + text + "]")
		if err != nil || len(list) != 1 {
			return nil, errPickle
		}
		return list[0], nil
	case 'V':
		s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
		if err != nil {
			return text, nil // as it stands
		}
		return s, nil
	case 'F':
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, errPickle
		}
		return x, nil
	}
	if op == 'I' && (text == "00" || text == "01") {
		return text == "01", nil
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(text, "L"), 10, 64)
	if err != nil {
		return nil, errPickle
	}
	return n, nil
}

// collect does the operations that make lists and dictionaries.
func (p *pickleReader) collect(op byte) error {
	var list []any
	var err error
	switch op {
	case 'l', 't', 'd', 'e', 'u':
		list, err = p.fromMark()
	case 'a', 0x85:
		list, err = p.last(1)
	case 's', 0x86:
		list, err = p.last(2)
	case 0x87:
		list, err = p.last(3)
	default:
		return fmt.Errorf("%w (operation %#x)", errPickle, op)
	}
	if err != nil {
		return err
	}
	switch op {
	case 'l', 't', 0x85, 0x86, 0x87:
		return p.push(&pickled{list: list})
	case 'd':
		made := &pickled{object: map[string]any{}}
		if err := made.set(list); err != nil {
			return err
		}
		return p.push(made)
	}
	c, err := p.top()
	if err != nil {
		return err
	}
	if op == 's' || op == 'u' {
		return c.set(list)
	}
	c.list = append(c.list, list...)
	return nil
}

// last takes the last n values.
func (p *pickleReader) last(n int) ([]any, error) {
	list := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if list[i], err = p.pop(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// set puts keys and values, one after the other, into a dictionary.
func (c *pickled) set(list []any) error {
	if c.object == nil || len(list)%2 != 0 {
		return errPickle
	}
	for i := 0; i < len(list); i += 2 {
		key := textOf(list[i])
		if key == "" {
			return errPickle
		}
		c.object[key] = list[i+1]
	}
	return nil
}
