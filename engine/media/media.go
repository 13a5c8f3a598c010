// Package media keeps the embeddings of pictures and runs the jobs that make them.
//
// Encoding a picture takes seconds, so it is done once. [Cache] keeps embeddings by [kv.Key] in
// memory, least recently used out first, and on disk where it is given a folder. [Encoder] runs the
// jobs of a tower: whoever needs a [Picture] asks it for a ticket, identical pictures in flight
// share one job, and jobs move on a few steps at a time between the steps of running answers. Only
// a picture whose embeddings are not known is decoded, by a few goroutines of the Encoder's, within
// a budget of memory.
//
//	t := enc.Want(&media.Picture{Part: vision.Part{Tokens: tokens}, Key: key, Source: source})
//	for !t.Done() {
//		... one step of the running answers ...
//		enc.Collect()
//		enc.Advance(ctx, 2)
//	}
//	rows, err := t.Rows()
//	... decode them ...
//	t.Release()
//
// A key names a picture's bytes, the tower and the part: see [Sum] and [Key].
package media

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

// Sum is the hash of a picture file's bytes, from which [Key] makes the keys of its parts.
func Sum(file []byte) [sha256.Size]byte { return sha256.Sum256(file) }

// Key names the embeddings that a tower makes of a part of a picture: the SHA-256 of the hash of
// the file, the number of the part (64 bits, little endian) and the tower's identity, in this
// order. Identity must tell apart all that decides the embeddings of a given file: the tower, and
// how pictures are decoded for it.
func Key(file [sha256.Size]byte, identity string, part int) kv.Key {
	b := append(make([]byte, 0, len(file)+8+len(identity)), file[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(part))
	// only the last has no fixed length: no two of them share their bytes
	return sha256.Sum256(append(b, identity...))
}
