package libmtmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/vision"
)

var (
	errJobClosed  = errors.New("libmtmd: the job is closed")
	errUnfinished = errors.New(
		"libmtmd: the picture is not fully encoded; advance the job to its end first")
)

// prepared is what the library keeps of a picture, behind a [vision.Input]: a chunk for each part.
type prepared struct {
	owners []*mtmd.Chunks
	parts  []*mtmd.Chunk
}

// Close frees the chunks.
func (p *prepared) Close() (err error) {
	for _, chunks := range p.owners {
		err = errors.Join(err, chunks.Close())
	}
	p.owners = nil
	return err
}

// add lets the library take a picture in, and keeps the chunks of its parts from the given one on,
// counted from the last if that is negative.
func (e *Encoder) add(p *prepared, img *imaging.RGB, from int) error {
	if err := img.Check(); err != nil {
		return err
	}
	bitmap, err := mtmd.Image("", img.W, img.H, img.Pix)
	if err != nil {
		return err
	}
	chunks, err := e.tokenize(bitmap)
	if err != nil {
		return err
	}
	p.owners = append(p.owners, chunks)
	parts := pictureChunks(chunks)
	if from < 0 {
		from += len(parts)
	}
	p.parts = append(p.parts, parts[from:]...)
	return nil
}

// Prepare implements [vision.Encoder].
func (e *Encoder) Prepare(ctx context.Context, plan *vision.Plan,
	img *imaging.RGB) (in *vision.Input, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &prepared{}
	in = &vision.Input{Tokens: plan.Tokens(), Parts: len(plan.Parts), Foreign: p}
	defer func() {
		if err != nil {
			in, err = nil, errors.Join(err, p.Close())
		}
	}()
	views, last := []*imaging.RGB{img}, 0
	if e.rule != nil {
		rule, err := e.ruleWithin(plan.W, plan.H, plan.Within).Plan(plan.W, plan.H)
		if err != nil {
			return in, err
		}
		if views, err = rule.Pictures(ctx, img); err != nil {
			return in, err
		}
		last = -1
	}
	for _, view := range views {
		if err := e.add(p, view, last); err != nil {
			return in, err
		}
		in.ForeignBytes += int64(4 * len(view.Pix)) // the library keeps floats
	}
	if len(p.parts) != len(plan.Parts) {
		return in, fmt.Errorf(
			"libmtmd makes %d parts of %d x %d pixels, and %d of such a picture without pixels",
			len(p.parts), img.W, img.H, len(plan.Parts))
	}
	for i, c := range p.parts {
		if n := plan.Parts[i].Tokens; c.NTokens != n {
			return in, fmt.Errorf(
				"libmtmd makes %d tokens of part %d, and %d of such a picture without pixels",
				c.NTokens, i, n)
		}
	}
	return in, nil
}

// ownPart is the first part to keep of a picture that is a tile already: the last, where a layout
// has cut it, since what libmtmd cuts of it besides comes before.
func (e *Encoder) ownPart() int {
	if e.rule != nil {
		return -1
	}
	return 0
}

// job encodes chunks, one after the other. A step is a piece of the library's graph; how many there
// will be is not known before the end.
type job struct {
	tower  *Encoder
	chunks []*mtmd.Chunk
	now    *mtmd.Encoding // of the chunk that is being encoded; nil between two
	steps  int
	own    *prepared // of a job that was given tiles
	out    []float32
	done   int
	closed bool
}

// Begin implements [vision.Encoder]. An Input of tiles alone makes the rows of one after those of
// the other.
func (e *Encoder) Begin(in *vision.Input, part int) (_ vision.Job, err error) {
	p, ok := in.Foreign.(*prepared)
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed
	case ok && (part < 0 || part >= len(p.parts)):
		return nil, fmt.Errorf("libmtmd: part %d of %d", part, len(p.parts))
	case ok:
		return &job{tower: e, chunks: p.parts[part : part+1]}, nil
	case len(in.Tiles) == 0 || part != 0:
		return nil, errors.New("libmtmd: the input has no pictures")
	}
	j := &job{tower: e, own: &prepared{}}
	tokens := 0
	for i, img := range in.Tiles {
		if err := e.add(j.own, img, e.ownPart()); err != nil {
			j.Close()
			return nil, fmt.Errorf("libmtmd: picture %d: %w", i, err)
		}
	}
	j.chunks = j.own.parts
	for _, c := range j.chunks {
		tokens += c.NTokens
	}
	if tokens != in.Tokens {
		j.Close()
		return nil, fmt.Errorf("libmtmd: the input says %d tokens; its pictures make %d", in.Tokens,
			tokens)
	}
	return j, nil
}

// unknownSteps is more than the library takes for any chunk: the number of steps is known at the
// end alone.
const unknownSteps = 1 << 16

// Progress implements [vision.Job]. Until the job is done, its total is more than what will be.
func (j *job) Progress() (done, total int) {
	return j.steps, j.steps + unknownSteps*(len(j.chunks)-j.done)
}

// Advance implements [vision.Job].
func (j *job) Advance(ctx context.Context, steps int) error {
	if j.closed {
		return errJobClosed
	}
	for ; steps > 0 && j.done < len(j.chunks); steps-- {
		if err := j.step(ctx); err != nil {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, mtmd.ErrClosed):
				return errClosed
			}
			return fmt.Errorf("libmtmd: %w", err)
		}
	}
	return nil
}

// step goes on to the next place where the library can pause.
func (j *job) step(ctx context.Context) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if j.now == nil {
		// The encoding outlives this call's context: a later one may go on with it.
		if j.now, err = j.tower.c.Begin(context.WithoutCancel(ctx), j.chunks[j.done]); err != nil {
			return err
		}
	}
	done, err := j.now.Advance(0)
	if err != nil {
		return err
	}
	j.steps++
	if done {
		rows := j.now.Rows()
		if j.now, j.done = nil, j.done+1; j.done == 1 {
			j.out = rows
		} else {
			j.out = append(j.out, rows...)
		}
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
func (j *job) Close() error {
	if j.closed {
		return nil
	}
	j.closed, j.out = true, nil
	if j.now != nil {
		j.now.Leave()
	}
	if j.own != nil {
		return j.own.Close()
	}
	return nil
}
