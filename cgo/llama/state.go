package llama

// #include "shim.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// StateFlags choose what a sequence state holds.
type StateFlags uint32

const (
	// StatePartial takes only what cannot be recomputed from the rest: sliding-window cells and
	// recurrent state.
	StatePartial StateFlags = C.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
)

// checkState checks what all state calls have in common.
func (c *Context) checkState(seq Seq, flags StateFlags) error {
	if _, err := c.Memory().get(seq); err != nil {
		return err
	}
	if flags&^StatePartial != 0 {
		return fmt.Errorf("llama: unknown StateFlags %#x", uint32(flags))
	}
	return c.model.Lost()
}

// StateSize is the number of bytes that SeqState needs for seq.
func (c *Context) StateSize(seq Seq, flags StateFlags) (int, error) {
	if err := c.checkState(seq, flags); err != nil {
		return 0, err
	}
	var n C.size_t
	var eb errBuf
	if !bool(C.shim_state_size(c.c, C.llama_seq_id(seq), C.uint32_t(flags), &n, eb.ptr(),
		eb.cap())) {
		return 0, fmt.Errorf("llama: state of sequence %d: %s", seq, eb.String())
	}
	return stateHeader + int(n), nil
}

// stateHeader stands before libllama's own bytes in a state. libllama believes positions and counts
// that it reads, so damage must be found before it sees them: magic, the length of the rest, its
// CRC-32C (Castagnoli), flags.
const (
	stateMagic  = "EYS1"
	stateHeader = len(stateMagic) + 8 + 4 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealState fills in the header of a state whose body is in place.
func sealState(data []byte, flags StateFlags) {
	body := data[stateHeader:]
	copy(data, stateMagic)
	binary.LittleEndian.PutUint64(data[4:], uint64(len(body)))
	binary.LittleEndian.PutUint32(data[12:], crc32.Checksum(body, castagnoli))
	binary.LittleEndian.PutUint32(data[16:], uint32(flags))
}

// openState checks the header and returns the body.
func openState(data []byte, flags StateFlags) ([]byte, error) {
	if len(data) <= stateHeader || string(data[:4]) != stateMagic {
		return nil, errors.New("not a state")
	}
	body := data[stateHeader:]
	switch {
	case binary.LittleEndian.Uint64(data[4:]) != uint64(len(body)):
		return nil, fmt.Errorf("%d bytes where %d should be", len(body),
			binary.LittleEndian.Uint64(data[4:]))
	case binary.LittleEndian.Uint32(data[12:]) != crc32.Checksum(body, castagnoli):
		return nil, errors.New("damaged: the checksum differs")
	case binary.LittleEndian.Uint32(data[16:]) != uint32(flags):
		return nil, errors.New("made with other StateFlags")
	}
	return body, nil
}

// SeqState copies the cells of one sequence out of the cache, with a checksum.
func (c *Context) SeqState(seq Seq, flags StateFlags) ([]byte, error) {
	size, err := c.StateSize(seq, flags)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	body := data[stateHeader:]
	var n C.size_t
	var eb errBuf
	ok := C.shim_state_get(c.c, C.llama_seq_id(seq), C.uint32_t(flags),
		(*C.uint8_t)(unsafe.Pointer(&body[0])), C.size_t(len(body)), &n, eb.ptr(), eb.cap())
	if err := eb.err(ok, fmt.Sprintf("state of sequence %d", seq)); err != nil {
		return nil, c.model.orLost(err, eb.String())
	}
	if err := c.model.Lost(); err != nil {
		return nil, err
	}
	if n == 0 || int(n) > len(body) {
		return nil, fmt.Errorf("llama: the state of sequence %d could not be read", seq)
	}
	data = data[:stateHeader+int(n)]
	sealState(data, flags)
	return data, nil
}

// SetSeqState replaces the cells of seq by a state that SeqState returned, from this context or
// from one of the same model and cache types. A state that is damaged or does not fit leaves seq
// empty and is an error.
func (c *Context) SetSeqState(seq Seq, data []byte, flags StateFlags) error {
	if err := c.checkState(seq, flags); err != nil {
		return err
	}
	if flags&StatePartial == 0 { // libllama leaves the old cells where the state has none
		if err := c.Memory().SeqRemove(seq, -1, -1); err != nil {
			return err
		}
	}
	body, err := openState(data, flags)
	if err != nil {
		return fmt.Errorf("llama: the state for sequence %d is %w", seq, err)
	}
	logged := ggml.CollectErrors()
	var n C.size_t
	var eb errBuf
	ok := C.shim_state_set(c.c, C.llama_seq_id(seq), C.uint32_t(flags),
		(*C.uint8_t)(unsafe.Pointer(&body[0])), C.size_t(len(body)), &n, eb.ptr(), eb.cap())
	if bool(ok) && int(n) == len(body) {
		logged.Stop()
		return c.model.Lost()
	}
	_ = c.Memory().SeqRemove(seq, -1, -1)
	return c.model.orLost(logged.Wrap(fmt.Errorf(
		"llama: the state for sequence %d is of another model or cache type %s", seq, &eb)),
		eb.String())
}
