package libmtmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// HasSound reports whether a projector file has an encoder of sounds, HasVision whether it has a
// vision tower. Files from before the keys have a tower.
func HasSound(f *gguf.File) bool {
	has, _ := f.Bool("clip.has_audio_encoder")
	return has
}

// HasVision is the counterpart of HasSound.
func HasVision(f *gguf.File) bool {
	has, ok := f.Bool("clip.has_vision_encoder")
	return has || !ok && !HasSound(f)
}

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
	if e.info.Projector, err = checkEars(f); err != nil {
		return nil, err
	}
	if e.info.Identity, err = identity(ctx, f, e.info.Projector); err != nil {
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

// checkEars compares the numbers that a file states about its encoder with bounds and with its
// tensors, beyond which libmtmd aborts or reads where nothing is, and returns the kind of its
// projector.
func checkEars(f *gguf.File) (kind string, err error) {
	if arch := f.Architecture(); arch != "clip" {
		return "", fmt.Errorf(
			"a model of the architecture %q, not a projector; give the mmproj file", arch)
	}
	for _, key := range []string{"clip.audio.projector_type", "clip.projector_type"} {
		if kind, _ = f.Str(key); kind != "" {
			break
		}
	}
	if kind == "" {
		return "", errors.New("clip.audio.projector_type is missing")
	}
	number := func(key string, low, high uint64) (uint64, error) {
		n, ok := f.Uint("clip.audio." + key)
		if !ok || n < low || n > high {
			return 0, fmt.Errorf("clip.audio.%s is missing or not between %d and %d", key, low,
				high)
		}
		return n, nil
	}
	width, err := number("embedding_length", 1, 1<<16)
	if err != nil {
		return "", err
	}
	blocks, err := number("block_count", 1, 1024)
	if err != nil {
		return "", err
	}
	bins, err := number("num_mel_bins", 1, 1024)
	if err != nil {
		return "", err
	}
	if heads, err := number("attention.head_count", 1, width); err != nil {
		return "", err
	} else if width%heads != 0 {
		return "", fmt.Errorf("clip.audio.attention.head_count %d does not divide the width %d",
			heads, width)
	}
	if err := checkEpsilons(f); err != nil {
		return "", err
	}
	if n, ok := f.Uint("clip.audio.projector.stack_factor"); ok && (n < 1 || n > 64) {
		return "", fmt.Errorf("clip.audio.projector.stack_factor is %d", n)
	} else if ok && (3000+n-1)/n/2 != (1500+n-1)/n {
		// libmtmd 0.7 rounds the frames of 30 seconds before it halves them, and its graph
		// afterwards; it ends the process where that differs.
		return "", fmt.Errorf(
			"clip.audio.projector.stack_factor is %d, which libmtmd 0.7 does not compute", n)
	}
	return kind, checkEarTensors(f, width, bins, blocks)
}

// checkEarTensors compares the tensors of Whisper's encoder, which most families have, with the
// numbers that the file states: kernels over the bins of the spectrum, positions, and blocks of the
// width.
func checkEarTensors(f *gguf.File, width, bins, blocks uint64) error {
	dims := map[string][]uint64{ // 0 for any
		"a.conv1d.1.weight": {0, bins, width}, "a.conv1d.2.weight": {0, width, width},
		"a.position_embd.weight": {width, 0},
	}
	for i := range blocks {
		dims[fmt.Sprintf("a.blk.%d.ln1.weight", i)] = []uint64{width}
		dims[fmt.Sprintf("a.blk.%d.ln2.weight", i)] = []uint64{width}
	}
	for _, t := range f.Tensors() {
		want, known := dims[t.Name]
		fits := len(t.Dims) == len(want)
		for i := 0; fits && i < len(want); i++ {
			fits = want[i] == 0 || t.Dims[i] == want[i]
		}
		switch {
		case !known:
		case !fits:
			return fmt.Errorf("tensor %s has dimensions %v, which do not fit %d bins and a width "+
				"of %d", t.Name, t.Dims, bins, width)
		case strings.HasPrefix(t.Name, "a.conv1d.") && t.Type != gguf.F16:
			return fmt.Errorf("tensor %s is stored as %v, and ggml takes kernels in F16", t.Name,
				t.Type)
		case t.Name == "a.position_embd.weight" && t.Dims[1] < 1500:
			return fmt.Errorf("tensor %s has %d positions, and 30 seconds have 1500", t.Name,
				t.Dims[1])
		}
	}
	return nil
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
