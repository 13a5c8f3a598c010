package llama

// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Batch is what one Decode or Encode computes: tokens, or embeddings in their place, never both.
// Each entry has a position, the sequences it belongs to, and whether its output
// (logits, embeddings) is wanted.
type Batch struct {
	c       C.struct_llama_batch
	open    bool
	cap     int
	seqs    int // sequences an entry may belong to
	embd    int // width of an embedding, 0 for a batch of tokens
	perEmbd int // positions an embedding has

	tokens  []Token
	rows    []float32
	pos     []Pos // position k of entry i is pos[k*len + i] once sealed; see seal
	nSeq    []int32
	seqIDs  []*C.llama_seq_id
	outputs []int8
	staged  []Pos // perEmbd positions an entry, entry after entry
	arena   cArena
}

// NewTokenBatch makes a batch of up to capacity tokens, each in up to seqs sequences.
func NewTokenBatch(capacity, seqs int) *Batch { return newBatch(capacity, seqs, 0, 1) }

// NewEmbeddingBatch makes a batch of up to capacity embeddings of the given width (Model.NEmbdInp),
// each in up to seqs sequences and with posPerEmbd positions (Model.NPosPerEmbd).
func NewEmbeddingBatch(capacity, seqs, width, posPerEmbd int) *Batch {
	return newBatch(capacity, seqs, max(width, 1), max(posPerEmbd, 1))
}

func newBatch(capacity, seqs, embd, perEmbd int) *Batch {
	capacity, seqs = max(capacity, 1), max(seqs, 1)
	b := &Batch{open: true, cap: capacity, seqs: seqs, embd: embd, perEmbd: perEmbd}
	n := uintptr(capacity)
	// The arrays are C memory, since the struct that points to them is handed to C.
	if embd > 0 {
		b.rows = unsafe.Slice((*float32)(b.arena.alloc(n*uintptr(embd)*4)), capacity*embd)
		b.c.embd = (*C.float)(unsafe.Pointer(&b.rows[0]))
	} else {
		b.tokens = unsafe.Slice((*Token)(b.arena.alloc(n*4)), capacity)
		b.c.token = (*C.llama_token)(unsafe.Pointer(&b.tokens[0]))
	}
	b.pos = unsafe.Slice((*Pos)(b.arena.alloc(n*uintptr(perEmbd)*4)), capacity*perEmbd)
	b.c.pos = (*C.llama_pos)(unsafe.Pointer(&b.pos[0]))
	b.nSeq = unsafe.Slice((*int32)(b.arena.alloc(n*4)), capacity)
	b.c.n_seq_id = (*C.int32_t)(unsafe.Pointer(&b.nSeq[0]))
	ids := unsafe.Slice((*C.llama_seq_id)(b.arena.alloc(n*uintptr(seqs)*4)), capacity*seqs)
	b.seqIDs = unsafe.Slice((**C.llama_seq_id)(b.arena.alloc((n+1)*unsafe.Sizeof(uintptr(0)))),
		capacity+1)
	for i := range capacity {
		b.seqIDs[i] = &ids[i*seqs]
	}
	b.c.seq_id = &b.seqIDs[0]
	b.outputs = unsafe.Slice((*int8)(b.arena.alloc(n)), capacity)
	b.c.logits = (*C.int8_t)(unsafe.Pointer(&b.outputs[0]))
	b.staged = make([]Pos, 0, capacity*perEmbd)
	return b
}

// Len is the number of entries, Cap the most it can hold.
func (b *Batch) Len() int { return int(b.c.n_tokens) }

// Cap is the number of entries that the batch can hold.
func (b *Batch) Cap() int { return b.cap }

// Seq is the first sequence of entry i.
func (b *Batch) Seq(i int) Seq { return b.sequences(i)[0] }

// Clear removes all entries.
func (b *Batch) Clear() {
	b.c.n_tokens = 0
	b.staged = b.staged[:0]
}

// Close frees the batch.
func (b *Batch) Close() error {
	if b.open {
		b.open = false
		b.arena.free()
		b.c = C.struct_llama_batch{}
	}
	return nil
}

// Add appends a token at pos in the sequences given; output asks for its logits.
func (b *Batch) Add(t Token, pos Pos, output bool, seqs ...Seq) error {
	if b.embd > 0 {
		return fmt.Errorf("%w: a token cannot join a batch of embeddings", ErrInvalidBatch)
	}
	i, err := b.entry(output, seqs)
	if err != nil {
		return err
	}
	b.tokens[i] = t
	b.staged = append(b.staged, pos)
	b.c.n_tokens++
	return nil
}

// AddEmbedding appends one embedding, copied from row, with posPerEmbd positions (t, y, x, z for
// M-RoPE).
func (b *Batch) AddEmbedding(row []float32, pos []Pos, output bool, seqs ...Seq) error {
	if b.embd == 0 {
		return fmt.Errorf("%w: an embedding cannot join a batch of tokens", ErrInvalidBatch)
	}
	if len(row) != b.embd {
		return fmt.Errorf("%w: the embedding is %d wide, the batch %d", ErrInvalidBatch, len(row),
			b.embd)
	}
	if len(pos) != b.perEmbd {
		return fmt.Errorf("%w: the embedding has %d positions, the batch wants %d", ErrInvalidBatch,
			len(pos), b.perEmbd)
	}
	i, err := b.entry(output, seqs)
	if err != nil {
		return err
	}
	copy(b.rows[i*b.embd:(i+1)*b.embd], row)
	b.staged = append(b.staged, pos...)
	b.c.n_tokens++
	return nil
}

// entry fills what tokens and embeddings have in common and returns the index of the new entry.
func (b *Batch) entry(output bool, seqs []Seq) (int, error) {
	i := b.Len()
	switch {
	case !b.open:
		return 0, ErrClosed
	case i == b.cap:
		return 0, fmt.Errorf("%w: the batch is full (%d entries)", ErrInvalidBatch, b.cap)
	case len(seqs) == 0 || len(seqs) > b.seqs:
		return 0, fmt.Errorf("%w: an entry belongs to %d sequences, the batch takes 1 to %d",
			ErrInvalidBatch, len(seqs), b.seqs)
	}
	ids := unsafe.Slice(b.seqIDs[i], b.seqs)
	for k, s := range seqs {
		ids[k] = C.llama_seq_id(s)
	}
	b.nSeq[i] = int32(len(seqs))
	b.outputs[i] = 0
	if output {
		b.outputs[i] = 1
	}
	return i, nil
}

// sequences of entry i.
func (b *Batch) sequences(i int) []Seq {
	return unsafe.Slice((*Seq)(unsafe.Pointer(b.seqIDs[i])), b.nSeq[i])
}

// position of entry i that counts for the KV cache.
func (b *Batch) position(i int) Pos { return b.staged[i*b.perEmbd] }

// seal lays positions out as libllama reads them: all first positions, then all second ones, and so
// on.
func (b *Batch) seal() {
	n := b.Len()
	for i := range n {
		for k := range b.perEmbd {
			b.pos[k*n+i] = b.staged[i*b.perEmbd+k]
		}
	}
}
