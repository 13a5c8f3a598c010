// Package sound decodes sound files to what audio encoders take: one channel of samples at a rate.
//
//	samples, err := sound.Decode(ctx, data, sound.Options{Rate: 16000})
//
// It knows WAV, MP3 and FLAC files, by their bytes. Channels are averaged, and samples are brought
// to the rate by a band-limited interpolation (Smith, "Digital Audio Resampling Home Page",
// ccrma.stanford.edu/~jos/resample), which lets no tone through that the new rate cannot hold.
package sound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
)

// Kinds of errors.
var (
	ErrNotSound    = errors.New("no sound file that is known: WAV, MP3 or FLAC")
	ErrDamaged     = errors.New("the sound is damaged")
	ErrUnsupported = errors.New("the sound is of a kind that is not supported")
	ErrTooLarge    = errors.New("the sound is too long")
)

// Options say what samples are wanted. Bounds of 0 are the defaults.
type Options struct {
	Rate     int   // samples a second; 0 leaves those of the file
	MaxBytes int64 // of the file
	Seconds  int   // longest sound
}

// Defaults of Options.
const (
	DefaultMaxBytes = 64 << 20
	DefaultSeconds  = 30 * 60
)

// Rates that files may have.
const (
	minRate = 4_000
	maxRate = 384_000
)

// Format names the format of the file that begins with head, of which 12 bytes are enough: "wav",
// "flac" or "mp3", "" for none.
func Format(head []byte) string {
	switch {
	case len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WAVE":
		return "wav"
	case bytes.HasPrefix(head, []byte("fLaC")):
		return "flac"
	case bytes.HasPrefix(head, []byte("ID3")), isFrame(head):
		return "mp3"
	}
	return ""
}

// isFrame knows the header of a frame of MPEG layer III: eleven bits set, then fields that have
// values that no frame has (ISO 11172-3, 2.4.1.3).
func isFrame(b []byte) bool {
	return len(b) >= 4 && b[0] == 0xff && b[1]&0xe0 == 0xe0 && b[1]&0x18 != 0x08 &&
		b[1]&0x06 == 0x02 && b[2]&0xf0 != 0xf0 && b[2]&0x0c != 0x0c
}

// Is reports whether a file that begins with head is a sound.
func Is(head []byte) bool { return Format(head) != "" }

// pcm takes in samples of several channels, and keeps their average. It bounds how many there are.
type pcm struct {
	ctx            context.Context
	rate, channels int
	seconds        int
	samples        []float32
}

// start is called when rate and channels are known.
func (p *pcm) start(rate, channels int) error {
	if rate < minRate || rate > maxRate {
		return fmt.Errorf("%w: %d samples a second; %d to %d are", ErrUnsupported, rate, minRate,
			maxRate)
	}
	if channels < 1 || channels > 8 {
		return fmt.Errorf("%w: %d channels; 1 to 8 are", ErrUnsupported, channels)
	}
	p.rate, p.channels = rate, channels
	return nil
}

// add adds a sample of each channel.
func (p *pcm) add(sum float32) error {
	if len(p.samples) >= p.rate*p.seconds {
		return fmt.Errorf("%w: the longest that is taken has %d s", ErrTooLarge, p.seconds)
	}
	if len(p.samples)%(1<<16) == 0 && p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	if !(math.Abs(float64(sum)) <= math.MaxFloat32/2) { // a float of a WAV file may be anything
		return fmt.Errorf("%w: a sample is no number", ErrDamaged)
	}
	p.samples = append(p.samples, sum/float32(p.channels))
	return nil
}

// Decode returns the samples of a file, between -1 and 1 as a rule. A file that is cut off has the
// samples before the end, if there are any.
func Decode(ctx context.Context, data []byte, opt Options) (samples []float32, err error) {
	if opt.MaxBytes == 0 {
		opt.MaxBytes = DefaultMaxBytes
	}
	if opt.Seconds == 0 {
		opt.Seconds = DefaultSeconds
	}
	switch {
	case len(data) == 0:
		return nil, fmt.Errorf("%w: the file is empty", ErrNotSound)
	case int64(len(data)) > opt.MaxBytes:
		return nil, fmt.Errorf("%w: the file has %d bytes; the limit is %d", ErrTooLarge, len(data),
			opt.MaxBytes)
	}
	p := &pcm{ctx: ctx, seconds: opt.Seconds}
	err = p.decode(data)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case len(p.samples) == 0:
		return nil, fmt.Errorf("%w: there are no samples in it", ErrDamaged)
	}
	if opt.Rate == 0 || opt.Rate == p.rate {
		return p.samples, nil
	}
	return Resample(ctx, p.samples, p.rate, opt.Rate)
}

// decode decodes by the file's format. A library that panics over a damaged file fails.
func (p *pcm) decode(data []byte) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: its decoder failed: %v", ErrDamaged, fault)
		}
	}()
	switch Format(data) {
	case "wav":
		return p.wav(data)
	case "flac":
		return p.flac(data)
	case "mp3":
		return p.mp3(data)
	}
	return ErrNotSound
}
