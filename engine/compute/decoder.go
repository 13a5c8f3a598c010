package compute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/cores"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// Decoder is a [sched.Decoder] over a context. Its methods are called on the compute thread.
type Decoder struct {
	// Pace says how many threads compute answers; nil for as many as the context was made with.
	Pace *cores.Pace
	// Rows is the most rows of a picture in a decode: as many as the context takes, or fewer.
	Rows int
	// Few is how many rows can be computed as each would be alone; 0 for none.
	Few int

	last       int  // entries of the last batch
	wasUniform bool // and whether they were computed so

	lc      *llama.Context
	tokens  *llama.Batch
	rows    *llama.Batch // nil until the first picture
	width   int          // of an embedding
	places  int          // positions of an embedding
	threads int          // of the context as it was made
}

// NewDecoder makes a decoder over a context, which it does not close.
func NewDecoder(lc *llama.Context) *Decoder {
	m := lc.Model()
	threads, _ := lc.Threads()
	return &Decoder{lc: lc, threads: threads, tokens: llama.NewTokenBatch(lc.NBatch(), 1),
		width: m.NEmbdInp(), places: m.NPosPerEmbd(), Rows: lc.NBatch()}
}

// Close frees the batches.
func (d *Decoder) Close() error {
	if d.rows != nil {
		d.rows.Close()
	}
	return d.tokens.Close()
}

// Decode implements [sched.Decoder].
func (d *Decoder) Decode(ctx context.Context, entries []sched.Entry) error {
	if err := d.batch(entries); err != nil {
		return err
	}
	if err := d.setThreads(len(entries), mostThreads(entries)); err != nil {
		return err
	}
	start := time.Now()
	err := d.compute(ctx, entries)
	if len(entries) > 0 {
		d.Pace.Computed(len(entries), int(entries[0].Pos), time.Since(start))
	}
	return err
}

// batch puts entries into the batch, and nothing else.
func (d *Decoder) batch(entries []sched.Entry) error {
	d.tokens.Clear()
	for _, e := range entries {
		if err := d.tokens.Add(e.Token, e.Pos, e.Output, e.Seq); err != nil {
			return err
		}
	}
	return nil
}

// compute decodes the entries that are in the batch. libllama would lay out no new graph for a
// batch that is uniform behind one of the same size that was not: it gets an entry more then, which
// is taken back. Where there is no room for that, the entries are computed as those before.
func (d *Decoder) compute(ctx context.Context, entries []sched.Entry) error {
	uniform := d.uniform(entries)
	again := uniform && !d.wasUniform && len(entries) == d.last
	d.wasUniform, d.last = uniform, len(entries)
	if !uniform {
		return d.lc.Decode(ctx, d.tokens)
	}
	if again && d.tokens.Len() < d.tokens.Cap() {
		end := entries[len(entries)-1]
		if err := d.tokens.Add(end.Token, end.Pos+1, true, end.Seq); err != nil {
			return err
		}
		err := d.lc.DecodeUniform(ctx, d.tokens)
		if err == nil {
			return d.lc.Memory().SeqRemove(end.Seq, end.Pos+1, -1)
		}
		if !errors.Is(err, llama.ErrNoRoom) {
			return err
		}
		if err := d.batch(entries); err != nil {
			return err
		}
	}
	d.wasUniform = !again
	return d.lc.DecodeUniform(ctx, d.tokens)
}

// uniform reports whether entries are computed as each would be alone, as tasks may ask for those
// of answers.
func (d *Decoder) uniform(entries []sched.Entry) bool {
	asked := false
	for _, e := range entries {
		if !e.Output {
			return false
		}
		asked = asked || e.Uniform
	}
	return asked && len(entries) < d.Few
}

// mostThreads is the most threads that the tasks of entries want, 0 for as many as there are.
func mostThreads(entries []sched.Entry) (most int) {
	for _, e := range entries {
		if e.Threads == 0 {
			return 0
		}
		most = max(most, e.Threads)
	}
	return most
}

// setThreads sets how many threads compute a decode of so many entries: most at most, unless that
// is 0.
func (d *Decoder) setThreads(entries, most int) error {
	n := cmp.Or(d.Pace.Threads(entries), d.threads)
	if most > 0 {
		n = min(n, most)
	}
	if Encoding() { // little is the CPU's here, and the tower's threads have the cores
		n = 1
	}
	if now, batch := d.lc.Threads(); now == n && batch == n {
		return nil
	}
	return d.lc.SetThreads(n, n)
}

// DecodeRows implements [sched.Decoder]. A picture that attends to itself in both directions goes
// through at once; others in as many pieces as the batch makes of them.
func (d *Decoder) DecodeRows(ctx context.Context, seq llama.Seq, rows []float32,
	places [][4]llama.Pos, causal bool) error {
	limit, err := d.pieces(rows, places, causal)
	if err != nil {
		return err
	}
	if err := d.setThreads(cores.AnswerRows+1, 0); err != nil {
		return err
	}
	if !causal {
		if err := d.lc.SetCausal(false); err != nil {
			return err
		}
		defer func() { _ = d.lc.SetCausal(true) }()
	}
	for from := 0; from < len(places); from += limit {
		if err := d.fill(rows, places, from, min(from+limit, len(places)), seq); err != nil {
			return err
		}
		if err := d.lc.Decode(ctx, d.rows); err != nil {
			return err
		}
	}
	return nil
}

// pieces is how many rows of a picture go through a decode, which makes as many of it as are
// needed. A picture that attends to itself in both directions must fit one.
func (d *Decoder) pieces(rows []float32, places [][4]llama.Pos,
	causal bool) (limit int, err error) {
	n := len(places)
	if len(rows) != n*d.width {
		return 0, fmt.Errorf("compute: %d numbers for %d image tokens of %d", len(rows), n, d.width)
	}
	if causal {
		return d.Rows, nil
	}
	if limit = d.lc.NUBatch(); n > limit {
		return 0, fmt.Errorf(
			"%w: a picture of %d tokens must be decoded at once, and the batch holds %d",
			fault.ErrRequest, n, limit)
	}
	return limit, nil
}

// fill puts rows [from, to) of a picture into the batch.
func (d *Decoder) fill(rows []float32, places [][4]llama.Pos, from, to int, seq llama.Seq) error {
	if d.rows == nil {
		d.rows = llama.NewEmbeddingBatch(max(d.lc.NBatch(), d.lc.NUBatch()), 1, d.width, d.places)
	}
	d.rows.Clear()
	for i := from; i < to; i++ {
		if err := d.rows.AddEmbedding(rows[i*d.width:(i+1)*d.width], places[i][:d.places], false,
			seq); err != nil {
			return err
		}
	}
	return nil
}

// State implements [sched.Decoder].
func (d *Decoder) State(seq llama.Seq) ([]byte, error) { return d.lc.SeqState(seq, 0) }

// SetState implements [sched.Decoder].
func (d *Decoder) SetState(seq llama.Seq, state []byte) error {
	return d.lc.SetSeqState(seq, state, 0)
}

// StateSize implements [sched.Decoder].
func (d *Decoder) StateSize(seq llama.Seq) (int, error) { return d.lc.StateSize(seq, 0) }
