package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// item is what one cell of the KV cache holds: a token, or part k of a picture.
type item struct {
	token llama.Token
	file  fileID // zero for tokens
	part  int
	k     int
}

// sequence is what stands in the model's KV cache, so that the next request computes only what differs. All its methods run
// on the compute thread.
type sequence struct {
	items      []item
	pos        []llama.Pos // position of each item
	next       llama.Pos   // position of the next one
	batches    *llama.Batch
	batchLimit int
}

// items of a piece, as they would stand in the cache.
func (p *piece) items() []item {
	if p.picture == nil {
		list := make([]item, len(p.tokens))
		for i, t := range p.tokens {
			list[i] = item{token: t}
		}
		return list
	}
	list := make([]item, p.picture.n)
	for k := range list {
		list[k] = item{file: p.file, part: p.part, k: k}
	}
	return list
}

// shared is the number of leading pieces of p, and tokens of the piece after them, that the cache already holds. Pictures count
// whole or not at all, and the last token is never counted: its logits are needed.
func (s *sequence) shared(p *prompt) (pieces, tokens int) {
	at := 0
	for i := range p.pieces {
		list := p.pieces[i].items()
		n := 0
		for n < len(list) && at+n < len(s.items) && s.items[at+n] == list[n] {
			n++
		}
		last := i == len(p.pieces)-1
		if n < len(list) || last {
			if p.pieces[i].picture != nil {
				return i, 0
			}
			if last {
				n = min(n, len(list)-1)
			}
			return i, n
		}
		at += n
	}
	return 0, 0
}

// cut drops everything from item n on, in the cache too, so that the next item can follow. Memory that cannot be cut, or that lacks
// what the next item attends to, is cleared; cut returns what is left.
func (s *sequence) cut(lc *llama.Context, n int) (int, error) {
	next := s.next
	if n < len(s.items) {
		next = s.pos[n]
	}
	mem := lc.Memory()
	keep := n
	// A sliding window loses the cells that its last item cannot see, though an earlier one could: those before the place of the cut,
	// or, after a decode that was stopped, those before the end. What follows would attend to a hole.
	if w := llama.Pos(lc.Model().NSWA()); w > 0 && n > 0 {
		if first := mem.SeqPosMin(0); first < 0 || first > max(0, next-w) {
			keep = 0
		}
	}
	if keep > 0 && n < len(s.items) && mem.SeqRemove(0, next, -1) != nil {
		keep = 0
	}
	if keep == 0 {
		if err := mem.Clear(false); err != nil {
			return 0, err
		}
		s.items, s.pos, s.next = s.items[:0], s.pos[:0], 0
		return 0, nil
	}
	s.next = next
	s.items, s.pos = s.items[:n], s.pos[:n]
	return keep, nil
}

// resync makes the bookkeeping agree with the cache after a decode that was stopped in the middle.
func (s *sequence) resync(lc *llama.Context) {
	if s.next == 0 || lc.Memory().SeqRemove(0, s.next, -1) != nil {
		_ = lc.Memory().Clear(false)
		s.items, s.pos, s.next = s.items[:0], s.pos[:0], 0
	}
}

// appendTokens decodes tokens after what stands in the cache; the logits of the last one are computed if wanted. It returns the
// index of that output in the last batch.
func (s *sequence) appendTokens(ctx context.Context, lc *llama.Context, tokens []llama.Token, wantLast bool) (output int, err error) {
	if s.batches == nil {
		s.batches = llama.NewTokenBatch(s.batchLimit, 1)
	}
	for len(tokens) > 0 {
		n := min(len(tokens), s.batchLimit)
		s.batches.Clear()
		for i, t := range tokens[:n] {
			if err := s.batches.Add(t, s.next+llama.Pos(i), wantLast && i == len(tokens)-1, 0); err != nil {
				return 0, err
			}
		}
		if err := lc.Decode(ctx, s.batches); err != nil {
			s.resync(lc)
			return 0, err
		}
		for _, t := range tokens[:n] {
			s.items = append(s.items, item{token: t})
			s.pos = append(s.pos, s.next)
			s.next++
		}
		output = n - 1
		tokens = tokens[n:]
	}
	return output, nil
}

// appendPicture decodes the embeddings of a picture, rows after rows, NEmbdInp wide.
func (s *sequence) appendPicture(ctx context.Context, lc *llama.Context, p *piece, rows []float32) error {
	in := p.picture
	model := lc.Model()
	width, perEmbd := model.NEmbdInp(), model.NPosPerEmbd()
	if len(rows) != in.n*width {
		return fmt.Errorf("engine: the vision encoder made %d numbers for %d image tokens of %d", len(rows), in.n, width)
	}
	limit := s.batchLimit
	if in.whole {
		if in.n > lc.NUBatch() {
			return fmt.Errorf("%w: a picture of %d tokens must be decoded at once, and the batch holds %d", ErrRequest, in.n, lc.NUBatch())
		}
		if err := lc.SetCausal(false); err != nil {
			return err
		}
		defer func() { _ = lc.SetCausal(true) }()
		limit = in.n
	}
	batch := llama.NewEmbeddingBatch(min(limit, in.n), 1, width, perEmbd)
	defer batch.Close()
	positions, err := in.place(s.next, perEmbd)
	if err != nil {
		return err
	}
	for from := 0; from < in.n; from += limit {
		batch.Clear()
		for i := from; i < min(from+limit, in.n); i++ {
			if err := batch.AddEmbedding(rows[i*width:(i+1)*width], positions[i][:perEmbd], false, 0); err != nil {
				return err
			}
		}
		if err := lc.Decode(ctx, batch); err != nil {
			s.resync(lc)
			return err
		}
	}
	for k, it := range p.items() {
		s.items = append(s.items, it)
		s.pos = append(s.pos, positions[k][0])
	}
	s.next += in.advance
	return nil
}

// place returns the positions of a picture's tokens, which begins at start. Models with one position a token count up.
func (in *pictureInput) place(start llama.Pos, perEmbd int) ([][4]llama.Pos, error) {
	if in.positions != nil && perEmbd > 1 {
		return in.positions(start)
	}
	list := make([][4]llama.Pos, in.n)
	for i := range list {
		p := start + llama.Pos(i)
		list[i] = [4]llama.Pos{p, p, p, 0}
	}
	return list, nil
}

// prefill brings the whole prompt into the cache and returns the index of the last token's output, and how many tokens were
// there already. encode runs the vision encoder, whose time goes to t.Encode.
func (m *Model) prefill(ctx context.Context, p *prompt, fresh bool, t *Timings) (output, cached int, err error) {
	s := &m.seq
	piecesHeld, tokensHeld := 0, 0
	if !fresh {
		piecesHeld, tokensHeld = s.shared(p)
	}
	for i := range piecesHeld {
		cached += len(p.pieces[i].items())
	}
	cached += tokensHeld
	left := 0
	if err := m.engine.thread.do(ctx, func() (err error) { left, err = s.cut(m.lc, cached); return err }); err != nil {
		return 0, 0, err
	}
	if left < cached {
		cached, piecesHeld, tokensHeld = 0, 0, 0
	}
	for i := piecesHeld; i < len(p.pieces); i++ {
		x := &p.pieces[i]
		last := i == len(p.pieces)-1
		if x.picture == nil {
			tokens := x.tokens
			if i == piecesHeld {
				tokens = tokens[tokensHeld:]
			}
			start := time.Now()
			err = m.engine.thread.do(ctx, func() (err error) { output, err = s.appendTokens(ctx, m.lc, tokens, last); return err })
			t.Prefill += time.Since(start)
		} else {
			err = m.see(ctx, x, t)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return output, cached, nil
}

// see encodes a picture and decodes its embeddings.
func (m *Model) see(ctx context.Context, x *piece, t *Timings) error {
	return m.engine.thread.do(ctx, func() error {
		start := time.Now()
		rows, err := m.vision.encode(ctx, x)
		t.Encode += time.Since(start)
		if err != nil {
			return err
		}
		start = time.Now()
		err = m.seq.appendPicture(ctx, m.lc, x, rows)
		t.Prefill += time.Since(start)
		return err
	})
}
