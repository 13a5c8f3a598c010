package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// file puts a header and n bytes of data together.
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

// tensor is a member of a header.
func tensor(name, dtype, shape string, start, end uint64) string {
	return fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, dtype, shape,
		start, end)
}

func object(members ...string) string { return "{" + strings.Join(members, ",") + "}" }

func checkError(t *testing.T, err, want error, says string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want %v that says %q", err, want, says)
	}
}

func TestAHeaderOverTheLimitIsNotRead(t *testing.T) {
	const n = maxHeader + 1
	head := append(binary.LittleEndian.AppendUint64(nil, n), '{')
	_, err := Read(bytes.NewReader(head), 8+n, "large.safetensors")
	checkError(t, err, ErrLimit, "100000001")
}

func TestHostileFilesAreErrors(t *testing.T) {
	sized := func(n uint64, rest string) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, n), rest...)
	}
	tests := []struct {
		name string
		file []byte
		want error
		says string
	}{
		{"nothing", nil, ErrNotSafetensors, "0 bytes"},
		{"seven bytes", make([]byte, 7), ErrNotSafetensors, "7 bytes"},
		{"a size and no more", sized(2, ""), ErrTruncated, "the file ends"},
		{"another kind of file", []byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
			ErrNotSafetensors, "no header"},
		{"a header of no bytes", sized(0, "{}"), ErrNotSafetensors, "no header"},
		{"a header larger than the file", sized(100, "{}"), ErrTruncated, "100 bytes"},
		{"a header of 2^64-1 bytes", sized(1<<64-1, "{}"), ErrNotSafetensors, "no length"},
		{"a text with a bracket where a header begins", []byte("The key:{ and so on"),
			ErrNotSafetensors, "no length"},
		{"a header that is no JSON", file(`{"a"`, 0), ErrCorrupt, "no JSON"},
		{"a header that goes on", file(`{}{}`, 0), ErrCorrupt, "goes on"},
		{"a header that is not UTF-8", file("{\"\xff\":1}", 0), ErrCorrupt, "UTF-8"},
		{"a tensor that is a number", file(`{"a":1}`, 0), ErrCorrupt, `"a"`},
		{"an array nested a million deep", file(`{"a":{"shape":`+strings.Repeat("[", 1e6), 0),
			ErrCorrupt, `"shape"`},
		{"metadata that is no string", file(`{"__metadata__":{"k":{}}}`, 0), ErrCorrupt,
			"no string"},
		{"a name twice", file(object(tensor("a", "U8", "[1]", 0, 1), tensor("a", "U8", "[1]", 1,
			2)), 2), ErrCorrupt, `"a": corrupt: it occurs twice`},
		{"a name twice, once escaped",
			file(object(tensor("a", "U8", "[1]", 0, 1),
				strings.Replace(tensor("a", "U8", "[1]", 1, 2), "a", `\u0061`, 1)), 2), ErrCorrupt,
			"occurs twice"},
		{"a key of a tensor twice",
			file(`{"a":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}}`, 1),
			ErrCorrupt, "occurs twice"},
		{"an unknown key of a tensor",
			file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"Shape":[2]}}`, 1),
			ErrCorrupt, "unknown key"},
		{"a tensor without a type", file(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), ErrCorrupt,
			"is missing"},
		{"a tensor without a shape", file(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1),
			ErrCorrupt, "is missing"},
		{"one offset", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}`, 1), ErrCorrupt,
			"is missing"},
		{"three offsets", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 1),
			ErrLimit, "more than 2"},
		{"a negative dimension", file(object(tensor("a", "U8", "[-1]", 0, 1)), 1), ErrCorrupt,
			"-1"},
		{"a dimension with a fraction", file(object(tensor("a", "U8", "[1.5]", 0, 1)), 1),
			ErrCorrupt, "1.5"},
		{"a dimension with an exponent", file(object(tensor("a", "U8", "[1e3]", 0, 1)), 1),
			ErrCorrupt, "1e3"},
		{"a dimension past int64", file(object(tensor("a", "U8", "[9223372036854775808]", 0, 1)),
			1), ErrCorrupt, "no size"},
		{"nine dimensions", file(object(tensor("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1)), 1),
			ErrLimit, "more than 8"},
		{"an unknown type", file(object(tensor("a", "F7", "[1]", 0, 1)), 1), ErrUnsupported,
			`"F7"`},
		{"a shape that overflows", file(object(tensor("a", "F32", "[4294967296,4294967296]", 0, 0)),
			0), ErrCorrupt, "overflows"},
		{"a shape that overflows behind a zero",
			file(object(tensor("a", "F32", "[0,4294967296,4294967296]", 0, 0)), 0), ErrCorrupt,
			"overflows"},
		{"a size that overflows", file(object(tensor("a", "F64", "[4611686018427387904]", 0, 0)),
			0), ErrCorrupt, "overflows"},
		{"a tensor that ends inside a byte", file(object(tensor("a", "F4", "[3]", 0, 1)), 1),
			ErrCorrupt, "inside a byte"},
		{"a size that is not the shape's", file(object(tensor("a", "F32", "[2]", 0, 4)), 4),
			ErrCorrupt, "takes 8 bytes, not 4"},
		{"offsets the wrong way round", file(object(tensor("a", "U8", "[1]", 1, 0)), 1), ErrCorrupt,
			"1 to 0"},
		{"data past the end", file(object(tensor("a", "U8", "[9]", 0, 9)), 8), ErrTruncated,
			"byte 9"},
		{"tensors that overlap",
			file(object(tensor("a", "U8", "[4]", 0, 4), tensor("b", "U8", "[4]", 2, 6)), 6),
			ErrCorrupt, `"b": corrupt: its data overlaps`},
		{"tensors in the same place",
			file(object(tensor("a", "U8", "[4]", 0, 4), tensor("b", "U8", "[4]", 0, 4)), 4),
			ErrCorrupt, "overlaps"},
		{"a gap between tensors",
			file(object(tensor("a", "U8", "[1]", 0, 1), tensor("b", "U8", "[1]", 2, 3)), 3),
			ErrCorrupt, "belong to no tensor"},
		{"bytes after the last tensor", file(object(tensor("a", "U8", "[1]", 0, 1)), 2), ErrCorrupt,
			"belong to no tensor"},
		{"a name over the limit",
			file(object(tensor(strings.Repeat("n", maxName+1), "U8", "[1]", 0, 1)), 1), ErrLimit,
			"65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(tt.file), int64(len(tt.file)), "hostile.safetensors")
			checkError(t, err, tt.want, tt.says)
			if !strings.Contains(err.Error(), "hostile.safetensors") || len(err.Error()) > 600 {
				t.Errorf("the error should name the file and be short: %v", err)
			}
		})
	}
}

func TestOddFilesThatAreRight(t *testing.T) {
	tests := []struct {
		name   string
		header string
		data   int
	}{
		{"no tensors", "{}", 0},
		{"a header padded with spaces", "{}      ", 0},
		{"a scalar", object(tensor("a", "F32", "[]", 0, 4)), 4},
		{"empty tensors in the same place", object(tensor("a", "F32", "[0]", 4, 4),
			tensor("b", "F32", "[3,0]", 4, 4), tensor("c", "F32", "[1]", 0, 4)), 4},
		{"tensors out of order", object(tensor("a", "U8", "[1]", 1, 2), tensor("b", "U8", "[1]", 0,
			1)), 2},
		{"an empty name", object(tensor("", "U8", "[1]", 0, 1)), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := file(tt.header, tt.data)
			if _, err := Read(bytes.NewReader(data), int64(len(data)), "odd"); err != nil {
				t.Error(err)
			}
		})
	}
}

// write writes files into a new folder.
func write(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFoldersAreOpenedWhole(t *testing.T) {
	a, b := file(object(tensor("a", "U8", "[1]", 0, 1)), 1),
		file(object(tensor("b", "U8", "[2]", 0, 2)), 2)
	dir := write(t, map[string][]byte{"x.safetensors": a, "y.safetensors": b,
		"model.safetensors.index.json": []byte(`{"metadata":{"total_size":3,"x":[1,{}]},"weight_map":{"b":"y.safetensors","a":"x.safetensors"}}`)})
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x, ok := f.Tensor("b"); !ok || x.Path() != filepath.Join(dir, "y.safetensors") ||
		len(f.Tensors()) != 2 {
		t.Errorf("%+v", x)
	}
	if f, err := OpenFolder(write(t, map[string][]byte{"model.safetensors": a})); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
}

func TestHostileFoldersAreErrors(t *testing.T) {
	a, b := file(object(tensor("a", "U8", "[1]", 0, 1)), 1),
		file(object(tensor("b", "U8", "[2]", 0, 2)), 2)
	index := func(weights string) []byte { return []byte(`{"weight_map":` + weights + `}`) }
	tests := []struct {
		name  string
		index []byte
		want  error
		says  string
	}{
		{"a part in the folder above", index(`{"a":"../x.safetensors"}`), ErrCorrupt,
			`"../x.safetensors" is no name of a file in the same folder`},
		{"a part in a folder below", index(`{"a":"sub/x.safetensors"}`), ErrCorrupt, "sub/x"},
		{"an absolute part", index(`{"a":"/etc/passwd"}`), ErrCorrupt, "/etc/passwd"},
		{"the folder itself", index(`{"a":"."}`), ErrCorrupt, "no name of a file"},
		{"the folder above itself", index(`{"a":".."}`), ErrCorrupt, "no name of a file"},
		{"a part without a name", index(`{"a":""}`), ErrCorrupt, "no name of a file"},
		{"a part with a backslash", index(`{"a":"..\\x"}`), ErrCorrupt, "no name of a file"},
		{"a part with a NUL", index(`{"a":"x\u0000"}`), ErrCorrupt, "no name of a file"},
		{"a part that is missing", index(`{"a":"z.safetensors"}`), fs.ErrNotExist,
			"z.safetensors, which model.safetensors.index.json lists"},
		{"a tensor that is missing", index(`{"a":"x.safetensors","c":"x.safetensors"}`),
			fs.ErrNotExist, `tensor "c"`},
		{"a tensor in another part", index(`{"a":"y.safetensors","b":"y.safetensors"}`),
			fs.ErrNotExist, `tensor "a"`},
		{"a tensor that the index does not know",
			index(`{"a":"x.safetensors","c":"y.safetensors"}`), ErrCorrupt, `"b"`},
		{"a tensor twice in the index", index(`{"a":"x.safetensors","a":"y.safetensors"}`),
			ErrCorrupt, "twice"},
		{"a part that is a folder", index(`{"a":"d"}`), ErrNotSafetensors, "no regular file"},
		{"a part that is a pipe", index(`{"a":"p"}`), ErrNotSafetensors, "no regular file"},
		{"no weight map", []byte(`{"metadata":{}}`), ErrCorrupt, "no weight_map"},
		{"a weight map of numbers", index(`{"a":1}`), ErrCorrupt, "no string"},
		{"an index that is no JSON", []byte("<html>"), ErrCorrupt, "no JSON"},
		{"an index whose other part is no JSON", []byte("{\"metadata\":\x1b}"), ErrCorrupt,
			"no JSON"},
		{"an index that is not UTF-8", []byte("{\"\xff\":0}"), ErrCorrupt, "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, map[string][]byte{"x.safetensors": a, "y.safetensors": b,
				"model.safetensors.index.json": tt.index})
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o700),
				syscall.Mkfifo(filepath.Join(dir, "p"), 0o600)); err != nil {
				t.Fatal(err)
			}
			f, err := OpenFolder(dir)
			if err == nil {
				f.Close()
			}
			checkError(t, err, tt.want, tt.says)
		})
	}
	_, err := OpenFolder(t.TempDir())
	checkError(t, err, fs.ErrNotExist, "neither model.safetensors nor model.safetensors.index.json")
	_, err = OpenFolder(write(t, map[string][]byte{"pytorch_model.bin": nil}))
	checkError(t, err, fs.ErrNotExist, "pytorch_model.bin is a PyTorch pickle")
}
