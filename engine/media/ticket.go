package media

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/models/vision"
)

// Ticket is the want of one picture. It is used by the goroutine that uses its [Encoder].
type Ticket struct {
	encoder *Encoder
	job     *job        // nil when it is done
	rows    *Embeddings // held until Release
	err     error
}

// Done reports whether there are rows or an error.
func (t *Ticket) Done() bool { return t.job == nil }

// Decoding reports whether the picture is yet to be decoded, or found on disk.
func (t *Ticket) Decoding() bool {
	return t.job != nil && (t.job.opening == nil || t.job.opening.input == nil)
}

// Rows returns the embeddings, row after row, shared and not to be written to: nil until Done,
// after an error, and after Release.
func (t *Ticket) Rows() []float32 {
	if t.rows == nil {
		return nil
	}
	return t.rows.Rows()
}

// Err is why there are no rows: ErrUnknown, ErrClosed, what went wrong when the picture was
// encoded, or context.Canceled after a Release that came first.
func (t *Ticket) Err() error { return t.err }

// Release ends the want. Rows may leave the cache; the job of a picture that nobody else wants is
// dropped, with what it had computed. Releasing again does nothing.
func (t *Ticket) Release() {
	if t.rows != nil {
		t.rows.Release()
		return
	}
	j := t.job
	if j == nil {
		return
	}
	t.job, t.err = nil, context.Canceled
	j.tickets = slices.DeleteFunc(j.tickets, func(other *Ticket) bool { return other == t })
	if len(j.tickets) == 0 {
		t.encoder.drop(j)
	}
}

// job is the making of one key's embeddings: they are read from disk, or the picture waits to be
// decoded and for its turn, or it is encoded.
type job struct {
	picture *Picture
	order   uint64 // when it was first wanted
	tickets []*Ticket
	opening *opening   // of the picture's source; nil before it is decoded
	run     vision.Job // nil until begun
	lent    func()     // stops a Loan of it; nil while there is none
}

// advance does up to that many steps of a job that was begun.
func (j *job) advance(ctx context.Context, steps int) (ran int, took time.Duration, err error) {
	before, total := j.run.Progress()
	if before >= total {
		return 0, 0, nil
	}
	start := time.Now()
	err = j.run.Advance(ctx, min(steps, total-before))
	took = time.Since(start)
	done, _ := j.run.Progress()
	if ran = max(0, done-before); ran == 0 && err == nil {
		err = errors.New("media: the job makes no progress")
	}
	return ran, took, err
}

// answer tells the tickets. Rows are released here: each ticket holds them itself.
func (j *job) answer(rows *Embeddings, err error) {
	for _, t := range j.tickets {
		t.job, t.err = nil, err
		if rows != nil {
			t.rows = rows.share()
		}
	}
	j.tickets = nil
	if rows != nil {
		rows.Release()
	}
}
