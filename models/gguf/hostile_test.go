package gguf

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"
)

// raw builds files byte by byte, right or wrong.
type raw struct{ b []byte }

func file(version uint32, tensors, keys uint64) *raw {
	return (&raw{[]byte(magic)}).u32(version).u64(tensors).u64(keys)
}

func (r *raw) u32(n uint32) *raw { r.b = binary.LittleEndian.AppendUint32(r.b, n); return r }
func (r *raw) u64(n uint64) *raw { r.b = binary.LittleEndian.AppendUint64(r.b, n); return r }
func (r *raw) str(s string) *raw { r.b = appendString(r.b, s); return r }
func (r *raw) zeros(n int) *raw  { r.b = append(r.b, make([]byte, n)...); return r }

// key begins a key/value pair.
func (r *raw) key(name string, t ValueType) *raw { return r.str(name).u32(uint32(t)) }

func (r *raw) tensor(name string, t Type, offset uint64, dims ...uint64) *raw {
	r.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		r.u64(d)
	}
	return r.u32(uint32(t)).u64(offset)
}

// data pads to the alignment and adds n bytes of tensor data.
func (r *raw) data(n int) *raw {
	return r.zeros(int(pad(int64(len(r.b)), defaultAlignment)) - len(r.b) + n)
}

func TestHostileFilesAreErrors(t *testing.T) {
	const huge = 1 << 62
	nest := func(depth int) *raw {
		r := file(3, 0, 1).key("deep", Array)
		for range depth - 1 {
			r.u32(uint32(Array)).u64(1)
		}
		return r.u32(uint32(Uint8)).u64(0)
	}
	tests := []struct {
		name string
		file *raw
		want error
		says string
	}{
		{"version 1", file(1, 0, 0), ErrUnsupported, "version 1, of August 2023"},
		{"version 4", file(4, 0, 0), ErrUnsupported, "version 4"},
		{"version 0", file(0, 0, 0), ErrUnsupported, "version 0"},
		{"a big-endian file", file(3<<24, 0, 0), ErrUnsupported, "big-endian"},
		{"a huge key count", file(3, 0, huge), ErrLimit, "keys"},
		{"a huge tensor count", file(3, huge, 0), ErrLimit, "tensors"},
		{"more keys than the file has room for", file(3, 0, 5), ErrTruncated, "key count of 5"},
		{"more tensors than the file has room for", file(3, 5, 0).zeros(100), ErrTruncated,
			"tensor count of 5"},
		{"a huge key", file(3, 0, 1).u64(huge).zeros(100), ErrTruncated, "key 0 of 1"},
		{"a string of 2^64-1 bytes", file(3, 0, 1).key("s", String).u64(1<<64 - 1).zeros(9),
			ErrTruncated, `key "s"`},
		{"a key over the limit", file(3, 0, 1).key(strings.Repeat("k", maxName+1), Bool).zeros(1),
			ErrLimit, "65536 bytes"},
		{"a key twice", file(3, 0, 2).key("k", Uint8).zeros(1).key("k", Bool).zeros(1), ErrCorrupt,
			`key "k"`},
		{"an unknown value type", file(3, 0, 1).key("k", 13).zeros(8), ErrUnsupported,
			"value type 13"},
		{"a bool of 2", &raw{append(file(3, 0, 1).key("k", Bool).b, 2)}, ErrCorrupt, "bool of 2"},
		{"an array with a bool of 255",
			&raw{append(file(3, 0, 1).key("k", Array).u32(uint32(Bool)).u64(2).b, 1, 255)},
			ErrCorrupt, "bool of 255"},
		{"a huge array of bytes",
			file(3, 0, 1).key("a", Array).u32(uint32(Uint8)).u64(huge).zeros(9), ErrTruncated,
			`key "a"`},
		{"an array whose bytes overflow",
			file(3, 0, 1).key("a", Array).u32(uint32(Float64)).u64(1<<61 + 1).zeros(8),
			ErrTruncated, `key "a"`},
		{"a huge array of strings",
			file(3, 0, 1).key("a", Array).u32(uint32(String)).u64(huge).zeros(9), ErrTruncated,
			`key "a"`},
		{"an array of strings that ends early",
			file(3, 0, 1).key("a", Array).u32(uint32(String)).u64(2).str("x").u64(99), ErrTruncated,
			"element 1"},
		{"a huge array of arrays",
			file(3, 0, 1).key("a", Array).u32(uint32(Array)).u64(huge).zeros(99), ErrTruncated,
			`key "a"`},
		{"an array of an unknown type", file(3, 0, 1).key("a", Array).u32(77).u64(0),
			ErrUnsupported, "value type 77"},
		{"arrays nested too deep", nest(maxDepth + 1), ErrLimit, "nested"},
		{"arrays nested a million deep", nest(1e6), ErrLimit, "nested"},
		{"too many nested arrays", file(3, 0, 1).key("a", Array).u32(uint32(Array)).u64(maxNested +
			1).zeros(12 * (maxNested + 1)), ErrLimit, "nested"},
		{"alignment 0", file(3, 0, 1).key(keyAlignment, Uint32).u32(0), ErrCorrupt,
			"general.alignment"},
		{"alignment 24", file(3, 0, 1).key(keyAlignment, Uint32).u32(24), ErrCorrupt,
			"power of two"},
		{"alignment of another type", file(3, 0, 1).key(keyAlignment, Uint64).u64(32), ErrCorrupt,
			"uint64 32"},
		{"an alignment past the end of the file", file(3, 1, 1).key(keyAlignment,
			Uint32).u32(1<<31).tensor("t", F32, 0, 1).data(4), ErrTruncated, `tensor "t"`},
		{"five dimensions", file(3, 1, 0).tensor("t", F32, 0, 1, 1, 1, 1, 1).data(4), ErrCorrupt,
			"5 dimensions"},
		{"2^32-1 dimensions", file(3, 1, 0).str("t").u32(1<<32 - 1).zeros(100), ErrCorrupt,
			`tensor "t"`},
		{"a dimension past int64", file(3, 1, 0).tensor("t", I8, 0, 1<<63).data(4), ErrCorrupt,
			"overflow"},
		{"dimensions that overflow", file(3, 1, 0).tensor("t", I8, 0, 1<<32, 1<<32).data(4),
			ErrCorrupt, "overflow"},
		{"dimensions that overflow behind a zero", file(3, 1, 0).tensor("t", I8, 0, 0, 1<<32,
			1<<32).data(4), ErrCorrupt, "overflow"},
		{"bytes that overflow", file(3, 1, 0).tensor("t", F64, 0, 1<<62).data(4), ErrCorrupt,
			"overflow"},
		{"rows that are not whole blocks", file(3, 1, 0).tensor("t", Q4_K, 0, 100, 256).data(99999),
			ErrCorrupt, "whole blocks of 256"},
		{"a scalar of a block type", file(3, 1, 0).tensor("t", Q4_0, 0).data(99), ErrCorrupt,
			"whole blocks of 32"},
		{"an unknown tensor type", file(3, 1, 0).tensor("t", 43, 0, 1).data(99), ErrUnsupported,
			"tensor type 43"},
		{"the largest tensor type", file(3, 1, 0).tensor("t", 1<<32-1, 0, 1).data(99),
			ErrUnsupported, "4294967295"},
		{"a removed tensor type", file(3, 1, 0).tensor("t", 31, 0, 32).data(99), ErrUnsupported,
			"Q4_0_4_4 has been removed"},
		{"a tensor twice", file(3, 2, 0).tensor("t", F32, 0, 1).tensor("t", F32, 32, 1).data(64),
			ErrCorrupt, `tensor "t"`},
		{"a tensor name over the limit", file(3, 1, 0).tensor(strings.Repeat("t", maxName+1), F32,
			0, 1).data(64), ErrLimit, "tensor 0 of 1"},
		{"an offset that is not aligned", file(3, 1, 0).tensor("t", F32, 4, 1).data(64), ErrCorrupt,
			"offset 4"},
		{"an offset past the end", file(3, 1, 0).tensor("t", F32, 96, 1).data(64), ErrTruncated,
			"offset 96"},
		{"an offset that overflows", file(3, 1, 0).tensor("t", F32, 1<<64-32, 1).data(64),
			ErrTruncated, `tensor "t"`},
		{"data past the end", file(3, 1, 0).tensor("t", F32, 0, 17).data(64), ErrTruncated,
			"68 bytes"},
		{"tensors that overlap", file(3, 2, 0).tensor("a", F32, 32, 1).tensor("b", F32, 0,
			9).data(64), ErrCorrupt, `overlaps that of tensor "b"`},
		{"tensors in the same place", file(3, 2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 0,
			1).data(64), ErrCorrupt, "overlaps"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.file.b, "hostile.gguf")
			checkError(t, err, tt.want, tt.says)
			if !strings.Contains(err.Error(), "hostile.gguf") || len(err.Error()) > 400 {
				t.Errorf("the error should name the file and be short: %v", err)
			}
		})
	}
}

func TestOddFilesThatAreRight(t *testing.T) {
	tests := []struct {
		name string
		file *raw
	}{
		{"nothing in it", file(3, 0, 0)},
		{"version 2", file(2, 1, 1).key("k", String).str("v").tensor("t", F32, 0, 1).data(4)},
		{"empty arrays", file(3, 0, 2).key("a", Array).u32(uint32(String)).u64(0).key("b",
			Array).u32(uint32(Array)).u64(0)},
		{"the deepest arrays", file(3, 0, 1).key("deep", Array).
			u32(9).u64(1).u32(9).u64(1).u32(9).u64(1).u32(9).u64(1).u32(9).u64(1).u32(9).u64(1).
			u32(9).u64(1).u32(0).u64(0)},
		{"a scalar tensor", file(3, 1, 0).tensor("t", F32, 0).data(4)},
		{"empty tensors at the end", file(3, 2, 0).tensor("t", F32, 0, 0).tensor("u", Q4_K, 0, 256,
			0).data(0)},
		{"empty tensors and no padding", file(3, 1, 0).tensor("t", F32, 0, 0)},
		{"no padding after the last tensor", file(3, 2, 0).tensor("t", F32, 0, 1).tensor("u", F32,
			32, 1).data(36)},
		{"tensors out of order with a gap", file(3, 2, 0).tensor("t", F32, 64, 1).tensor("u", F32,
			0, 1).data(68)},
		{"alignment 1", file(3, 1, 1).key(keyAlignment, Uint32).u32(1).tensor("t", I8, 3,
			1).zeros(4)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse(tt.file.b, "odd.gguf")
			if err != nil {
				t.Fatal(err)
			}
			for _, tensor := range f.Tensors() {
				if int64(len(tensor.Data())) != tensor.Size() {
					t.Errorf("tensor %s: %d bytes", tensor.Name, len(tensor.Data()))
				}
			}
		})
	}
}

func TestEveryTruncationIsAnError(t *testing.T) {
	whole, err := os.ReadFile("testdata/all.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(whole, "whole")
	if err != nil {
		t.Fatal(err)
	}
	last := f.Tensors()[len(f.Tensors())-1]
	end := last.Offset() + last.Size() // what follows is padding
	for n := range end {
		want := ErrTruncated
		if n < int64(len(magic)) {
			want = ErrNotGGUF
		}
		if _, err := Parse(whole[:n], "cut"); !errors.Is(err, want) {
			t.Fatalf("%d bytes of %d: %v, want %v", n, end, err, want)
		}
	}
	if _, err := Parse(whole[:end], "cut"); err != nil {
		t.Errorf("without the last padding: %v", err)
	}
}

// sparse is a file of terabytes that holds a header and zeros.
type sparse struct{ head []byte }

func (s sparse) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	if off < int64(len(s.head)) {
		copy(b, s.head[off:])
	}
	return len(b), nil
}

func TestASparseFileCannotClaimTerabytesOfMetadata(t *testing.T) {
	tests := []struct {
		name string
		head *raw
	}{
		{"an array", file(3, 0, 1).key("a", Array).u32(uint32(Uint8)).u64(1 << 40)},
		{"a string", file(3, 0, 1).key("s", String).u64(1 << 40)},
		{"strings", file(3, 0, 1).key("s", Array).u32(uint32(String)).u64(1 << 30)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := allocated()
			_, err := Read(sparse{tt.head.b}, 1<<42, "sparse.gguf")
			checkError(t, err, ErrLimit, "metadata")
			if n := allocated() - before; n > 1<<20 {
				t.Errorf("%d bytes were allocated", n)
			}
		})
	}
}
