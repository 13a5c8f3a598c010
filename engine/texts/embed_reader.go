package texts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/prompt"
)

// poolings are how the outputs of a text's tokens become one vector, by the numbers that model
// files use.
var poolings = map[string]llama.Pooling{"1": llama.PoolingMean, "2": llama.PoolingCLS,
	"3": llama.PoolingLast}

// embedReader computes embeddings, in a context of its own: libllama plans the buffers of a context
// for either answers or embeddings.
type embedReader struct {
	host    *Host
	lc      *llama.Context
	batch   *llama.Batch
	pooling llama.Pooling
	causal  bool // tokens see only what is before them, so that texts can be cut anywhere
	pooled  bool // libllama pools, within a portion, and computes no logits beside
	most    int  // tokens of a text

	pace pace
}

const (
	// embedAtOnce is how many texts are in the context together: short ones share a decode.
	embedAtOnce = 16
	// wholeText bounds the texts of models that read them in both directions, and so at once.
	wholeText = 8192
)

// newEmbedReader makes the context.
func newEmbedReader(ctx context.Context, host *Host) (*embedReader, error) {
	lm := host.Model
	arch, _ := lm.Meta("general.architecture")
	e := &embedReader{host: host, causal: true, pooling: llama.PoolingLast,
		pace: pace{target: host.Portion, size: firstPortion}}
	if v, _ := lm.Meta(arch + ".attention.causal"); v == "false" {
		e.causal = false
	}
	v, _ := lm.Meta(arch + ".pooling_type")
	switch pooling, ok := poolings[v]; {
	case ok:
		e.pooling = pooling
	case v == "4":
		return nil, fmt.Errorf("%w: %s ranks texts and makes no embeddings", fault.ErrRequest,
			host.Name)
	case !e.causal:
		e.pooling = llama.PoolingMean
	}
	p := llama.ContextParams{NCtx: host.Context, Threads: host.Threads, Embeddings: true,
		Pooling: llama.PoolingNone, NSeqMax: embedAtOnce}
	// The mean of a text that is cut is taken here. Some models that are not cut have layers of
	// their own behind the pooling.
	if e.pooled = !e.causal || e.pooling != llama.PoolingMean; e.pooled {
		p.Pooling = e.pooling
	}
	if train := lm.NCtxTrain(); train > 0 {
		p.NCtx = min(p.NCtx, train)
	}
	if host.rigid() {
		p.NSeqMax = 1 // each takes memory of its own
	}
	if !e.causal {
		p.NBatch = min(p.NCtx, wholeText)
		p.NUBatch = p.NBatch
	}
	var err error
	if e.lc, err = host.Open(ctx, p, "embeddings"); err != nil {
		return nil, err
	}
	e.batch = llama.NewTokenBatch(e.lc.NUBatch(), 1)
	e.most = e.lc.NCtxSeq()
	if !e.causal {
		e.most = min(e.most, e.lc.NUBatch())
	}
	return e, nil
}

// tokenize makes texts ready and checks their lengths before anything is computed.
func (e *embedReader) tokenize(r EmbedRequest) ([]*embedText, error) {
	if len(r.Texts) == 0 {
		return nil, fmt.Errorf("%w: no text to embed", fault.ErrRequest)
	}
	most, vocab := e.most, e.host.Model.Vocab()
	if r.Context > 0 {
		most = min(most, r.Context)
	}
	around, err := vocab.Tokenize("", true, false)
	if err != nil {
		return nil, fmt.Errorf("texts: embeddings: %w", err)
	}
	if r.Context < 0 || most <= len(around) {
		return nil, fmt.Errorf("%w: the input after truncation exceeds the maximum context "+
			"length: of %d tokens none is left for text", fault.ErrContextLength, most)
	}
	var texts []*embedText
	if r.Tokens != nil && len(r.Tokens) != len(r.Texts) {
		return nil, fmt.Errorf("%w: %d lists of tokens for %d texts", fault.ErrRequest,
			len(r.Tokens), len(r.Texts))
	}
	for i, text := range r.Texts {
		tokens, err := e.tokens(&r, i, text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		case len(tokens) == 0:
			return nil, fmt.Errorf("%w: text %d is empty", fault.ErrRequest, i+1)
		case len(tokens) > most && !r.Truncate:
			return nil, fmt.Errorf("%w: the input length exceeds the context length: "+
				"text %d has %d tokens, and there is room for %d; shorten it",
				fault.ErrContextLength, i+1, len(tokens), most)
		case len(tokens) > most:
			end := commonEnd(tokens, around)
			tokens = append(tokens[:most-len(end)], end...)
		}
		texts = append(texts, &embedText{tokens: tokens})
	}
	return texts, nil
}

// tokens are those of text number i.
func (e *embedReader) tokens(r *EmbedRequest, i int, text string) ([]llama.Token, error) {
	if r.Tokens != nil && r.Tokens[i] != nil {
		return slices.Clone(r.Tokens[i]), prompt.CheckTokens(e.host.Model.Vocab(), r.Tokens[i])
	}
	tokens, err := e.host.Model.Vocab().Tokenize(text, true, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.ErrRequest, err)
	}
	return tokens, nil
}

// commonEnd is the longest end of b that is one of a too.
func commonEnd(a, b []llama.Token) []llama.Token {
	n := 0
	for n < min(len(a), len(b)) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return b[len(b)-n:]
}

// compute fills in the sums of texts, as many at a time as the context holds.
func (e *embedReader) compute(ctx context.Context, texts []*embedText) error {
	for len(texts) > 0 {
		n, tokens := 0, 0
		for n < len(texts) && n < e.lc.NSeqMax() && (n == 0 ||
			tokens+len(texts[n].tokens) <= e.lc.NCtx()) {
			tokens += len(texts[n].tokens)
			n++
		}
		if err := e.wave(ctx, texts[:n]); err != nil {
			return err
		}
		texts = texts[n:]
	}
	return nil
}

// wave computes texts that fit into the context together, portion by portion. Each portion is a job
// of its own on the compute thread, where steps of running answers take turns with it.
func (e *embedReader) wave(ctx context.Context, texts []*embedText) error {
	thread := e.host.Thread
	if e.lc.HasMemory() {
		if err := thread.Do(ctx, func() error { return e.lc.Memory().Clear(false) }); err != nil {
			return err
		}
	}
	for first := 0; first < len(texts); {
		err := thread.Do(ctx, func() error {
			start := time.Now()
			n, err := e.fill(texts, first)
			if err == nil {
				// A text's vector is to depend as little as can be on the texts beside it.
				err = ggml.Uniform(func() error { return e.lc.Decode(ctx, e.batch) })
			}
			if err == nil {
				err = e.collect(texts, first, n)
			}
			e.pace.took(e.batch.Len(), time.Since(start))
			return err
		})
		if err != nil {
			return err
		}
		for first < len(texts) && texts[first].next == len(texts[first].tokens) {
			first++
		}
	}
	return nil
}

// fill puts the next portion of texts into the batch and returns how many texts have a part in it.
func (e *embedReader) fill(texts []*embedText, first int) (n int, err error) {
	e.batch.Clear()
	limit := min(e.pace.size, e.batch.Cap())
	for seq := first; seq < len(texts); seq++ {
		t := texts[seq]
		portion := min(len(t.tokens)-t.next, limit-e.batch.Len())
		if !e.causal {
			// Whole texts alone; the first goes through however long it is.
			if portion = len(t.tokens); e.batch.Len() > 0 && e.batch.Len()+portion > limit {
				break
			}
		}
		if portion <= 0 {
			break
		}
		for k := t.next; k < t.next+portion; k++ {
			if err := e.batch.Add(t.tokens[k], llama.Pos(k), true, llama.Seq(seq)); err != nil {
				return 0, err
			}
		}
		n++
	}
	return n, nil
}

// collect adds the outputs of the batch that fill made to n texts.
func (e *embedReader) collect(texts []*embedText, first, n int) error {
	entry := 0
	for seq := first; seq < first+n; seq++ {
		t := texts[seq]
		from, begin := t.next, entry
		for entry < e.batch.Len() && e.batch.Seq(entry) == llama.Seq(seq) {
			entry++
		}
		t.next += entry - begin
		if e.pooled {
			if e.pooling == llama.PoolingCLS && from > 0 ||
				e.pooling == llama.PoolingLast && t.next < len(t.tokens) {
				continue
			}
			row, err := e.lc.SeqEmbeddings(llama.Seq(seq))
			if err != nil {
				return err
			}
			t.add(row)
			continue
		}
		for i := begin; i < entry; i++ {
			row, err := e.lc.Embeddings(i)
			if err != nil {
				return err
			}
			t.add(row)
		}
	}
	return nil
}
