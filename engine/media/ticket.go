package media

import (
	"context"
	"slices"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Picture is a picture, or a part of one, that is to be encoded if its embeddings are not known.
type Picture struct {
	Key kv.Key
	// Values is how many numbers its rows have: image tokens by the width of the embeddings.
	Values int
	// Begin begins to encode it. It is called in Advance when its turn comes, at most once. A picture without can only be found.
	Begin func() (vision.Job, error)
	// Close, if any, is called once when Begin and the job will not be used again, however that came about, from the goroutine that
	// calls the Encoder's methods.
	Close func()
}

func (p *Picture) close() {
	if p.Close != nil {
		p.Close()
	}
}

// Ticket is the want of one picture. It is used by the goroutine that uses its [Encoder].
type Ticket struct {
	encoder *Encoder
	job     *job        // nil when it is done
	rows    *Embeddings // held until Release
	err     error
}

// Done reports whether there are rows or an error.
func (t *Ticket) Done() bool { return t.job == nil }

// Rows returns the embeddings, row after row, shared and not to be written to: nil until Done, after an error, and after Release.
func (t *Ticket) Rows() []float32 {
	if t.rows == nil {
		return nil
	}
	return t.rows.Rows()
}

// Err is why there are no rows: ErrUnknown, ErrClosed, what went wrong when the picture was encoded, or context.Canceled after a
// Release that came first.
func (t *Ticket) Err() error { return t.err }

// Release ends the want. Rows may leave the cache; the job of a picture that nobody else wants is dropped, with what it had computed.
// Releasing again does nothing.
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

// job is the making of one key's embeddings: they are read from disk, or the picture waits for its turn, or it is encoded.
type job struct {
	picture Picture
	order   uint64 // when it was first wanted
	tickets []*Ticket
	run     vision.Job         // nil until begun
	cancel  context.CancelFunc // of a long job that runs
}

// finish answers the tickets and frees all that the job has. Rows are released here: each ticket holds them itself.
func (j *job) finish(rows *Embeddings, err error) error {
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
	return j.close()
}

// close frees the job's buffers and the picture.
func (j *job) close() (err error) {
	if j.cancel != nil {
		j.cancel()
	}
	if j.run != nil {
		err = j.run.Close()
	}
	j.picture.close()
	return err
}
