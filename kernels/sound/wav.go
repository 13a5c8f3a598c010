package sound

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Kinds of samples in WAV files, of mmreg.h.
const (
	wavPCM        = 1
	wavFloat      = 3
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xfffe
)

// wav reads RIFF WAVE files ("Multimedia Programming Interface and Data Specifications 1.0", 1991):
// integers of 8 to 32 bits and floats of 32 and 64. A writer that did not know the length, and left
// it 0 or at its most, is taken to mean all that follows.
func (p *pcm) wav(data []byte) error {
	kind, bits, block := 0, 0, 0
	for rest := data[12:]; len(rest) >= 8; {
		id, size := string(rest[:4]), int64(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[8:]
		body := rest[:min(size, int64(len(rest)))]
		switch id {
		case "fmt ":
			if len(body) < 16 {
				return fmt.Errorf("%w: its header is cut off", ErrDamaged)
			}
			kind, bits, block = int(binary.LittleEndian.Uint16(body)),
				int(binary.LittleEndian.Uint16(body[14:])),
				int(binary.LittleEndian.Uint16(body[12:]))
			if kind == wavExtensible && len(body) >= 26 {
				kind = int(binary.LittleEndian.Uint16(body[24:]))
			}
			if err := p.start(int(binary.LittleEndian.Uint32(body[4:])),
				int(binary.LittleEndian.Uint16(body[2:]))); err != nil {
				return err
			}
		case "data":
			if p.rate == 0 {
				return fmt.Errorf("%w: it says nothing of its samples before they begin",
					ErrDamaged)
			}
			if size == 0 || size == math.MaxUint32 {
				body = rest
			}
			return p.wavSamples(body, kind, bits, block)
		}
		rest = rest[min(size+size%2, int64(len(rest))):]
	}
	return fmt.Errorf("%w: there are no samples in it", ErrDamaged)
}

func (p *pcm) wavSamples(data []byte, kind, bits, block int) error {
	width := bits / 8
	ok := kind == wavPCM && (bits == 8 || bits == 16 || bits == 24 || bits == 32) ||
		kind == wavFloat && (bits == 32 || bits == 64)
	switch {
	case kind == wavALaw || kind == wavMuLaw:
		return fmt.Errorf("%w: WAV in A-law or mu-law; save it in PCM", ErrUnsupported)
	case !ok:
		return fmt.Errorf("%w: WAV of the kind %d with %d bits; save it in PCM", ErrUnsupported,
			kind, bits)
	case block != width*p.channels:
		return fmt.Errorf("%w: %d channels of %d bits are said to have %d bytes", ErrDamaged,
			p.channels, bits, block)
	}
	for ; len(data) >= block; data = data[block:] {
		sum := float32(0)
		for c := range p.channels {
			sum += wavSample(data[c*width:], kind, bits)
		}
		if err := p.add(sum); err != nil {
			return err
		}
	}
	return nil
}

// wavSample is one sample, between -1 and 1.
func wavSample(b []byte, kind, bits int) float32 {
	switch {
	case kind == wavFloat && bits == 64:
		return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case kind == wavFloat:
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	case bits == 8:
		return float32(int(b[0])-128) / (1 << 7)
	case bits == 16:
		return float32(int16(binary.LittleEndian.Uint16(b))) / (1 << 15)
	case bits == 24:
		return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
	}
	return float32(int32(binary.LittleEndian.Uint32(b))) / (1 << 31)
}
