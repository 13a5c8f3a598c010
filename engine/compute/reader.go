package compute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

const (
	// MostReaderCells is the most items of a prompt that a Reader takes: its memory is a second KV
	// cache.
	MostReaderCells = 4096
	// ReaderOutputs is how many logits of a decode a Reader makes room for. It asks for none.
	ReaderOutputs = 2
)

// ReaderCells returns how many cells the Reader of a model may have beside a context of so many; 0
// for no Reader. A context of 0 cells is one that is not made yet. There is no Reader
//
//   - with one request at a time, whom nobody could disturb;
//   - where the state is recurrent: it has no cells that could be moved, so that each portion would
//     copy all of it, and a hybrid's whole KV cache with it;
//   - on GPUs: a graph can pause between nodes only where the CPU computes them, and on a device
//     each pause would wait for all that was sent to it;
//   - with an encoder, whose outputs belong to one context.
func ReaderCells(lm *llama.Model, cells, parallel int) int {
	if parallel < 2 || lm.IsRecurrent() || lm.IsHybrid() || !lm.OnCPU() || lm.HasEncoder() ||
		!lm.HasDecoder() {
		return 0
	}
	return min(cmp.Or(cells, MostReaderCells), MostReaderCells)
}

// Reader is a second context of a model, in which prompts are read bit by bit while answers are
// computed in the first one. It is a [sched.Reader].
type Reader struct {
	first  *llama.Context
	spare  llama.Seq // of the first context, which its cache does not use
	params llama.ContextParams
	make   func(llama.ContextParams) (*llama.Context, error)
	own    *Decoder // nil while it is closed
	step   *llama.Stepwise
	// begins what does not fit the batch; nil if nothing is left
	rest func() (*llama.Stepwise, error)
}

// NewReader returns a reader beside the first context of a model, which was made with params, as
// the second will be by the function given. The sequence is one of the first context that nobody
// uses.
func NewReader(first *llama.Context, spare llama.Seq, params llama.ContextParams,
	make func(llama.ContextParams) (*llama.Context, error)) *Reader {
	return &Reader{first: first, spare: spare, params: params, make: make}
}

// Sequences of the reader's context: what it reads, and what is on its way out.
const readSeq, moveSeq = llama.Seq(0), llama.Seq(1)

// Open implements [sched.Reader].
func (r *Reader) Open(cells int) error {
	r.Release()
	p := r.params
	p.NCtx, p.NSeqMax, p.OutputsMax, p.Steps = cells, 2, ReaderOutputs, true
	lc, err := r.make(p)
	if err == nil {
		r.own = NewDecoder(lc)
	}
	return err
}

// Release implements [sched.Reader].
func (r *Reader) Release() {
	if r.own != nil {
		_ = r.own.lc.Close()
		_ = r.own.Close()
		r.own, r.step, r.rest = nil, nil, nil
	}
}

// Load implements [sched.Reader].
func (r *Reader) Load(seq llama.Seq) error {
	if r.first.Memory().SeqPosMax(seq) < 0 {
		return r.own.lc.Memory().SeqRemove(readSeq, -1, -1)
	}
	state, err := r.first.SeqState(seq, 0)
	if err != nil {
		return err
	}
	return r.own.lc.SetSeqState(readSeq, state, 0)
}

// Begin implements [sched.Reader].
func (r *Reader) Begin(ctx context.Context, entries []sched.Entry) (err error) {
	r.own.tokens.Clear()
	for _, e := range entries {
		if err := r.own.tokens.Add(e.Token, e.Pos, false, readSeq); err != nil {
			return err
		}
	}
	r.step, err = r.own.lc.Begin(ctx, r.own.tokens)
	return err
}

// BeginRows implements [sched.Reader].
func (r *Reader) BeginRows(ctx context.Context, rows []float32, places [][4]llama.Pos,
	causal bool) (err error) {
	pieces, err := r.own.pieces(rows, places, causal)
	if err != nil {
		return err
	}
	from := 0
	r.rest = func() (*llama.Stepwise, error) {
		to := min(from+pieces, len(places))
		if err := r.own.fill(rows, places, from, to, readSeq); err != nil {
			return nil, err
		}
		if from = to; from >= len(places) {
			r.rest = nil
		}
		if err := r.own.lc.SetCausal(causal); err != nil {
			return nil, err
		}
		return r.own.lc.Begin(ctx, r.own.rows)
	}
	if r.step, err = r.rest(); err != nil {
		r.rest = nil
		_ = r.own.lc.SetCausal(true)
	}
	return err
}

// Advance implements [sched.Reader].
func (r *Reader) Advance(d time.Duration) (done bool, err error) {
	if r.step == nil {
		return true, errors.New("compute: the reader has nothing to read")
	}
	start := time.Now()
	for {
		done, err = r.step.Advance(d - time.Since(start))
		if !done || err != nil || r.rest == nil {
			break
		}
		if r.step, err = r.rest(); err != nil {
			done = true
			break
		}
	}
	if done {
		r.rest = nil
		err = errors.Join(err, r.own.lc.SetCausal(true))
	}
	return done, err
}

// Longest implements [sched.Reader].
func (r *Reader) Longest() time.Duration {
	if r.step == nil {
		return 0
	}
	return r.step.Longest()
}

// Stop implements [sched.Reader].
func (r *Reader) Stop() {
	if r.own != nil && r.step != nil {
		r.step.Stop()
		r.step, r.rest = nil, nil
		_ = r.own.lc.SetCausal(true)
	}
}

// Move implements [sched.Reader].
func (r *Reader) Move(seq llama.Seq, p0, p1 llama.Pos) (int, error) {
	read, first := r.own.lc.Memory(), r.first.Memory()
	if err := read.SeqCopy(readSeq, moveSeq, p0, p1); err != nil {
		return 0, err
	}
	state, err := r.own.lc.SeqState(moveSeq, 0)
	if err = errors.Join(err, read.SeqRemove(moveSeq, -1, -1)); err != nil {
		return 0, err
	}
	if err := r.first.SetSeqState(r.spare, state, 0); err != nil {
		return 0, fmt.Errorf("compute: taking over what was read: %w", err)
	}
	err = first.SeqCopy(r.spare, seq, p0, p1)
	return len(state), errors.Join(err, first.SeqRemove(r.spare, -1, -1))
}
