package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// mostReaderCells is the most items of a prompt that the reader takes: its memory is a second KV
// cache.
const mostReaderCells = 4096

// readerCells is how many cells the reader of a model may have; 0 for no reader, which is the case
//
//   - with one request at a time, whom nobody could disturb;
//   - where the state is recurrent: it has no cells that could be moved, so that each portion would
//     copy all of it, and a hybrid's whole KV cache with it;
//   - on GPUs: a graph can pause between nodes only where the CPU computes them, and on a device
//     each pause would wait for all that was sent to it;
//   - with an encoder, whose outputs belong to one context.
func (m *Model) readerCells(spec ModelSpec) int {
	if spec.Parallel < 2 || m.rigid() || !m.lm.OnCPU() || m.lm.HasEncoder() ||
		!m.lm.HasDecoder() {
		return 0
	}
	return min(cmp.Or(m.cells, mostReaderCells), mostReaderCells) // 0 before there is a context
}

// readerOutputs is how many logits of a decode a reader makes room for. It asks for none.
const readerOutputs = 2

// reader is a second context of a model, in which prompts are read bit by bit while answers are
// computed in the first one. It is a [sched.Reader].
type reader struct {
	model  *Model
	params llama.ContextParams // of the first context
	spare  llama.Seq           // of the first context, which its cache does not use
	*decoder
	step *llama.Stepwise
	// begins what does not fit the batch; nil if nothing is left
	rest func() (*llama.Stepwise, error)
}

// Sequences of the reader's context: what it reads, and what is on its way out.
const readSeq, moveSeq = llama.Seq(0), llama.Seq(1)

// Open implements [sched.Reader].
func (r *reader) Open(cells int) error {
	r.Release()
	p := r.params
	p.NCtx, p.NSeqMax, p.OutputsMax, p.Steps = cells, 2, readerOutputs, true
	lc, err := r.model.makeContext(p)
	if err == nil {
		r.decoder = newDecoder(lc)
	}
	return err
}

// Release implements [sched.Reader].
func (r *reader) Release() {
	if r.decoder != nil {
		_ = r.decoder.lc.Close()
		_ = r.decoder.Close()
		r.decoder, r.step, r.rest = nil, nil, nil
	}
}

// Load implements [sched.Reader].
func (r *reader) Load(seq llama.Seq) error {
	first := r.model.lc
	if first.Memory().SeqPosMax(seq) < 0 {
		return r.lc.Memory().SeqRemove(readSeq, -1, -1)
	}
	state, err := first.SeqState(seq, 0)
	if err != nil {
		return err
	}
	return r.lc.SetSeqState(readSeq, state, 0)
}

// Begin implements [sched.Reader].
func (r *reader) Begin(ctx context.Context, entries []sched.Entry) (err error) {
	r.tokens.Clear()
	for _, e := range entries {
		if err := r.tokens.Add(e.Token, e.Pos, false, readSeq); err != nil {
			return err
		}
	}
	r.step, err = r.lc.Begin(ctx, r.tokens)
	return err
}

// BeginRows implements [sched.Reader].
func (r *reader) BeginRows(ctx context.Context, rows []float32, places [][4]llama.Pos,
	causal bool) (err error) {
	pieces, err := r.pieces(rows, places, causal)
	if err != nil {
		return err
	}
	from := 0
	r.rest = func() (*llama.Stepwise, error) {
		if err := r.fill(rows, places, from, min(from+pieces, len(places)), readSeq); err != nil {
			return nil, err
		}
		if from += pieces; from >= len(places) {
			r.rest = nil
		}
		if err := r.lc.SetCausal(causal); err != nil {
			return nil, err
		}
		return r.lc.Begin(ctx, r.rows)
	}
	if r.step, err = r.rest(); err != nil {
		r.rest = nil
		_ = r.lc.SetCausal(true)
	}
	return err
}

// Advance implements [sched.Reader].
func (r *reader) Advance(d time.Duration) (done bool, err error) {
	if r.step == nil {
		return true, errors.New("engine: the reader has nothing to read")
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
		err = errors.Join(err, r.lc.SetCausal(true))
	}
	return done, err
}

// Longest implements [sched.Reader].
func (r *reader) Longest() time.Duration {
	if r.step == nil {
		return 0
	}
	return r.step.Longest()
}

// Stop implements [sched.Reader].
func (r *reader) Stop() {
	if r.decoder != nil && r.step != nil {
		r.step.Stop()
		r.step, r.rest = nil, nil
		_ = r.lc.SetCausal(true)
	}
}

// Move implements [sched.Reader].
func (r *reader) Move(seq llama.Seq, p0, p1 llama.Pos) (int, error) {
	own, first := r.lc.Memory(), r.model.lc.Memory()
	if err := own.SeqCopy(readSeq, moveSeq, p0, p1); err != nil {
		return 0, err
	}
	state, err := r.lc.SeqState(moveSeq, 0)
	if err = errors.Join(err, own.SeqRemove(moveSeq, -1, -1)); err != nil {
		return 0, err
	}
	if err := r.model.lc.SetSeqState(r.spare, state, 0); err != nil {
		return 0, fmt.Errorf("engine: taking over what was read: %w", err)
	}
	err = first.SeqCopy(r.spare, seq, p0, p1)
	return len(state), errors.Join(err, first.SeqRemove(r.spare, -1, -1))
}
