package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sameFile compares metadata and tensors, floats by their bits.
func sameFile(t *testing.T, got, want *File) {
	t.Helper()
	if len(got.Keys()) != len(want.Keys()) || len(got.Tensors()) != len(want.Tensors()) {
		t.Fatalf("%d keys and %d tensors, want %d and %d",
			len(got.Keys()), len(got.Tensors()), len(want.Keys()), len(want.Tensors()))
	}
	for i, kv := range want.Keys() {
		g := got.Keys()[i]
		if g.Key != kv.Key || !sameValue(g.Value, kv.Value) {
			t.Fatalf("key %d is %q: %s %v, want %q: %s %v", i, g.Key, g.Value.Type(), g.Value,
				kv.Key, kv.Value.Type(), kv.Value)
		}
	}
	for i, tensor := range want.Tensors() {
		g := got.Tensors()[i]
		if g.Name != tensor.Name || g.Type != tensor.Type || !slices.Equal(g.Dims, tensor.Dims) ||
			!bytes.Equal(g.Data(), tensor.Data()) {
			t.Fatalf("tensor %d is %+v, want %+v", i, g, tensor)
		}
	}
}

func sameValue(a, b Value) bool {
	return a.Type() == b.Type() && a.ElemType() == b.ElemType() && bytes.Equal(appendValue(nil, a),
		appendValue(nil, b))
}

func TestRewritingAFileOfPythonGivesItsBytes(t *testing.T) {
	for _, name := range []string{"all.gguf", splitFirst, splitSecond} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse(data, name)
		if err != nil {
			t.Fatal(err)
		}
		var w Writer
		for _, kv := range f.Keys() {
			w.Set(kv.Key, kv.Value)
		}
		for _, tensor := range f.Tensors() {
			w.AddTensorFunc(tensor.Name, tensor.Type, tensor.Dims, func(out io.Writer) error {
				_, err := io.Copy(out, tensor.Reader())
				return err
			})
		}
		got, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes that differ from Python's %d", name, len(got), len(data))
		}
	}
}

func TestValuesOfEveryTypeRoundTrip(t *testing.T) {
	nested, err := NewValue([]uint16{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	empty, err := NewValue([]string{})
	if err != nil {
		t.Fatal(err)
	}
	values := []any{
		uint8(math.MaxUint8), int8(math.MinInt8), uint16(math.MaxUint16), int16(math.MinInt16),
		uint32(math.MaxUint32), int32(math.MinInt32), uint64(math.MaxUint64), int64(math.MinInt64),
		float32(-0.1), math.Pi, true, false, "", "text",
		[]uint8{1, 255}, []int8{-1, 1}, []uint16{1, 65535}, []int16{-1}, []uint32{}, []int32{-7, 7},
		[]uint64{math.MaxUint64}, []int64{math.MinInt64}, []float32{1, float32(math.Inf(1))},
		[]float64{math.Inf(-1)},
		[]bool{true, false}, []string{"a", "", "\xff invalid UTF-8"}, []Value{},
		[]Value{nested, empty},
		// More than a read window of each kind of storage.
		make([]float64, 20_000), slices.Repeat([]string{"token"}, 20_000),
		strings.Repeat("long", 50_000),
	}
	w := NewWriter("test")
	for i, v := range values {
		w.Set(fmt.Sprintf("key.%02d", i), v)
	}
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(data, "values")
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		got, ok := f.Lookup(fmt.Sprintf("key.%02d", i))
		want, err := NewValue(v)
		if err != nil {
			t.Fatal(err)
		}
		if !ok || !sameValue(got, want) {
			t.Errorf("%T %v came back as %s %v", v, want, got.Type(), got)
		}
		if want.Type() != Array && got.Any() != v {
			t.Errorf("%T %v came back as %T %v", v, v, got.Any(), got.Any())
		}
	}
	if len(data)%defaultAlignment == 0 {
		t.Error("the test file happens to be aligned; a file without tensors should not be padded")
	}
}

func TestSettingAKeyAgainKeepsItsPlace(t *testing.T) {
	w := NewWriter("first")
	w.Set("b", uint32(1))
	w.Set("general.architecture", "second")
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(data, "again")
	if err != nil {
		t.Fatal(err)
	}
	if k := f.Keys(); len(k) != 2 || k[0].Key != keyArchitecture || f.Architecture() != "second" {
		t.Errorf("%v", k)
	}
}

func TestMistakesOfAWriterAreKept(t *testing.T) {
	deep, err := NewValue([]uint8{})
	for range maxDepth {
		if err == nil {
			deep, err = NewValue([]Value{deep})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	write := func(n int) func(io.Writer) error {
		return func(w io.Writer) error {
			for range n {
				if _, err := w.Write([]byte{0}); err != nil {
					return err
				}
			}
			return nil
		}
	}
	boom := errors.New("boom")
	tests := []struct {
		name string
		call func(*Writer)
		says string
	}{
		{"an int without a width", func(w *Writer) {
			w.Set("k", 1)
		}, `gguf: key "k": no GGUF type for a Go int`},
		{"an array of mixed values", func(w *Writer) { w.Set("k", []Value{{}}) }, "element 0"},
		{"an empty key", func(w *Writer) { w.Set("", true) }, "1 to 65535 bytes"},
		{"an alignment that is no power of two", func(w *Writer) {
			w.Set(keyAlignment, uint32(48))
		}, "power of two"},
		{"an alignment of 2 GiB", func(w *Writer) {
			w.Set(keyAlignment, uint32(1<<31))
		}, "at most"},
		{"arrays too deep", func(w *Writer) { w.Set("k", deep) }, "nested"},
		{"a tensor twice", func(w *Writer) {
			w.AddTensor("t", I8, nil, []byte{0})
			w.AddTensor("t", I8, nil, []byte{0})
		},
			"added already"},
		{"a tensor of the wrong size", func(w *Writer) {
			w.AddTensor("t", F32, []uint64{2}, make([]byte, 7))
		}, "takes 8 bytes, not 7"},
		{"a tensor of an unknown type", func(w *Writer) {
			w.AddTensor("t", 99, []uint64{2}, nil)
		}, "tensor type 99"},
		{"a name that ggml refuses", func(w *Writer) {
			w.AddTensor(strings.Repeat("t", 64), I8, nil, []byte{0})
		}, "1 to 63 bytes"},
		{"a tensor that writes too little", func(w *Writer) {
			w.AddTensorFunc("t", I8, []uint64{3}, write(2))
		}, "2 bytes were written of 3"},
		{"a tensor that writes too much", func(w *Writer) {
			w.AddTensorFunc("t", I8, []uint64{3}, write(4))
		}, "too many"},
		{"a tensor that fails", func(w *Writer) {
			w.AddTensorFunc("t", I8, nil, func(io.Writer) error { return boom })
		}, "boom"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			w := NewWriter("test")
			tt.call(w)
			err := w.WriteFile(filepath.Join(dir, "out.gguf"))
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want one that says %q", err, tt.says)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
				t.Errorf("files are left: %v, %v", entries, err)
			}
		})
	}
}

func TestWriteFileReplacesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.gguf")
	for _, arch := range []string{"one", "two"} {
		w := NewWriter(arch)
		w.Set(keyAlignment, uint32(4096))
		w.AddTensor("a", F32, []uint64{3}, make([]byte, 12))
		w.AddTensor("b", Q8_0, []uint64{64, 2}, make([]byte, 4*34))
		if err := w.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Architecture() != arch || f.Alignment() != 4096 || f.Size() != 3*4096 {
			t.Errorf("architecture %s, alignment %d, %d bytes", f.Architecture(), f.Alignment(),
				f.Size())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := NewWriter("x").WriteFile(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("writing over a directory gives %v", err)
	}
	missing := filepath.Join(dir, "none", "o.gguf")
	for _, to := range []string{missing, dir} {
		if err := NewWriter("x").WriteFile(to); err == nil || !strings.Contains(err.Error(), to) ||
			strings.Contains(err.Error(), ".tmp") {
			t.Errorf("%v", err)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

type brokenDisk struct{}

var errFull = errors.New("disk full")

func (brokenDisk) Write([]byte) (int, error) { return 0, errFull }

func TestAnErrorOfTheDestinationComesBack(t *testing.T) {
	w := NewWriter("test")
	w.AddTensor("t", I8, []uint64{1 << 20}, make([]byte, 1<<20))
	if _, err := w.WriteTo(brokenDisk{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}
