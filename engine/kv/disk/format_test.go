package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"pgregory.net/rapid"
)

func TestSnapshotsReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var here, there kv.Pictures
		here.Number(key(rapid.IntRange(0, 3).Draw(t, "first here")))
		there.Number(key(rapid.IntRange(0, 3).Draw(t, "first there")))
		p := drawPrompt(t, &here)
		s := &Snapshot{Model: testModel,
			Saved: time.Unix(0, rapid.Int64Range(1, math.MaxInt64).Draw(t, "saved"))}
		s.Name = rapid.SampledFrom([]string{"", "x", "ein Gespräch"}).Draw(t, "name")
		s.State = rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "state")
		if err := s.SetPrompt(p, &here); err != nil {
			t.Fatal(err)
		}
		for _, k := range s.Keys {
			if rapid.Bool().Draw(t, "embeddings") {
				if s.Embeddings == nil {
					s.Embeddings = map[kv.Key][]float32{}
				}
				s.Embeddings[k] = rapid.SliceOfN(rapid.Float32(), 1, 10).Draw(t, "floats")
			}
		}
		b := fileBytes(s)
		got, err := readBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := same(got, s); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fileBytes(got), b) {
			t.Fatal("written again, it is another file")
		}
		q := got.PromptFor(&there)
		if len(q.Items) != len(p.Items) || !slices.Equal(q.Pos, p.Pos) || q.Next != p.Next ||
			!slices.Equal(q.Whole, p.Whole) {
			t.Fatalf("%v, not %v", q, p)
		}
		for i, it := range q.Items {
			k1, ok1 := there.Key(it.Picture)
			k2, ok2 := here.Key(p.Items[i].Picture)
			if it.Value != p.Items[i].Value || k1 != k2 || ok1 != ok2 {
				t.Fatalf("item %d is %v, not %v", i, it, p.Items[i])
			}
		}
	})
}

// TestFormat compares a file with bytes put together by hand from the description in doc.go. The
// two checksums were computed by another implementation of CRC-32C (bitwise, below).
func TestFormat(t *testing.T) {
	var pictures kv.Pictures
	p := tokens(258)
	picture(p, pictures.Number(kv.Key{0xaa}), 1, true)
	s := &Snapshot{Model: "m", Name: "n", State: []byte{0xfe, 0xfd}, Saved: time.Unix(0, 0x0102)}
	if err := s.SetPrompt(p, &pictures); err != nil {
		t.Fatal(err)
	}
	s.Embeddings = map[kv.Key][]float32{{0xaa}: {1}}
	head := strings.Join([]string{
		"01000000 6d", "01000000 6e",
		"01000000 aa" + strings.Repeat("00", 31), "0100000000000000",
		"02000000", "00000000 01000000", "02010000 00000000", "00000000 01000000",
		"08000000", "01000000 01000000 02000000",
	}, "")
	body := "0000803f" + "fefd"
	fixed := "4559454c45544b56 01000000 62000000 0201000000000000 0200000000000000"
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want := binary.LittleEndian.AppendUint32(unhex(fixed), bitwiseCRC(unhex(body)))
	want = binary.LittleEndian.AppendUint32(want,
		bitwiseCRC(append(slices.Clone(want), unhex(head)...)))
	want = append(want, unhex(head+body)...)
	if got := fileBytes(s); !bytes.Equal(got, want) {
		t.Errorf("% x\nnot\n% x", got, want)
	}
}

// bitwiseCRC is CRC-32C bit by bit: polynomial 0x1EDC6F41, reflected.
func bitwiseCRC(b []byte) uint32 {
	crc := ^uint32(0)
	for _, x := range b {
		crc ^= uint32(x)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x82F63B78
			} else {
				crc >>= 1
			}
		}
	}
	return ^crc
}

func TestEveryTruncationIsAnError(t *testing.T) {
	b := fileBytes(mixed(t))
	for n := range b {
		_, err := readBytes(b[:n])
		if want := n < 12; want && !errors.Is(err, ErrForeign) ||
			!want && !errors.Is(err, ErrDamaged) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
		// A file that shrinks while it is read.
		if _, _, err := readSnapshot(bytes.NewReader(b[:n]), int64(len(b)),
			testModel); !errors.Is(err, ErrDamaged) {
			t.Errorf("shrunk to %d bytes: %v", n, err)
		}
	}
	if _, err := readBytes(append(slices.Clone(b), 0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a byte behind the end: %v", err)
	}
}

func TestEveryFlippedBitIsAnError(t *testing.T) {
	b := fileBytes(mixed(t))
	for i := range 8 * len(b) {
		c := slices.Clone(b)
		c[i/8] ^= 1 << (i % 8)
		_, err := readBytes(c)
		if want := i < 8*12; want && !errors.Is(err, ErrForeign) ||
			!want && !errors.Is(err, ErrDamaged) {
			t.Errorf("bit %d of byte %d: %v", i%8, i/8, err)
		}
	}
}

// reseal gives a file sums that are right, as one would that wants to be believed.
func reseal(b []byte) {
	if len(b) < fixedSize {
		return
	}
	end := fixedSize + int64(binary.LittleEndian.Uint32(b[12:]))
	if end > int64(len(b)) {
		return
	}
	sealHead(b[:end:end], crc32.Checksum(b[end:], castagnoli))
}

// TestEveryLyingNumberIsAnErrorOrHarmless sets each four bytes of a file to numbers that break
// careless readers, and makes the sums right.
func TestEveryLyingNumberIsAnErrorOrHarmless(t *testing.T) {
	b := fileBytes(mixed(t))
	refused := 0
	for i := 8; i+4 <= len(b); i++ {
		for _, n := range []uint32{0, 1, math.MaxInt32, 1 << 31, math.MaxUint32, uint32(len(b)),
			uint32(len(b) - i)} {
			c := slices.Clone(b)
			binary.LittleEndian.PutUint32(c[i:], n)
			reseal(c)
			s, err := readBytes(c)
			if err != nil {
				refused++
				if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) && !errors.Is(err,
					ErrModel) {
					t.Errorf("%d at byte %d: an error of no kind: %v", n, i, err)
				}
				continue
			}
			if err := s.check(); err != nil {
				t.Errorf("%d at byte %d was read: %v", n, i, err)
			}
		}
	}
	if refused < 500 {
		t.Errorf("only %d were refused", refused)
	}
}

func TestFaultsAreNamed(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Snapshot)
		says   string
	}{
		{"no model", func(s *Snapshot) { s.Model = "" }, "identity of 0 bytes"},
		{"a long model", func(s *Snapshot) {
			s.Model = strings.Repeat("m", maxModel+1)
		}, "identity of 1025 bytes"},
		{"a bad name", func(s *Snapshot) { s.Name = "../x" }, "slash"},
		{"no state", func(s *Snapshot) { s.State = nil }, "no state"},
		{"no items", func(s *Snapshot) { s.Prompt = kv.Prompt{} }, "0 items"},
		{"too few positions", func(s *Snapshot) {
			s.Prompt.Pos = s.Prompt.Pos[1:]
		}, "8 positions for 9 items"},
		{"a negative position", func(s *Snapshot) { s.Prompt.Pos[0] = -1 }, "position -1"},
		{"a falling position", func(s *Snapshot) {
			s.Prompt.Pos[2] = 0
		}, "item 2 stands at position 0, after 1"},
		{"a next position that is taken", func(s *Snapshot) {
			s.Prompt.Next = s.Prompt.Pos[8]
		}, "next position"},
		{"a negative token", func(s *Snapshot) { s.Prompt.Items[1].Value = -1 }, "token or row -1"},
		{"an empty whole", func(s *Snapshot) { s.Prompt.Whole = [][2]int{{1, 1}} }, "as a whole"},
		{"wholes that overlap", func(s *Snapshot) {
			s.Prompt.Whole = [][2]int{{3, 6}, {5, 7}}
		}, "items 5 to 7 of 9"},
		{"wholes in the wrong order", func(s *Snapshot) {
			s.Prompt.Whole = [][2]int{{3, 6}, {0, 1}}
		}, "items 0 to 1"},
		{"a whole past the end", func(s *Snapshot) {
			s.Prompt.Whole = [][2]int{{3, 10}}
		}, "items 3 to 10"},
		{"a negative whole", func(s *Snapshot) {
			s.Prompt.Whole = [][2]int{{-1, 4}}
		}, "to 4 of 9 as a whole"},
		{"a picture without a key", func(s *Snapshot) {
			s.Keys = s.Keys[:1]
		}, "item 7 is of picture 2"},
		{"a key without a picture", func(s *Snapshot) {
			s.Keys = append(s.Keys, key(5))
		}, "3 pictures, of which items name 2"},
		{"a key twice", func(s *Snapshot) { s.Keys[1] = s.Keys[0] }, "picture 2 is there twice"},
		{"pictures out of order", func(s *Snapshot) {
			s.Prompt.Items[3].Picture = 2
		}, "picture 2, where 1"},
		{"a huge picture number", func(s *Snapshot) {
			s.Prompt.Items[8].Picture = math.MaxUint32
		}, "picture 4294967295"},
	}
	dir := t.TempDir()
	store := openStore(t, dir, Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := mixed(t)
			test.change(s)
			if err := store.Put(s); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Put: %v, which does not say %q", err, test.says)
			}
			if s.Model == "" || len(s.State) == 0 || len(s.Prompt.Pos) != len(s.Prompt.Items) {
				return // the format cannot say it
			}
			_, err := readBytes(fileBytes(s))
			if !errors.Is(err, ErrDamaged) || len(s.Model) <= maxModel &&
				!strings.Contains(err.Error(), test.says) {
				t.Errorf("read: %v, which does not say %q", err, test.says)
			}
		})
	}
	checkFolder(t, store)
}

func TestSetPromptRefusesNumbersWithoutKey(t *testing.T) {
	p := tokens(1)
	picture(p, 3, 2, false)
	var s Snapshot
	if err := s.SetPrompt(p, &kv.Pictures{}); err == nil || !strings.Contains(err.Error(),
		"picture 3") {
		t.Error(err)
	}
}

func TestAnotherModelIsRefused(t *testing.T) {
	b := fileBytes(mixed(t))
	if _, _, err := readSnapshot(bytes.NewReader(b), int64(len(b)), "another"); !errors.Is(err,
		ErrModel) {
		t.Error(err)
	}
}

// FuzzRead checks that no file crashes the reader or makes it allocate more than a multiple of its
// size, that errors are of the documented kinds, and that what was read is written as it was. Each
// input is read as it is and with its sums made right.
func FuzzRead(f *testing.F) {
	s := mixed(f)
	f.Add(fileBytes(s))
	s.Name, s.Embeddings = "", nil
	f.Add(fileBytes(s))
	f.Add(fileBytes(snapshot(f, tokens(1, 2, 3, 4), &kv.Pictures{}, "", 1)))
	f.Add([]byte(magic + "\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sealed := slices.Clone(data)
		reseal(sealed)
		for _, b := range [][]byte{data, sealed} {
			before := allocated()
			s, h, err := readSnapshot(bytes.NewReader(b), int64(len(b)), testModel)
			if n := allocated() - before; n > 1<<20+16*uint64(len(b)) {
				t.Fatalf("%d bytes allocated for a file of %d", n, len(b))
			}
			if err != nil {
				if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) && !errors.Is(err,
					ErrModel) {
					t.Fatalf("an error of no kind: %v", err)
				}
				continue
			}
			if h.size != int64(len(b)) {
				t.Fatalf("a file of %d bytes was read as one of %d", len(b), h.size)
			}
			if !bytes.Equal(fileBytes(s), b) {
				t.Fatal("what was read is written as another file")
			}
			var pictures kv.Pictures
			var again Snapshot
			if err := again.SetPrompt(s.PromptFor(&pictures), &pictures); err != nil ||
				!samePrompt(&again.Prompt, &s.Prompt) {
				t.Fatalf("renumbered and back: %v (%v)", again.Prompt, err)
			}
		}
	})
}

func TestPositionsPastTheEndOfInt32AreRefused(t *testing.T) {
	s := mixed(t)
	s.Prompt.Pos[8] = math.MaxInt32
	s.Prompt.Next = llama.Pos(math.MinInt32)
	if err := s.check(); err == nil {
		t.Error("a position wrapped around")
	}
}
