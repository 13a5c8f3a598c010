package llama

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"slices"
	"unsafe"
)

// BatchExt is libllama's extended batch: tokens and embeddings may stand side by side in it, for
// models that take both. It belongs to the Context that it was made for.
type BatchExt struct {
	c       *C.struct_llama_batch_ext
	ctx     *Context
	outputs []int8
	pos     []Pos   // of each entry, the one that counts for the KV cache
	seqs    [][]Seq // of each entry
	broken  bool    // an entry was refused half way
	arena   cArena  // embeddings that entries point to, until Clear
}

// NewBatchExt makes an empty extended batch.
func NewBatchExt(ctx *Context) (*BatchExt, error) {
	if ctx == nil || ctx.c == nil {
		return nil, ErrClosed
	}
	var c *C.struct_llama_batch_ext
	var eb errBuf
	if !bool(C.shim_batch_init(ctx.c, &c, eb.ptr(), eb.cap())) || c == nil {
		return nil, fmt.Errorf("llama: this model takes no extended batch %s", &eb)
	}
	b := &BatchExt{c: c, ctx: ctx}
	ctx.batches[b] = struct{}{}
	return b, nil
}

// Close frees the batch. The Context's Close does so too.
func (b *BatchExt) Close() error {
	if b.c != nil {
		C.llama_batch_ext_free(b.c)
		b.arena.free()
		b.c = nil
		delete(b.ctx.batches, b)
	}
	return nil
}

// Clear removes all entries.
func (b *BatchExt) Clear() {
	if b.c != nil {
		C.llama_batch_ext_clear(b.c)
		b.arena.free()
		b.outputs, b.pos, b.seqs, b.broken = b.outputs[:0], b.pos[:0], b.seqs[:0], false
	}
}

// Len is the number of entries.
func (b *BatchExt) Len() int { return len(b.outputs) }

func (b *BatchExt) ready(seq Seq) error {
	switch {
	case b.c == nil || b.ctx.c == nil:
		return ErrClosed
	case len(b.outputs) >= b.ctx.nBatch:
		return fmt.Errorf("%w: the batch is full (%d entries)", ErrInvalidBatch, len(b.outputs))
	case seq < 0 || int(seq) >= b.ctx.nSeq:
		return fmt.Errorf("%w: sequence %d, the context has NSeqMax = %d", ErrInvalidBatch, seq,
			b.ctx.nSeq)
	}
	return nil
}

// Add appends a token at pos in sequence seq; output asks for its logits.
func (b *BatchExt) Add(t Token, pos Pos, output bool, seq Seq) error {
	if err := b.ready(seq); err != nil {
		return err
	}
	if !b.ctx.model.vocab.valid(t) {
		return fmt.Errorf("%w: token %d is not in the vocabulary of %d", ErrInvalidBatch, t,
			b.ctx.model.vocab.N())
	}
	return b.add(seq, t, nil, []Pos{pos}, output)
}

// AddEmbedding appends an embedding, NEmbdInp wide, with NPosPerEmbd positions.
func (b *BatchExt) AddEmbedding(row []float32, pos []Pos, output bool, seq Seq) error {
	if err := b.ready(seq); err != nil {
		return err
	}
	if want := b.ctx.model.NEmbdInp(); len(row) != want {
		return fmt.Errorf("%w: the embedding is %d wide, the model takes %d", ErrInvalidBatch,
			len(row), want)
	}
	if want := b.ctx.model.NPosPerEmbd(); len(pos) != want {
		return fmt.Errorf("%w: the embedding has %d positions, the model wants %d", ErrInvalidBatch,
			len(pos), want)
	}
	data := unsafe.Slice((*float32)(b.arena.alloc(uintptr(len(row))*4)), len(row))
	copy(data, row)
	return b.add(seq, NoToken, data, pos, output)
}

// add appends a token, or the embedding row in C memory if there is one.
func (b *BatchExt) add(seq Seq, t Token, row []float32, pos []Pos, output bool) error {
	var i C.int32_t
	var placed C.bool
	var eb errBuf
	ok := C.shim_batch_add(b.c, C.llama_seq_id(seq), C.llama_token(t),
		(*C.float)(unsafe.SliceData(row)), C.size_t(len(row)),
		(*C.llama_pos)(unsafe.Pointer(&pos[0])), C.bool(output), &i, &placed, eb.ptr(), eb.cap())
	switch {
	case !bool(ok):
		b.broken = true
		return fmt.Errorf("%w: %s", ErrInvalidBatch, &eb)
	case i < 0:
		return fmt.Errorf("%w: libllama refused the entry (code %d)", ErrInvalidBatch, int(i))
	case !bool(placed) || int(i) != len(b.outputs):
		b.broken = true
		return fmt.Errorf("%w: libllama refused position %v of entry %d", ErrInvalidBatch, pos,
			int(i))
	}
	wanted := int8(0)
	if output {
		wanted = 1
	}
	b.outputs, b.pos, b.seqs = append(b.outputs, wanted), append(b.pos, pos[0]),
		append(b.seqs, []Seq{seq})
	return nil
}

// Share makes entry i part of another sequence too.
func (b *BatchExt) Share(i int, seq Seq) error {
	if b.c == nil || b.ctx.c == nil {
		return ErrClosed
	}
	if i < 0 || i >= len(b.outputs) || seq < 0 || int(seq) >= b.ctx.nSeq {
		return fmt.Errorf("%w: entry %d, sequence %d", ErrInvalidBatch, i, seq)
	}
	if slices.Contains(b.seqs[i], seq) {
		return nil
	}
	var done C.bool
	var eb errBuf
	if !bool(C.shim_batch_share(b.c, C.int32_t(i), C.llama_seq_id(seq), &done, eb.ptr(),
		eb.cap())) || !bool(done) {
		return fmt.Errorf("%w: libllama refused sequence %d for entry %d %s", ErrInvalidBatch, seq,
			i, &eb)
	}
	b.seqs[i] = append(b.seqs[i], seq)
	return nil
}

// Process computes an extended batch, as Decode does a classic one.
func (c *Context) Process(ctx context.Context, b *BatchExt) error {
	if c.c == nil || b == nil || b.c == nil {
		return ErrClosed
	}
	switch {
	case b.ctx != c:
		return fmt.Errorf("%w: it was made for another context", ErrInvalidBatch)
	case b.broken:
		return fmt.Errorf("%w: an entry was refused; Clear it", ErrInvalidBatch)
	}
	if err := c.checkSize(len(b.outputs), b.outputs); err != nil {
		return err
	}
	if err := c.checkPositions(len(b.pos), func(i int) (Pos, []Seq, bool) {
		return b.pos[i], b.seqs[i], false
	}); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrAborted, err)
	}
	return c.run(ctx, "process", b.outputs, func(rc *C.int32_t, eb *errBuf) C.bool {
		return C.shim_process(c.c, C.LLAMA_PROCESS_TYPE_DECODE, b.c, rc, eb.ptr(), eb.cap())
	})
}
