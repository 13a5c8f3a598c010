package llama

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
)

// Memory is the KV cache of a Context (or its recurrent state). Ranges of positions are half open,
// [p0, p1); a negative p0 means from the start, a negative p1 to the end.
type Memory struct{ ctx *Context }

// Memory returns the context's memory.
func (c *Context) Memory() Memory { return Memory{c} }

func (c *Context) memory() C.llama_memory_t { return C.llama_get_memory(c.c) }

// get returns the C handle after checking the context and the sequences.
func (m Memory) get(seqs ...Seq) (C.llama_memory_t, error) {
	if m.ctx == nil || m.ctx.c == nil {
		return nil, ErrClosed
	}
	for _, s := range seqs {
		if s < 0 || int(s) >= m.ctx.nSeq {
			return nil, fmt.Errorf("llama: sequence %d, the context has NSeqMax = %d", s,
				m.ctx.nSeq)
		}
	}
	if m.ctx.started != nil {
		return nil, errStarted
	}
	mem := m.ctx.memory()
	if mem == nil {
		return nil, errors.New("llama: the model keeps no memory")
	}
	return mem, nil
}

// Clear forgets every sequence; zero overwrites the cells as well.
func (m Memory) Clear(zero bool) error {
	mem, err := m.get()
	if err != nil {
		return err
	}
	var eb errBuf
	err = eb.err(C.shim_memory_clear(mem, C.bool(zero), eb.ptr(), eb.cap()), "clear memory")
	if err != nil {
		return m.ctx.model.orLost(err, eb.String())
	}
	return nil
}

// SeqRemove removes positions [p0, p1) of seq. Recurrent models can remove only a whole sequence;
// for them a part is an error.
func (m Memory) SeqRemove(seq Seq, p0, p1 Pos) error {
	mem, err := m.get(seq)
	if err != nil {
		return err
	}
	var done C.bool
	var eb errBuf
	if err := eb.err(C.shim_memory_seq_rm(mem, C.llama_seq_id(seq), C.llama_pos(p0),
		C.llama_pos(p1), &done, eb.ptr(), eb.cap()), "remove from memory"); err != nil {
		return err
	}
	if !bool(done) {
		return fmt.Errorf("llama: this model's memory cannot remove positions [%d, %d) of sequence %d", p0, p1, seq)
	}
	return nil
}

// SeqCopy makes positions [p0, p1) of src part of dst too. With one pool of cells nothing is
// copied: cells are shared. With ContextParams.SplitKV only whole sequences can be copied.
func (m Memory) SeqCopy(src, dst Seq, p0, p1 Pos) error {
	mem, err := m.get(src, dst)
	if err != nil {
		return err
	}
	if !m.ctx.unified && src != dst && (p0 > 0 || p1 >= 0) {
		return errors.New("llama: part of a sequence can be copied only without SplitKV")
	}
	var eb errBuf
	return eb.err(C.shim_memory_seq_cp(mem, C.llama_seq_id(src), C.llama_seq_id(dst),
		C.llama_pos(p0), C.llama_pos(p1), eb.ptr(), eb.cap()), "copy in memory")
}

// SeqAdd adds delta to positions [p0, p1) of seq; keys are rotated to match at the next Decode. It
// needs CanShift.
func (m Memory) SeqAdd(seq Seq, p0, p1, delta Pos) error {
	mem, err := m.shiftable(seq)
	if err != nil {
		return err
	}
	if last := C.llama_memory_seq_pos_max(mem, C.llama_seq_id(seq)); int64(last)+int64(delta) >
		math.MaxInt32-1 {
		return fmt.Errorf("llama: adding %d moves sequence %d past the largest position", delta,
			seq)
	}
	var eb errBuf
	return eb.err(C.shim_memory_seq_add(mem, C.llama_seq_id(seq), C.llama_pos(p0), C.llama_pos(p1),
		C.llama_pos(delta), eb.ptr(), eb.cap()), "shift in memory")
}

func (m Memory) shiftable(seq Seq) (C.llama_memory_t, error) {
	mem, err := m.get(seq)
	if err != nil {
		return nil, err
	}
	if m.ctx.model.NPosPerEmbd() > 1 || !bool(C.llama_memory_can_shift(mem)) {
		return nil, errors.New("llama: this model's memory cannot shift positions")
	}
	return mem, nil
}

// SeqPosMin is the smallest position of seq in the cache, -1 if it is empty. It is above zero for
// sliding windows.
func (m Memory) SeqPosMin(seq Seq) Pos {
	mem, err := m.get(seq)
	if err != nil {
		return -1
	}
	return Pos(C.llama_memory_seq_pos_min(mem, C.llama_seq_id(seq)))
}

// SeqPosMax is the largest position of seq in the cache, -1 if it is empty.
func (m Memory) SeqPosMax(seq Seq) Pos {
	mem, err := m.get(seq)
	if err != nil {
		return -1
	}
	return Pos(C.llama_memory_seq_pos_max(mem, C.llama_seq_id(seq)))
}

// CanShift reports whether SeqAdd and SeqDiv work.
func (m Memory) CanShift() bool {
	_, err := m.shiftable(0)
	return err == nil
}
