package sound

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
	"github.com/mewkiz/flac"
)

// mp3 reads MPEG layer III, of which the decoder makes two channels of 16 bits always.
func (p *pcm) mp3(data []byte) error {
	// no Seeker, with which it would look through the whole file first
	d, err := mp3.NewDecoder(io.MultiReader(bytes.NewReader(data)))
	if err != nil {
		return fmt.Errorf("%w: MP3: %v", ErrDamaged, err)
	}
	// MPEG-2 and 2.5, of which go-mp3 0.3.4 makes noise at low bit rates
	if d.SampleRate() < 32_000 {
		return fmt.Errorf("%w: MP3 of %d samples a second; those of 32,000 and more are, so save it as WAV or FLAC", ErrUnsupported, d.SampleRate())
	}
	if err := p.start(d.SampleRate(), 2); err != nil {
		return err
	}
	buf := make([]byte, 4<<10)
	for {
		n, err := io.ReadFull(d, buf)
		for b := buf[:n]; len(b) >= 4; b = b[4:] {
			left, right := int16(binary.LittleEndian.Uint16(b)),
				int16(binary.LittleEndian.Uint16(b[2:]))
			if err := p.add((float32(left) + float32(right)) / (1 << 15)); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil && len(p.samples) == 0:
			return fmt.Errorf("%w: MP3: %v", ErrDamaged, err)
		case err != nil: // what follows is cut off or no sound
			return nil
		}
	}
}

// flac reads FLAC (RFC 9639).
func (p *pcm) flac(data []byte) error {
	s, err := flac.New(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("%w: FLAC: %v", ErrDamaged, err)
	}
	if err := p.start(int(s.Info.SampleRate), int(s.Info.NChannels)); err != nil {
		return err
	}
	bits := int(s.Info.BitsPerSample)
	if bits < 4 || bits > 32 {
		return fmt.Errorf("%w: FLAC of %d bits", ErrUnsupported, bits)
	}
	scale := 1 / float32(uint64(1)<<(bits-1))
	for {
		f, err := s.ParseNext()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && len(p.samples) == 0:
			return fmt.Errorf("%w: FLAC: %v", ErrDamaged, err)
		case err != nil:
			return nil
		case len(f.Subframes) != p.channels:
			return fmt.Errorf("%w: FLAC whose frames have %d channels, and its header %d",
				ErrDamaged, len(f.Subframes), p.channels)
		}
		for i := range f.Subframes[0].Samples {
			sum := float32(0)
			for _, channel := range f.Subframes {
				sum += float32(channel.Samples[i]) * scale
			}
			if err := p.add(sum); err != nil {
				return err
			}
		}
	}
}
