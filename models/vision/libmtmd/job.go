package libmtmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/models/vision"
)

var (
	errJobClosed  = errors.New("libmtmd: the job is closed")
	errUnfinished = errors.New("libmtmd: the picture is not fully encoded; advance the job to its end first")
)

// job encodes the chunks of an Input's pictures, one a step.
type job struct {
	tower    *Encoder
	pictures []*mtmd.Chunks
	chunks   []*mtmd.Chunk // those of all pictures that have embeddings
	out      []float32
	done     int
	closed   bool
}

// Begin implements [vision.Encoder]. An Input of several pictures makes the rows of one after those of the other.
func (e *Encoder) Begin(in *vision.Input) (vision.Job, error) {
	j := &job{tower: e}
	tokens := 0
	for i, img := range in.Tiles {
		if err := img.Check(); err != nil {
			j.Close()
			return nil, fmt.Errorf("libmtmd: picture %d: %w", i, err)
		}
		chunks, err := e.layOut(img)
		if err != nil {
			j.Close()
			return nil, err
		}
		j.pictures = append(j.pictures, chunks)
		for _, c := range pictureChunks(chunks) {
			j.chunks = append(j.chunks, c)
			tokens += c.NTokens
		}
	}
	switch {
	case len(j.chunks) == 0:
		return nil, errors.New("libmtmd: the input has no pictures")
	case tokens != in.Tokens:
		j.Close()
		return nil, fmt.Errorf("libmtmd: the input says %d tokens; its pictures make %d", in.Tokens, tokens)
	}
	j.out = make([]float32, 0, tokens*e.info.Width)
	return j, nil
}

// Progress implements [vision.Job].
func (j *job) Progress() (done, total int) { return j.done, len(j.chunks) }

// Advance implements [vision.Job].
func (j *job) Advance(ctx context.Context, steps int) error {
	if j.closed {
		return errJobClosed
	}
	for end := j.done + min(max(steps, 0), len(j.chunks)-j.done); j.done < end; j.done++ {
		rows, err := j.tower.c.EncodeChunk(ctx, j.chunks[j.done])
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, mtmd.ErrClosed):
			return errClosed
		default:
			return fmt.Errorf("libmtmd: %w", err)
		}
		j.out = append(j.out, rows...)
	}
	return nil
}

// Rows implements [vision.Job].
func (j *job) Rows() ([]float32, error) {
	switch {
	case j.closed:
		return nil, errJobClosed
	case j.done < len(j.chunks):
		return nil, errUnfinished
	}
	return j.out, nil
}

// Close implements [vision.Job].
func (j *job) Close() (err error) {
	if j.closed {
		return nil
	}
	j.closed = true
	for _, chunks := range j.pictures {
		err = errors.Join(err, chunks.Close())
	}
	j.pictures, j.out = nil, nil
	return err
}
