package compute

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

const (
	// draftReads is how many tokens of a text that it does not know yet a draft model reads at a
	// time, beside running answers.
	draftReads = 64
	// draftSure is the least probability of a guess: those after one that is less sure are seldom
	// right.
	draftSure = 0.4
	// draftSpare is how many tokens of vocabulary the two models may differ by at the end, where
	// some pad.
	draftSpare = 128
)

// Drafter guesses tokens with a small language model. It reads the text of conversations and knows
// nothing of their pictures: a guess that is wrong for that is only time lost, of which the
// scheduler keeps count. It is a [sched.Drafter].
type Drafter struct {
	lm    *llama.Model
	lc    *llama.Context
	batch *llama.Batch
	most  int // tokens of the vocabulary that both models have
	seqs  map[uint64]*drafted
	free  []llama.Seq
}

// drafted is what the draft model has read of an answer.
type drafted struct {
	seq    llama.Seq
	tokens []llama.Token
}

// NewDrafter makes a drafter over lm, which it does not close, for the answers of another model. A
// context is made on the thread, as params say. Errors wrap engine's ErrMismatch where the models
// do not fit.
func NewDrafter(ctx context.Context, thread *Thread, lm, of *llama.Model,
	params llama.ContextParams) (d *Drafter, err error) {
	if lm.IsRecurrent() || lm.IsHybrid() {
		return nil, fmt.Errorf(
			"%w: the draft model %s is recurrent, and cannot take a wrong guess back",
			fault.ErrMismatch, lm.Path())
	}
	d = &Drafter{lm: lm, seqs: map[uint64]*drafted{}}
	if d.most, err = sameVocabulary(of.Vocab(), lm.Vocab()); err != nil {
		return nil, fmt.Errorf("%w: the draft model %s: %w", fault.ErrMismatch, lm.Path(), err)
	}
	err = thread.Do(ctx, func() (err error) {
		d.lc, err = llama.NewContext(lm, params)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("engine: the draft model: %w", err)
	}
	d.batch = llama.NewTokenBatch(d.lc.NBatch(), 1)
	for seq := range d.lc.NSeqMax() {
		d.free = append(d.free, llama.Seq(seq))
	}
	return d, nil
}

// sameVocabulary returns how many tokens two vocabularies have in common, which must be all but
// some at the end.
func sameVocabulary(a, b *llama.Vocab) (int, error) {
	n := min(a.N(), b.N())
	if max(a.N(), b.N())-n > draftSpare {
		return 0, fmt.Errorf(
			"its vocabulary has %d tokens, the model's %d; they must be of one family", b.N(),
			a.N())
	}
	for t := range llama.Token(n) {
		if a.Text(t) != b.Text(t) {
			return 0, fmt.Errorf("its token %d is %q, the model's %q; they must be of one family",
				t, b.Text(t), a.Text(t))
		}
	}
	return n, nil
}

// Close frees the context, on the compute thread.
func (d *Drafter) Close() error { return errors.Join(d.batch.Close(), d.lc.Close()) }

// Forget implements [sched.Drafter].
func (d *Drafter) Forget(id uint64) {
	if s := d.seqs[id]; s != nil {
		_ = d.lc.Memory().SeqRemove(s.seq, -1, -1)
		d.free = append(d.free, s.seq)
		delete(d.seqs, id)
	}
}

// Draft implements [sched.Drafter]. After an error what was read is forgotten, and read again the
// next time.
func (d *Drafter) Draft(ctx context.Context, sketches []*sched.Sketch) error {
	err := d.draft(ctx, sketches)
	if err != nil {
		for _, k := range sketches {
			k.Tokens = nil
			d.Forget(k.ID)
		}
	}
	return err
}

func (d *Drafter) draft(ctx context.Context, sketches []*sched.Sketch) error {
	d.batch.Clear()
	type line struct {
		k      *sched.Sketch
		s      *drafted
		output int
	}
	var lines []line
	for _, k := range sketches {
		s, ready, err := d.read(k)
		if err != nil {
			return err
		}
		if ready {
			lines = append(lines, line{k, s, d.batch.Len() - 1})
		}
	}
	for d.batch.Len() > 0 {
		if err := d.lc.Decode(ctx, d.batch); err != nil {
			return err
		}
		d.batch.Clear()
		next := lines[:0]
		for _, l := range lines {
			t, sure, err := d.best(l.output)
			if err != nil {
				return err
			}
			if !sure {
				continue
			}
			l.k.Tokens = append(l.k.Tokens, t)
			if len(l.k.Tokens) == l.k.Most || d.lm.Vocab().IsEOG(t) {
				continue
			}
			l.output = d.batch.Len()
			if err := d.add(l.s, t, true); err != nil {
				return err
			}
			next = append(next, l)
		}
		lines = next
	}
	return nil
}

// read puts what the model has not read yet of a text into the batch, the last token with an
// output. It returns false if there is more than is read at once, or no room.
func (d *Drafter) read(k *sched.Sketch) (*drafted, bool, error) {
	s := d.seqs[k.ID]
	if s == nil {
		if len(d.free) == 0 {
			return nil, false, nil
		}
		s = &drafted{seq: d.free[len(d.free)-1]}
		d.free = d.free[:len(d.free)-1]
		d.seqs[k.ID] = s
	}
	text := kv.Tokens(k.Items)
	if len(text) == 0 || len(text)+k.Most > d.lc.NCtxSeq() ||
		d.batch.Len()+draftReads > d.batch.Cap() || int(slices.Max(text)) >= d.most {
		return s, false, nil
	}
	same := 0
	for same < min(len(s.tokens), len(text)-1) && s.tokens[same] == text[same] {
		same++
	}
	if same < len(s.tokens) {
		if err := d.lc.Memory().SeqRemove(s.seq, llama.Pos(same), -1); err != nil {
			return s, false, err
		}
		s.tokens = s.tokens[:same]
	}
	rest := text[same:]
	ready := len(rest) <= draftReads
	if !ready {
		rest = rest[:draftReads]
	}
	for i, t := range rest {
		if err := d.add(s, t, ready && i == len(rest)-1); err != nil {
			return s, false, err
		}
	}
	return s, ready, nil
}

func (d *Drafter) add(s *drafted, t llama.Token, output bool) error {
	err := d.batch.Add(t, llama.Pos(len(s.tokens)), output, s.seq)
	s.tokens = append(s.tokens, t)
	return err
}

// best is the most probable token at an output, and whether it is probable enough to be a guess.
func (d *Drafter) best(output int) (llama.Token, bool, error) {
	logits, err := d.lc.Logits(output)
	if err != nil {
		return 0, false, err
	}
	at := 0
	for i, x := range logits {
		if x > logits[at] {
			at = i
		}
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x - logits[at]))
	}
	return llama.Token(at), at < d.most && 1/sum >= draftSure, nil
}
