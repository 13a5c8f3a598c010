package quantize

import (
	"context"
	"fmt"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Meter measures how far the image tokens of a tower with other weights are from those of the
// original, over some pictures. Its methods compute on the OpenMP team of the calling thread, and
// must be called from the compute thread of the process.
type Meter struct {
	pictures  []*imaging.RGB
	threads   int
	reference []float32 // rows of all pictures
	width     int
}

// NewMeter encodes the pictures, one at least, with the original tower in float32. Towers that
// package vision does not know give vision.ErrUnknownTower.
func NewMeter(ctx context.Context, original *gguf.File, pictures []*imaging.RGB,
	threads int) (*Meter, error) {
	m := &Meter{pictures: pictures, threads: threads}
	if len(pictures) == 0 {
		return nil, fmt.Errorf("quantize: %w: no picture to measure with", ErrOptions)
	}
	var err error
	m.reference, m.width, err = m.encode(ctx, original)
	return m, err
}

// encode returns the rows of all pictures and their width.
func (m *Meter) encode(ctx context.Context, f *gguf.File) (rows []float32, width int, err error) {
	tower, err := vision.LoadNative(f, vision.NativeOptions{Precision: nn.F32, Threads: m.threads})
	if err != nil {
		return nil, 0, fmt.Errorf("quantize: %s: %w", f.Path(), err)
	}
	defer tower.Close()
	for _, picture := range m.pictures {
		in, err := vision.Preprocess(ctx, tower, picture)
		if err != nil {
			return nil, 0, fmt.Errorf("quantize: %w", err)
		}
		part, err := vision.Encode(ctx, tower, in)
		if err != nil {
			return nil, 0, err
		}
		rows = append(rows, part...)
	}
	return rows, tower.Info().Width, nil
}

// Measure compares the image tokens that the plan's file would make with the original's.
func (m *Meter) Measure(ctx context.Context, p *Plan) (vision.Difference, error) {
	f, err := p.Memory(ctx, m.threads)
	if err != nil {
		return vision.Difference{}, err
	}
	defer f.Close()
	return m.MeasureFile(ctx, f)
}

// MeasureFile compares the image tokens of a file with the original's.
func (m *Meter) MeasureFile(ctx context.Context, f *gguf.File) (vision.Difference, error) {
	rows, width, err := m.encode(ctx, f)
	if err != nil {
		return vision.Difference{}, err
	}
	if width != m.width || len(rows) != len(m.reference) {
		return vision.Difference{},
			fmt.Errorf("quantize: %s is another tower: its image tokens are %d wide, not %d",
				f.Path(), width, m.width)
	}
	return vision.Compare(rows, m.reference, width), nil
}
