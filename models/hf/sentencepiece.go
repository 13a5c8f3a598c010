package hf

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// piece is a token of a SentencePiece model.
type piece struct {
	text  string
	score float32
	typ   TokenType
}

// parseSentencePiece reads a SentencePiece model, a protocol buffer:
// ModelProto of sentencepiece_model.proto in https://github.com/google/sentencepiece,
// of which it takes the pieces (field 1: piece, score, type) and the algorithm
// (field 2, trainer_spec: field 3, model_type), which must be BPE: llama.cpp
// merges the pieces of these models in the order of their scores.
func parseSentencePiece(data []byte) ([]piece, error) {
	const unigram, bpe = 1, 2
	var pieces []piece
	algorithm := uint64(unigram) // the format's default
	err := fields(data, func(number int, value uint64, data []byte) error {
		switch number {
		case 1:
			if len(pieces) == maxVocab {
				return fmt.Errorf("%w: more than %d tokens", ErrLimit, maxVocab)
			}
			p, err := parsePiece(data)
			if err != nil {
				return fmt.Errorf("token %d: %w", len(pieces), err)
			}
			pieces = append(pieces, p)
		case 2:
			return fields(data, func(number int, value uint64, _ []byte) error {
				if number == 3 {
					algorithm = value
				}
				return nil
			})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(pieces) == 0:
		return nil, fmt.Errorf("%w: no SentencePiece model, or one without tokens", ErrInvalid)
	case algorithm != bpe:
		return nil, fmt.Errorf("%w: SentencePiece algorithm %d; only BPE (%d) is known",
			ErrUnsupported, algorithm, bpe)
	}
	return pieces, nil
}

func parsePiece(data []byte) (piece, error) {
	p := piece{typ: Normal}
	err := fields(data, func(number int, value uint64, data []byte) error {
		switch number {
		case 1:
			p.text = string(data)
		case 2:
			p.score = math.Float32frombits(uint32(value))
		case 3:
			p.typ = TokenType(min(value, 99))
		}
		return nil
	})
	switch {
	case err != nil:
		return p, err
	case !utf8.ValidString(p.text):
		return p, fmt.Errorf("%w: it is not UTF-8", ErrInvalid)
	case math.IsNaN(float64(p.score)):
		return p, fmt.Errorf("%w: its score is no number", ErrInvalid)
	case p.typ < Normal || p.typ > Byte:
		return p, fmt.Errorf("%w: type %d", ErrInvalid, p.typ)
	case p.typ == UserDefined:
		// llama.cpp's converter does not tell these from others.
		p.typ = Normal
	}
	return p, nil
}

// fields calls f for each field of a protocol buffer: value holds numbers, data
// the bytes of strings and messages.
func fields(b []byte, f func(number int, value uint64, data []byte) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29 {
			return fmt.Errorf("%w: no protocol buffer", ErrInvalid)
		}
		b = b[n:]
		var value uint64
		var data []byte
		size := 0
		switch tag & 7 {
		case 0: // varint
			if value, size = binary.Uvarint(b); size <= 0 {
				return fmt.Errorf("%w: it ends inside a number", ErrInvalid)
			}
		case 1: // 8 bytes
			if size = 8; len(b) >= size {
				value = binary.LittleEndian.Uint64(b)
			}
		case 2: // bytes after their number
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) {
				return fmt.Errorf("%w: it ends inside a field", ErrInvalid)
			}
			size = n + int(length)
			data = b[n:size]
		case 5: // 4 bytes
			if size = 4; len(b) >= size {
				value = uint64(binary.LittleEndian.Uint32(b))
			}
		default:
			return fmt.Errorf("%w: a field of wire type %d", ErrInvalid, tag&7)
		}
		if size > len(b) {
			return fmt.Errorf("%w: it ends inside a number", ErrInvalid)
		}
		b = b[size:]
		if err := f(int(tag>>3), value, data); err != nil {
			return err
		}
	}
	return nil
}
