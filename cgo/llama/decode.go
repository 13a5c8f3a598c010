package llama

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// Decode computes batch and adds it to the KV cache. When ctx is done it stops between operations
// of the graph and returns ErrAborted with the cause. Other errors are ErrInvalidBatch, ErrNoRoom,
// ErrClosed, or a failure of the backend.
func (c *Context) Decode(ctx context.Context, batch *Batch) error {
	if err := c.check(batch); err != nil {
		return err
	}
	if c.encoderOnly {
		return fmt.Errorf("%w: the model has no decoder; use Encode", ErrInvalidBatch)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrAborted, err)
	}
	batch.seal()
	return c.run(ctx, "decode", batch.outputs[:batch.Len()],
		func(rc *C.int32_t, eb *errBuf) C.bool {
			return C.shim_decode(c.c, batch.c, rc, eb.ptr(), eb.cap())
		})
}

// DecodeUniform is Decode for few entries that are computed as each would be alone
// ([ggml.UniformFew]). libllama keeps the graph of a batch, with who computes it, for the next one
// if that has as many entries and outputs: of a Decode and a DecodeUniform that follow each other,
// the second is what the first was unless they differ in that.
func (c *Context) DecodeUniform(ctx context.Context, batch *Batch) error {
	return ggml.UniformFew(func() error { return c.Decode(ctx, batch) })
}

// Encode computes batch with the encoder of an encoder-decoder model, or an embedding model,
// without using the KV cache. All entries attend to each other, so the batch may have at most
// NUBatch of them.
func (c *Context) Encode(ctx context.Context, batch *Batch) error {
	if err := c.check(batch); err != nil {
		return err
	}
	if batch.Len() > c.nUBatch {
		return fmt.Errorf("%w: %d entries, an encoder takes at most NUBatch = %d", ErrInvalidBatch,
			batch.Len(), c.nUBatch)
	}
	// its graph would read the cache, which Encode does not give it
	if !c.model.HasEncoder() && c.memory() != nil {
		return fmt.Errorf("%w: the model has no encoder; use Decode", ErrInvalidBatch)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrAborted, err)
	}
	batch.seal()
	return c.run(ctx, "encode", batch.outputs[:batch.Len()],
		func(rc *C.int32_t, eb *errBuf) C.bool {
			return C.shim_encode(c.c, batch.c, rc, eb.ptr(), eb.cap())
		})
}

// run makes a compute call, translates its result, and remembers which entries have outputs.
func (c *Context) run(ctx context.Context, what string, outputs []int8,
	call func(*C.int32_t, *errBuf) C.bool) error {
	c.outputs = c.outputs[:0]
	stop := c.cancelOn(ctx)
	var rc C.int32_t
	var eb errBuf
	ok := call(&rc, &eb)
	stop()
	c.yield()
	return c.result(ctx, what, outputs, bool(ok), rc, &eb)
}

// result translates the result of a compute call, and remembers which entries have outputs.
func (c *Context) result(ctx context.Context, what string, outputs []int8, ok bool, rc C.int32_t,
	eb *errBuf) error {
	if err := c.model.Lost(); err != nil {
		c.broken = err // and what came back are zeros
		return err
	}
	if !ok {
		c.broken = c.model.failed(what, eb.String())
		return c.broken
	}
	switch {
	case rc == 0:
		c.outputs = append(c.outputs, outputs...)
		return nil
	case rc == 1:
		return fmt.Errorf("%w for %d entries", ErrNoRoom, len(outputs))
	case rc == 2:
		return fmt.Errorf("%w: %w", ErrAborted, context.Cause(ctx))
	case rc == -1:
		return fmt.Errorf("%w: libllama refused it", ErrInvalidBatch)
	}
	return fmt.Errorf("llama: %s failed with code %d", what, int(rc))
}

// yield lets the Go scheduler count a turn every few milliseconds. A goroutine that makes one C
// call after the other has none of its own; after 10 ms of the same turn Go's monitor thread takes
// the processor slot away from it in every call and wakes a thread to use it, over and over, which
// disturbs the workers of libgomp on a machine without spare cores: a loop in Go ran at 0.93 to
// 0.95 of the same loop in C before this, and at 0.97 to 0.99 with it.
func (c *Context) yield() {
	if now := time.Now(); now.Sub(c.yielded) > 8*time.Millisecond {
		runtime.Gosched()
		c.yielded = now
	}
}

// check finds in Go what would abort the process in C, or come back as a bare -1.
func (c *Context) check(b *Batch) error {
	if c.c == nil || b == nil || !b.open {
		return ErrClosed
	}
	n := b.Len()
	if err := c.checkSize(n, b.outputs); err != nil {
		return err
	}
	switch {
	case b.embd > 0 && b.embd != c.model.NEmbdInp():
		return fmt.Errorf("%w: embeddings are %d wide, the model takes %d", ErrInvalidBatch, b.embd,
			c.model.NEmbdInp())
	case b.embd > 0 && b.perEmbd != c.model.NPosPerEmbd():
		return fmt.Errorf("%w: embeddings have %d positions, the model wants %d", ErrInvalidBatch,
			b.perEmbd, c.model.NPosPerEmbd())
	}
	vocab := Token(c.model.vocab.N())
	for i := range n {
		if b.embd == 0 && (b.tokens[i] < 0 || b.tokens[i] >= vocab) {
			return fmt.Errorf("%w: token %d of entry %d is not in the vocabulary of %d",
				ErrInvalidBatch, b.tokens[i], i, vocab)
		}
		for _, s := range b.sequences(i) {
			if s < 0 || int(s) >= c.nSeq {
				return fmt.Errorf("%w: sequence %d of entry %d, the context has NSeqMax = %d",
					ErrInvalidBatch, s, i, c.nSeq)
			}
		}
	}
	return c.checkPositions(n, func(i int) (Pos, []Seq, bool) {
		return b.position(i), b.sequences(i), b.embd > 0
	})
}

// checkSize checks the number of entries and of outputs.
func (c *Context) checkSize(n int, outputs []int8) error {
	switch {
	case c.started != nil:
		return errStarted
	case c.broken != nil:
		return fmt.Errorf("llama: the context is unusable since an earlier failure: %w", c.broken)
	case n == 0:
		return fmt.Errorf("%w: it is empty", ErrInvalidBatch)
	case n > c.nBatch:
		return fmt.Errorf("%w: %d entries, the context takes at most NBatch = %d", ErrInvalidBatch,
			n, c.nBatch)
	case !c.causal && n > c.nUBatch:
		return fmt.Errorf("%w: %d entries, without causal attention at most NUBatch = %d",
			ErrInvalidBatch, n, c.nUBatch)
	}
	if limit := c.params.OutputsMax; limit > 0 && limit < n {
		wanted := n // with embeddings every entry is an output
		if !c.params.Embeddings {
			wanted = 0
			for _, o := range outputs[:n] {
				wanted += int(o)
			}
		}
		if wanted > limit {
			return fmt.Errorf("%w: %d outputs, the context has OutputsMax = %d", ErrInvalidBatch,
				wanted, limit)
		}
	}
	return nil
}

// checkPositions wants each sequence to go on where it stands in the cache. Tokens follow one
// another without a gap. With M-RoPE positions are skipped, and those of embeddings shared: for
// them only going back is an error, since a picture of which all rows have one time may come in
// several batches, while the first token of a batch must be later than what is cached.
func (c *Context) checkPositions(n int,
	entry func(int) (pos Pos, seqs []Seq, embedding bool)) error {
	const unknown = -2
	mem := c.memory()
	if mem == nil {
		return nil
	}
	for i := range c.next {
		c.next[i] = unknown
	}
	for i := range n {
		pos, seqs, embedding := entry(i)
		if pos < 0 {
			return fmt.Errorf("%w: entry %d has position %d", ErrInvalidBatch, i, pos)
		}
		for _, s := range seqs {
			last := c.next[s]
			first := last == unknown
			if first {
				last = Pos(C.llama_memory_seq_pos_max(mem, C.llama_seq_id(s)))
			}
			if last >= 0 || !first {
				bad := pos != last+1
				if c.mrope {
					bad = pos < last || (first && pos == last && !embedding)
				}
				if bad {
					return fmt.Errorf("%w: entry %d has position %d in sequence %d, which stands at %d", ErrInvalidBatch, i, pos, s, last)
				}
			}
			c.next[s] = pos
		}
	}
	return nil
}

// output checks that entry i of the last batch had its output computed.
func (c *Context) output(i int) error {
	switch {
	case c.c == nil:
		return ErrClosed
	case i < 0 || i >= len(c.outputs):
		return fmt.Errorf("llama: entry %d: the last batch had %d entries", i, len(c.outputs))
	case c.outputs[i] == 0:
		return fmt.Errorf("llama: entry %d: no output was asked for", i)
	}
	return nil
}

// Logits are the unnormalised log probabilities, one a token of the vocabulary, that follow entry i
// of the last batch. The slice is libllama's own memory: it is valid until the next Decode, and may
// be changed (to bias a sampler) but not grown.
func (c *Context) Logits(i int) ([]float32, error) {
	if err := c.output(i); err != nil {
		return nil, err
	}
	var p *C.float
	// a pooled graph computes none, and libllama would show what an earlier one left
	if !c.pooled() {
		p = C.llama_get_logits_ith(c.c, C.int32_t(i))
	}
	if p == nil {
		return nil, fmt.Errorf("llama: entry %d has no logits", i)
	}
	n := c.model.vocab.N()
	return unsafe.Slice((*float32)(unsafe.Pointer(p)), n)[:n:n], nil
}

func (c *Context) pooled() bool {
	return c.params.Embeddings && C.llama_pooling_type(c.c) != C.LLAMA_POOLING_TYPE_NONE
}

// Embeddings is the output embedding, NEmbdOut wide, of entry i of the last batch. It needs
// ContextParams.Embeddings and PoolingNone, and is valid until the next Decode.
func (c *Context) Embeddings(i int) ([]float32, error) {
	if err := c.output(i); err != nil {
		return nil, err
	}
	if !c.params.Embeddings {
		return nil, fmt.Errorf("llama: the context was made without Embeddings")
	}
	var p *C.float
	if !c.pooled() {
		p = C.llama_get_embeddings_ith(c.c, C.int32_t(i))
	}
	if p == nil {
		return nil, fmt.Errorf(
			"llama: entry %d has no embedding: sequences are pooled, see SeqEmbeddings", i)
	}
	n := c.model.NEmbdOut()
	return unsafe.Slice((*float32)(unsafe.Pointer(p)), n)[:n:n], nil
}

// SeqEmbeddings is the pooled embedding, NEmbdOut wide, of a sequence in the last batch, valid
// until the next Decode.
func (c *Context) SeqEmbeddings(seq Seq) ([]float32, error) {
	if c.c == nil {
		return nil, ErrClosed
	}
	if seq < 0 || int(seq) >= c.nSeq {
		return nil, fmt.Errorf("llama: sequence %d, the context has %d", seq, c.nSeq)
	}
	if !c.pooled() {
		return nil, fmt.Errorf("llama: the context does not pool embeddings")
	}
	if C.llama_pooling_type(c.c) == C.LLAMA_POOLING_TYPE_RANK {
		return c.ranks(seq)
	}
	p := C.llama_get_embeddings_seq(c.c, C.llama_seq_id(seq))
	if p == nil {
		return nil, fmt.Errorf("llama: the last batch left no embedding of sequence %d", seq)
	}
	n := c.model.NEmbdOut()
	return unsafe.Slice((*float32)(unsafe.Pointer(p)), n)[:n:n], nil
}

// ranks are the scores of a reranking model, one a class.
func (c *Context) ranks(seq Seq) ([]float32, error) {
	p := C.llama_get_embeddings_seq(c.c, C.llama_seq_id(seq))
	n := int(C.llama_model_n_cls_out(c.model.c))
	if p == nil || n == 0 {
		return nil, fmt.Errorf("llama: the last batch left no rank of sequence %d", seq)
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(p)), n)[:n:n], nil
}
