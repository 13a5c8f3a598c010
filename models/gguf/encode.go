package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// header encodes everything before the tensor data, without padding.
func (w *Writer) header(alignment int64) ([]byte, error) {
	if len(w.keys) > maxKeys || len(w.tensors) > maxTensors {
		return nil, fmt.Errorf("gguf: %w: %d keys and %d tensors, at most %d and %d are written",
			ErrLimit, len(w.keys), len(w.tensors), maxKeys, maxTensors)
	}
	le := binary.LittleEndian
	b := append([]byte(nil), magic...)
	b = le.AppendUint32(b, versionWritten)
	b = le.AppendUint64(b, uint64(len(w.tensors)))
	b = le.AppendUint64(b, uint64(len(w.keys)))
	for _, kv := range w.keys {
		b = appendString(b, kv.Key)
		b = le.AppendUint32(b, uint32(kv.Value.typ))
		b = appendValue(b, kv.Value)
	}
	var offset int64
	for _, t := range w.tensors {
		if t.size > math.MaxInt64-offset-2*maxAlignment-maxMetadata {
			return nil, fmt.Errorf("gguf: tensor %s: the file would be too large", quote(t.name))
		}
		b = appendString(b, t.name)
		b = le.AppendUint32(b, uint32(len(t.dims)))
		for _, d := range t.dims {
			b = le.AppendUint64(b, d)
		}
		b = le.AppendUint32(b, uint32(t.typ))
		b = le.AppendUint64(b, uint64(offset))
		offset = pad(offset+t.size, alignment)
	}
	if len(b) > maxMetadata {
		return nil, fmt.Errorf("gguf: %w: %d bytes of metadata, at most %d are written", ErrLimit,
			len(b), maxMetadata)
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue encodes a value without its type.
func appendValue(b []byte, v Value) []byte {
	le := binary.LittleEndian
	if v.typ == Array {
		b = le.AppendUint32(b, uint32(v.ElemType()))
		b = le.AppendUint64(b, uint64(v.Len()))
		switch a := v.ref.(type) {
		case []string:
			for _, s := range a {
				b = appendString(b, s)
			}
		case []Value:
			for _, e := range a {
				b = appendValue(b, e)
			}
		default:
			b, _ = binary.Append(b, le, a) // slices of numbers and bools never fail
		}
		return b
	}
	if s, ok := v.ref.(string); ok {
		return appendString(b, s)
	}
	switch valueTypes[v.typ].size {
	case 1:
		return append(b, byte(v.bits))
	case 2:
		return le.AppendUint16(b, uint16(v.bits))
	case 4:
		return le.AppendUint32(b, uint32(v.bits))
	}
	return le.AppendUint64(b, v.bits)
}
