package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

// ramp are n numbers from first on.
func ramp(first float32, n int) []float32 {
	rows := make([]float32, n)
	for i := range rows {
		rows[i] = first + float32(i)
	}
	return rows
}

// fileBytes is the file that writeRows makes.
func fileBytes(t testing.TB, k kv.Key, rows []float32) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeRows(&b, k, rows); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The bytes were put together by a few lines of Python, its struct module and a CRC-32C bit by bit,
// from the comment of the format.
func TestFormatIsTheDocumentedOne(t *testing.T) {
	want, err := hex.DecodeString("4559454c45544531" + "0200000000000000" +
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" + "0000803f000020c0" +
		"85ddc4cf")
	if err != nil {
		t.Fatal(err)
	}
	var k kv.Key
	for i := range k {
		k[i] = byte(i)
	}
	if got := fileBytes(t, k, []float32{1, -2.5}); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestRowsComeBackBitForBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOfN(rapid.Uint32().Filter(func(u uint32) bool {
			return finite(math.Float32frombits(u))
		}), 1, 50).Draw(t, "bits")
		// Of all lengths, those about the size of a chunk matter.
		n := rapid.SampledFrom([]int{1, 2, rowsChunk/4 - 1, rowsChunk / 4, rowsChunk/4 + 1,
			rowsChunk/2 + 3}).Draw(t, "n")
		rows := make([]float32, n)
		for i := range rows {
			rows[i] = math.Float32frombits(bits[i%len(bits)])
		}
		var b bytes.Buffer
		if err := writeRows(&b, kv.Key{1}, rows); err != nil {
			t.Fatal(err)
		}
		if int64(b.Len()) != Size(n) {
			t.Fatalf("%d bytes, want %d", b.Len(), Size(n))
		}
		got, err := readRows(iotest.OneByteReader(&b), Size(n), kv.Key{1}, n)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, rows, func(a, b float32) bool {
			return math.Float32bits(a) == math.Float32bits(b)
		}) {
			t.Fatal("other rows came back")
		}
	})
}

func TestAnyChangedOrMissingByteIsNoticed(t *testing.T) {
	k, rows := kv.Key{'a'}, ramp(1, 9)
	good := fileBytes(t, k, rows)
	refused := func(what string, i int, file []byte, size int64) {
		t.Helper()
		if _, err := readRows(bytes.NewReader(file), size, k, len(rows)); !errors.Is(err,
			errDamaged) {
			t.Errorf("%s at %d: %v", what, i, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		refused("a changed bit", i, bad, int64(len(bad)))
		refused("the end", i, good[:i], int64(i))
		refused("the end, unlike its size,", i, good[:i], int64(len(good)))
	}
	refused("a byte more", len(good), append(bytes.Clone(good), 0), int64(len(good)+1))
	if _, err := readRows(bytes.NewReader(good), int64(len(good)), kv.Key{'b'},
		len(rows)); !errors.Is(err, errDamaged) {
		t.Errorf("another key: %v", err)
	}
	for _, n := range []int{-1, 0, 8, 10, math.MaxInt, math.MinInt} {
		if _, err := readRows(bytes.NewReader(good), int64(len(good)), k, n); !errors.Is(err,
			errDamaged) {
			t.Errorf("%d numbers: %v", n, err)
		}
	}
}

func TestNumbersThatAreNotFiniteAreNeitherWrittenNorRead(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if err := writeRows(&bytes.Buffer{}, kv.Key{}, []float32{0, float32(x)}); !errors.Is(err,
			errNotFinite) {
			t.Errorf("writing %v: %v", x, err)
		}
		file := fileBytes(t, kv.Key{}, []float32{0, 0})
		binary.LittleEndian.PutUint32(file[rowsHeader+4:], math.Float32bits(float32(x)))
		binary.LittleEndian.PutUint32(file[rowsHeader+8:], crc32.Checksum(file[:rowsHeader+8],
			castagnoli))
		if _, err := readRows(bytes.NewReader(file), int64(len(file)), kv.Key{}, 2); !errors.Is(err,
			errDamaged) {
			t.Errorf("reading %v: %v", x, err)
		}
	}
}

func TestAFaultOfTheDiskIsNotDamage(t *testing.T) {
	broken := errors.New("broken")
	if _, err := readRows(iotest.ErrReader(broken), Size(3), kv.Key{}, 3); !errors.Is(err,
		broken) || errors.Is(err, errDamaged) {
		t.Errorf("%v", err)
	}
}

// What the reader takes is what the writer makes of it.
func FuzzReadRows(f *testing.F) {
	good := fileBytes(f, kv.Key{7}, ramp(1, 5))
	f.Add(good, 5, true)
	f.Add(good[:len(good)-1], 5, false)
	f.Add([]byte(rowsMagic), 0, true)
	f.Add(fileBytes(f, kv.Key{}, ramp(-3, 40)), 40, true)
	f.Fuzz(func(t *testing.T, file []byte, values int, seal bool) {
		var k kv.Key
		if len(file) >= rowsHeader {
			copy(k[:], file[rowsHeader-len(k):])
		}
		if seal && len(file) >= rowsTrailer { // a right sum lets the fuzzer past it
			file = bytes.Clone(file)
			at := len(file) - rowsTrailer
			binary.LittleEndian.PutUint32(file[at:], crc32.Checksum(file[:at], castagnoli))
		}
		rows, err := readRows(bytes.NewReader(file), int64(len(file)), k, values)
		if err != nil {
			if !errors.Is(err, errDamaged) || rows != nil {
				t.Fatalf("%v with %d rows", err, len(rows))
			}
			return
		}
		if len(rows) != values || !bytes.Equal(fileBytes(t, k, rows), file) {
			t.Fatalf("%d numbers of a file of %d, which they are not", len(rows), values)
		}
	})
}

// A picture of 576 image tokens for a model 2048 wide.
func BenchmarkRows(b *testing.B) {
	rows := ramp(1, 576*2048)
	file := fileBytes(b, kv.Key{}, rows)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(file)))
		for b.Loop() {
			if err := writeRows(io.Discard, kv.Key{}, rows); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(file)))
		for b.Loop() {
			if _, err := readRows(bytes.NewReader(file), int64(len(file)), kv.Key{},
				len(rows)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
