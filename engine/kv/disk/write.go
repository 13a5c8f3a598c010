package disk

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	magic     = "EYELETKV"
	version   = 1
	fixedSize = 40
	// Offsets into the fixed part.
	sumOffset     = 36
	bodySumOffset = 32
)

// castagnoli is CRC-32C, for which processors have an instruction: it runs at the speed of memory,
// ten times that of SHA-256 with the instructions that processors have for that, and states are up
// to hundreds of megabytes.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// encodeHead returns the fixed part and the head of the file of a snapshot that was checked, and
// the size of the file. The sums are still missing.
func encodeHead(s *Snapshot, saved time.Time) (head []byte, size int64) {
	le := binary.LittleEndian
	items := s.Prompt.Items
	b := make([]byte, fixedSize,
		fixedSize+len(s.Model)+len(s.Name)+40*len(s.Keys)+12*len(items)+8*len(s.Prompt.Whole)+24)
	b = appendString(b, s.Model)
	b = appendString(b, s.Name)
	b = le.AppendUint32(b, uint32(len(s.Keys)))
	for _, k := range s.Keys {
		b = append(b, k[:]...)
	}
	size = int64(len(s.State))
	for _, k := range s.Keys {
		n := len(s.Embeddings[k])
		b = le.AppendUint64(b, uint64(n))
		size += 4 * int64(n)
	}
	b = le.AppendUint32(b, uint32(len(items)))
	for _, it := range items {
		b = le.AppendUint32(b, it.Picture)
	}
	for _, it := range items {
		b = le.AppendUint32(b, uint32(it.Value))
	}
	for _, p := range s.Prompt.Pos {
		b = le.AppendUint32(b, uint32(p))
	}
	b = le.AppendUint32(b, uint32(s.Prompt.Next))
	b = le.AppendUint32(b, uint32(len(s.Prompt.Whole)))
	for _, w := range s.Prompt.Whole {
		b = le.AppendUint32(b, uint32(w[0]))
		b = le.AppendUint32(b, uint32(w[1]))
	}
	copy(b, magic)
	le.PutUint32(b[8:], version)
	le.PutUint32(b[12:], uint32(len(b)-fixedSize))
	le.PutUint64(b[16:], uint64(saved.UnixNano()))
	le.PutUint64(b[24:], uint64(len(s.State)))
	return b, size + int64(len(b))
}

// sealHead fills in the sums and returns that of the head, which stands for the whole file.
func sealHead(head []byte, bodySum uint32) (sum uint32) {
	binary.LittleEndian.PutUint32(head[bodySumOffset:], bodySum)
	sum = headSum(head)
	binary.LittleEndian.PutUint32(head[sumOffset:], sum)
	return sum
}

func headSum(head []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:sumOffset], castagnoli), castagnoli, head[fixedSize:])
}

// chunkSize is how much is summed or converted at a time, so that it is still in the processor's
// cache when it is copied.
const chunkSize = 256 << 10

// writeAll writes a file whose head is sealed.
func writeAll(w io.Writer, head []byte, s *Snapshot) error {
	if _, err := w.Write(head); err != nil {
		return err
	}
	return writeBody(w, s)
}

// writeBody writes what follows the head.
func writeBody(w io.Writer, s *Snapshot) error {
	buf := make([]byte, 0, chunkSize)
	for _, k := range s.Keys {
		for rest := s.Embeddings[k]; len(rest) > 0; {
			n := min(len(rest), chunkSize/4)
			var err error
			if buf, err = binary.Append(buf[:0], binary.LittleEndian, rest[:n]); err != nil {
				return err
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	_, err := w.Write(s.State)
	return err
}

// sumBody returns the sum of what writeBody writes.
func sumBody(s *Snapshot) uint32 {
	h := crc32.New(castagnoli)
	_ = writeBody(h, s) // a hash takes everything
	return h.Sum32()
}

// writeTemp writes a whole file under a temporary name beside path, readable by its owner only, and
// syncs it to the disk. After an error nothing is left.
func writeTemp(path string, head []byte, s *Snapshot) (tmp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return "", err
	}
	if err = writeAll(f, head, s); err == nil {
		err = f.Sync()
	}
	if err = cmp.Or(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
