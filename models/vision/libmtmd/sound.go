package libmtmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/mmproj"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Ears is the encoder of sounds in a projector file. What it makes of a sound is encoded as the
// parts of a picture are.
type Ears struct {
	e    *Encoder
	rate int
}

// OpenEars loads the encoder of sounds of an mmproj file for a language model. Errors name the
// file.
func OpenEars(ctx context.Context, path string, opt Options) (*Ears, error) {
	ears, err := loadEars(ctx, path, opt)
	if err == nil {
		return ears, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("libmtmd: %s: %w", path, err)
}

func loadEars(ctx context.Context, path string, opt Options) (*Ears, error) {
	if opt.Model == nil {
		return nil, errors.New("sounds are encoded for a language model alone")
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e := &Encoder{sizes: map[[2]int]*vision.Plan{}, model: opt.Model}
	e.info.Backend = "mtmd"
	if e.info.Projector, err = mmproj.CheckEars(f); err != nil {
		return nil, err
	}
	if e.info.Identity, err = mmproj.Identity(ctx, f, e.info.Projector); err != nil {
		return nil, err
	}
	params := mtmd.Params{Threads: opt.Threads, NoAccelerator: opt.NoAccelerator}
	opt.place(&params)
	if e.c, err = mtmd.New(ctx, path, opt.Model, params); err != nil {
		return nil, err
	}
	caps := e.c.Capabilities()
	if !caps.Audio || caps.AudioSampleRate < 1 {
		e.Close()
		return nil, errors.New("it has no encoder of sounds that libmtmd knows")
	}
	e.info.Width = e.c.NEmbd()
	return &Ears{e: e, rate: caps.AudioSampleRate}, nil
}

// Info names the projector and what the embeddings depend on.
func (s *Ears) Info() vision.Info { return s.e.info }

// Rate is how many samples a second the encoder takes.
func (s *Ears) Rate() int { return s.rate }

// Hear lets the library take a sound in, one channel at Rate, and says what the prompt has in its
// place. The input is the caller's to close.
func (s *Ears) Hear(ctx context.Context, samples []float32) (*vision.Plan, *vision.Input, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	bitmap, err := mtmd.Audio("", samples)
	if err != nil {
		return nil, nil, err
	}
	chunks, err := s.e.tokenize(bitmap)
	if err != nil {
		return nil, nil, err
	}
	plan, err := s.e.planOf(chunks)
	if err != nil {
		return nil, nil, errors.Join(err, chunks.Close())
	}
	p := &prepared{owners: []*mtmd.Chunks{chunks}, parts: pictureChunks(chunks)}
	return plan, &vision.Input{Tokens: plan.Tokens(), Parts: len(p.parts), Foreign: p,
		ForeignBytes: int64(4 * len(samples))}, nil
}

// Begin is that of [vision.Encoder].
func (s *Ears) Begin(in *vision.Input, part int) (vision.Job, error) { return s.e.Begin(in, part) }

// Close frees the encoder.
func (s *Ears) Close() error { return s.e.Close() }
