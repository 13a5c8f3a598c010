package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
)

// header is what the fixed part and the head of a file say.
type header struct {
	Snapshot        // without Embeddings and State
	size     int64  // of the file
	body     int64  // where the embeddings begin
	floats   []int  // of embeddings, for each of Keys
	state    int    // size
	bodySum  uint32 // of what follows the head
	sum      uint32 // of the fixed part and the head
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Errorf(format, args...))
}

// readAll reads len(b) bytes at off, which the file should have.
func readAll(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return damaged("it ends at byte %d, while it was read", off+int64(n))
	}
	return err
}

// readHeader reads and checks all but the embeddings and the state of a file of the given size.
// Memory is allocated in proportion to the bytes that are there, whatever they claim.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	var fixed [fixedSize]byte
	got := fixed[:min(size, fixedSize)]
	if err := readAll(r, got, 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if len(got) < 12 || string(got[:8]) != magic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrForeign)
	}
	if v := le.Uint32(got[8:]); v != version {
		return nil, fmt.Errorf("%w: version %d of the format, where this program knows %d",
			ErrForeign, v, version)
	}
	if size < fixedSize || size > math.MaxInt {
		return nil, damaged("a file of %d bytes", size)
	}
	n := int64(le.Uint32(fixed[12:]))
	if n > size-fixedSize {
		return nil, damaged("a head of %d bytes in a file of %d", n, size)
	}
	head := make([]byte, fixedSize+n)
	if err := readAll(r, head, 0); err != nil {
		return nil, err
	}
	h := &header{size: size, body: fixedSize + n, bodySum: le.Uint32(head[bodySumOffset:]),
		sum: le.Uint32(head[sumOffset:])}
	if headSum(head) != h.sum {
		return nil, damaged("the checksum of the head differs")
	}
	h.Saved = time.Unix(0, int64(le.Uint64(head[16:])))
	if err := h.parse(head[fixedSize:], le.Uint64(head[24:])); err != nil {
		return nil, err
	}
	return h, nil
}

// parse reads the head, which is followed by embeddings and a state of the given size.
func (h *header) parse(head []byte, state uint64) error {
	c := &cursor{b: head}
	h.Model = c.string(maxModel)
	h.Name = c.string(maxName)
	left := uint64(h.size - h.body) // what embeddings and state may still take
	if state == 0 || state > left {
		return damaged("a state of %d bytes in a file that has %d left", state, left)
	}
	left -= state
	h.state = int(state)
	keys := c.count(len(kv.Key{}) + 8)
	h.Keys = make([]kv.Key, keys)
	for i := range h.Keys {
		copy(h.Keys[i][:], c.next(len(kv.Key{})))
	}
	h.floats = make([]int, keys)
	for i := range h.floats {
		n := c.u64()
		if n > left/4 {
			return damaged("picture %d has %d embeddings in a file that has %d bytes left", i+1, n,
				left)
		}
		left -= 4 * n
		h.floats[i] = int(n)
	}
	h.Prompt = c.prompt()
	switch {
	case c.short:
		return damaged("the head is too short for what it says")
	case len(c.b) > 0:
		return damaged("%d bytes behind the head", len(c.b))
	case left > 0:
		return damaged("%d bytes behind the embeddings", left)
	}
	h.State = []byte{0} // check wants one; the size of the real one is right
	err := h.check()
	h.State = nil
	if err != nil {
		return damaged("%w", err)
	}
	return nil
}

// cursor reads a head. Past its end it returns zeros, and short is set.
type cursor struct {
	b     []byte
	short bool
}

// next returns the next n bytes, n at least 0.
func (c *cursor) next(n int) []byte {
	if n > len(c.b) {
		c.b, c.short = nil, true
		return make([]byte, min(n, 64)) // what callers take without a count is no longer
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) u32() uint32 { return binary.LittleEndian.Uint32(c.next(4)) }
func (c *cursor) u64() uint64 { return binary.LittleEndian.Uint64(c.next(8)) }

// count reads how many elements of at least size bytes follow, 0 if there is no room for them.
func (c *cursor) count(size int) int {
	n := c.u32()
	if uint64(n) > uint64(len(c.b)/size) {
		c.b, c.short = nil, true
		return 0
	}
	return int(n)
}

// string reads a string of at most limit bytes.
func (c *cursor) string(limit int) string {
	n := c.count(1)
	if n > limit {
		c.b, c.short = nil, true
		return ""
	}
	return string(c.next(n))
}

func (c *cursor) prompt() kv.Prompt {
	n := c.count(12)
	p := kv.Prompt{Items: make([]kv.Item, n), Pos: make([]llama.Pos, n)}
	for i := range p.Items {
		p.Items[i].Picture = c.u32()
	}
	for i := range p.Items {
		p.Items[i].Value = int32(c.u32())
	}
	for i := range p.Pos {
		p.Pos[i] = llama.Pos(c.u32())
	}
	p.Next = llama.Pos(c.u32())
	if w := c.count(8); w > 0 {
		p.Whole = make([][2]int, w)
		for i := range p.Whole {
			p.Whole[i] = [2]int{int(c.u32()), int(c.u32())}
		}
	}
	return p
}

// readSnapshot reads a whole file of the given size.
func readSnapshot(r io.ReaderAt, size int64, model string) (*Snapshot, *header, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, nil, err
	}
	if h.Model != model {
		return nil, nil, ErrModel
	}
	s := h.Snapshot
	sum, off := uint32(0), h.body
	read := func(b []byte) error {
		err := readAll(r, b, off)
		off += int64(len(b))
		sum = crc32.Update(sum, castagnoli, b)
		return err
	}
	buf := make([]byte, chunkSize)
	for i, k := range s.Keys {
		if h.floats[i] == 0 {
			continue
		}
		if s.Embeddings == nil {
			s.Embeddings = map[kv.Key][]float32{}
		}
		rows := make([]float32, h.floats[i])
		s.Embeddings[k] = rows
		for len(rows) > 0 {
			n := min(len(rows), chunkSize/4)
			if err := read(buf[:4*n]); err != nil {
				return nil, nil, err
			}
			if _, err := binary.Decode(buf[:4*n], binary.LittleEndian, rows[:n]); err != nil {
				return nil, nil, err
			}
			rows = rows[n:]
		}
	}
	s.State = make([]byte, h.state)
	for rest := s.State; len(rest) > 0; {
		n := min(len(rest), chunkSize)
		if err := read(rest[:n]); err != nil {
			return nil, nil, err
		}
		rest = rest[n:]
	}
	if sum != h.bodySum {
		return nil, nil, damaged("the checksum differs")
	}
	return &s, h, nil
}
