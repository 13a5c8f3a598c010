package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/kernels/sound"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// IsSound reports whether a picture of a request is a sound by its bytes: WAV, MP3 or FLAC.
func (image *Image) IsSound() bool { return sound.Is(image.Data) }

// openEncoders opens what a projector file has: a vision tower, an encoder of sounds, or both.
func (m *Model) openEncoders(ctx context.Context, spec ModelSpec) error {
	f, err := gguf.Open(spec.Projector)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	sees, hears := libmtmd.HasVision(f), libmtmd.HasSound(f)
	f.Close()
	if sees {
		if m.vision, err = openEncoder(ctx, spec, m.lm, m.engine); err != nil {
			return err
		}
	}
	if !hears {
		return nil
	}
	devices, err := spec.towerDevices()
	if err != nil {
		return err
	}
	ears, err := libmtmd.OpenEars(ctx, spec.Projector, libmtmd.Options{Threads: m.engine.threads,
		Model: m.lm, Devices: devices})
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	m.ears = ears
	return nil
}

// checkEncoder refuses a picture or a sound that the model has no encoder for.
func (m *Model) checkEncoder(image *Image) error {
	switch {
	case image.IsSound() && m.ears == nil && m.vision == nil:
		return fmt.Errorf("%w: %s was loaded without a projector; give its mmproj file", ErrNoSound,
			m.lm.Path())
	case image.IsSound() && m.ears == nil:
		return fmt.Errorf("%w: the projector of %s has no encoder of sounds, only one of pictures",
			ErrNoSound, m.info.Name)
	case !image.IsSound() && m.vision == nil && m.ears != nil:
		return fmt.Errorf("%w: the projector of %s has no vision tower, only an encoder of sounds",
			ErrNoVision, m.info.Name)
	case !image.IsSound() && m.vision == nil:
		return fmt.Errorf("%w: %s was loaded without a projector; give its mmproj file",
			ErrNoVision, m.lm.Path())
	}
	return nil
}

// heard remembers the plans of sounds, for which they would have to be decoded again with each
// question.
type heard struct {
	mu    sync.Mutex
	plans map[[sha256.Size]byte]*vision.Plan
}

// maxHeard is how many plans are remembered.
const maxHeard = 256

func (h *heard) get(sum [sha256.Size]byte) *vision.Plan {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.plans[sum]
}

func (h *heard) put(sum [sha256.Size]byte, p *vision.Plan) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.plans == nil || len(h.plans) >= maxHeard {
		h.plans = map[[sha256.Size]byte]*vision.Plan{}
	}
	h.plans[sum] = p
}

// hear plans what the prompt has in a sound's place. The length of a sound is known when it is
// decoded; that is done once, and again should it have to be encoded.
func (m *Model) hear(ctx context.Context, image *Image,
	t *spent) (*vision.Plan, []*media.Picture, error) {
	sum := sha256.Sum256(image.Data)
	plan := m.heard.get(sum)
	if plan == nil {
		var in *vision.Input
		var err error
		if plan, in, err = m.decodeSound(ctx, image, t); err != nil {
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			return nil, nil, badSound(image.Name, err)
		}
		if err := in.Close(); err != nil {
			return nil, nil, err
		}
		m.heard.put(sum, plan)
	}
	source := &media.Source{
		Name: image.Name, Data: image.Data, Identity: "sound " + m.ears.Info().Identity,
		Bytes: 16 * int64(len(image.Data)), Begin: m.ears.Begin, Slow: true,
		Open: func(ctx context.Context) (*vision.Input, error) {
			_, in, err := m.decodeSound(ctx, image, t)
			if err != nil && ctx.Err() == nil {
				err = fmt.Errorf("%w: %w", ErrSound, err)
			}
			return in, err
		},
	}
	return plan, m.partsOf(plan, source), nil
}

// decodeSound decodes a sound and lets the encoder take it in.
func (m *Model) decodeSound(ctx context.Context, image *Image,
	t *spent) (*vision.Plan, *vision.Input, error) {
	start := time.Now()
	samples, err := sound.Decode(ctx, image.Data, sound.Options{Rate: m.ears.Rate()})
	t.decode.Add(int64(time.Since(start)))
	if err != nil {
		return nil, nil, err
	}
	start = time.Now()
	defer func() { t.preprocess.Add(int64(time.Since(start))) }()
	return m.ears.Hear(ctx, samples)
}

// badSound is the error of a sound that cannot be read, with its name.
func badSound(name string, err error) error {
	text := strings.TrimPrefix(err.Error(), ErrSound.Error()+": ")
	return fmt.Errorf("%w: %s: %w", ErrSound, name, fault.Named{Kind: err, Text: text})
}
