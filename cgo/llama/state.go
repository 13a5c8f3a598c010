package llama

// #include "shim.h"
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"
)

// StateFlags choose what a sequence state holds.
type StateFlags uint32

const (
	// StatePartial takes only what cannot be recomputed from the rest: sliding-window cells and recurrent state.
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
	return nil
}

// StateSize is the number of bytes that SeqState needs for seq.
func (c *Context) StateSize(seq Seq, flags StateFlags) (int, error) {
	if err := c.checkState(seq, flags); err != nil {
		return 0, err
	}
	var n C.size_t
	var eb errBuf
	if !bool(C.shim_state_size(c.c, C.llama_seq_id(seq), C.uint32_t(flags), &n, eb.ptr(), eb.cap())) {
		return 0, fmt.Errorf("llama: state of sequence %d: %s", seq, eb.String())
	}
	return int(n), nil
}

// SeqState copies the cells of one sequence out of the cache.
func (c *Context) SeqState(seq Seq, flags StateFlags) ([]byte, error) {
	size, err := c.StateSize(seq, flags)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, fmt.Errorf("llama: sequence %d has no state", seq)
	}
	data := make([]byte, size)
	var n C.size_t
	var eb errBuf
	ok := C.shim_state_get(c.c, C.llama_seq_id(seq), C.uint32_t(flags), (*C.uint8_t)(unsafe.Pointer(&data[0])), C.size_t(size), &n, eb.ptr(), eb.cap())
	if !bool(ok) {
		return nil, fmt.Errorf("llama: state of sequence %d: %s", seq, eb.String())
	}
	if n == 0 {
		return nil, fmt.Errorf("llama: the state of sequence %d could not be read", seq)
	}
	return data[:n], nil
}

// SetSeqState replaces the cells of seq by a state that SeqState returned, from this context or from one of the same model
// and cache types. A state that does not fit leaves seq empty and is an error.
func (c *Context) SetSeqState(seq Seq, data []byte, flags StateFlags) error {
	if err := c.checkState(seq, flags); err != nil {
		return err
	}
	if len(data) == 0 {
		return fmt.Errorf("llama: the state for sequence %d is empty", seq)
	}
	logged := captureErrors()
	var n C.size_t
	var eb errBuf
	ok := C.shim_state_set(c.c, C.llama_seq_id(seq), C.uint32_t(flags), (*C.uint8_t)(unsafe.Pointer(&data[0])), C.size_t(len(data)), &n, eb.ptr(), eb.cap())
	if bool(ok) && int(n) == len(data) {
		logged.stop()
		return nil
	}
	_ = c.Memory().SeqRemove(seq, -1, -1)
	err := fmt.Errorf("llama: the state for sequence %d is damaged or of another model", seq)
	if !bool(ok) {
		err = fmt.Errorf("%w: %s", err, eb.String())
	}
	return logged.wrap(err)
}

// SaveSeq writes the state of seq and its tokens to a file, whole or not at all.
func (c *Context) SaveSeq(path string, seq Seq, tokens []Token) error {
	if _, err := c.Memory().get(seq); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return fmt.Errorf("llama: save sequence %d: %w", seq, err)
	}
	tmp.Close()
	defer os.Remove(tmp.Name())
	var arena cArena
	defer arena.free()
	logged := captureErrors()
	var first *C.llama_token
	if len(tokens) > 0 {
		first = (*C.llama_token)(unsafe.Pointer(&tokens[0]))
	}
	var n C.size_t
	var eb errBuf
	if !bool(C.shim_state_save(c.c, arena.str(tmp.Name()), C.llama_seq_id(seq), first, C.size_t(len(tokens)), &n, eb.ptr(), eb.cap())) || n == 0 {
		return logged.wrap(fmt.Errorf("llama: cannot save sequence %d to %s %s", seq, path, &eb))
	}
	logged.stop()
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("llama: save sequence %d: %w", seq, err)
	}
	return nil
}

// LoadSeq reads a file of SaveSeq into seq and returns its tokens, of which there may be at most maxTokens.
func (c *Context) LoadSeq(path string, seq Seq, maxTokens int) ([]Token, error) {
	if _, err := c.Memory().get(seq); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("llama: load sequence %d: %w", seq, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("llama: load sequence %d: %s is not a file", seq, path)
	}
	if maxTokens < 0 {
		return nil, fmt.Errorf("llama: load sequence %d: maxTokens is %d", seq, maxTokens)
	}
	maxTokens = int(min(int64(maxTokens), info.Size()/4)) // a token takes 4 bytes
	var arena cArena
	defer arena.free()
	logged := captureErrors()
	tokens := make([]Token, max(maxTokens, 1))
	var n, read C.size_t
	var eb errBuf
	ok := C.shim_state_load(c.c, arena.str(path), C.llama_seq_id(seq), (*C.llama_token)(unsafe.Pointer(&tokens[0])), C.size_t(maxTokens), &n, &read, eb.ptr(), eb.cap())
	if !bool(ok) || read == 0 || int(n) > maxTokens {
		_ = c.Memory().SeqRemove(seq, -1, -1)
		return nil, logged.wrap(fmt.Errorf("llama: %s is not a saved sequence of this model with at most %d tokens %s", path, maxTokens, &eb))
	}
	logged.stop()
	return tokens[:n], nil
}
