package gguf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime/metrics"
	"testing"
)

// allocated returns the bytes the program has allocated on the heap so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// FuzzParse checks that no file crashes the reader or makes it allocate more
// than a multiple of the file's size, that errors are of the documented kinds,
// and that what was read can be written and read back the same.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.gguf")
	if err != nil || len(paths) != 3 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(magic))
	f.Add(file(2, 0, 1).key("nested", Array).u32(uint32(Array)).u64(2).u32(uint32(Array)).u64(0).
		u32(uint32(String)).u64(1).str("x").b)
	f.Add(file(3, 1, 1).key(keyAlignment, Uint32).u32(8).tensor("t", Q8_0, 0, 32).data(34).b)
	f.Add(file(3, 2, 2).key("a", Float32).u32(0x7fc00000).key("b",
		Array).u32(uint32(Bool)).u64(3).zeros(3).
		tensor("t", F32, 0, 1).tensor("u", BF16, 32, 3, 1, 1, 2).data(64).b)
	f.Fuzz(func(t *testing.T, data []byte) {
		before := allocated()
		m, err := Parse(data, "fuzz")
		// The constant is the read buffer and whatever the test binary does
		// besides; the factor is what many tiny keys cost.
		if n := allocated() - before; n > 1<<20+64*uint64(len(data)) {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(data))
		}
		if err != nil {
			for _, kind := range []error{ErrNotGGUF, ErrTruncated, ErrCorrupt, ErrUnsupported,
				ErrLimit} {
				if errors.Is(err, kind) {
					return
				}
			}
			t.Fatalf("an error of no kind: %v", err)
		}
		useAll(t, m)
		rewrite(t, m)
	})
}

// useAll calls what can be called on a file that was read.
func useAll(t *testing.T, m *File) {
	for _, kv := range m.Keys() {
		m.Uint(kv.Key)
		m.Float(kv.Key)
		m.Ints(kv.Key)
		m.Floats(kv.Key)
		_ = kv.Value.String()
		if _, err := kv.Value.MarshalJSON(); err != nil {
			t.Fatalf("%q: %v", kv.Key, err)
		}
	}
	var size int64
	for _, tensor := range m.Tensors() {
		if int64(len(tensor.Data())) != tensor.Size() {
			t.Fatalf("%q: %d bytes of %d", tensor.Name, len(tensor.Data()), tensor.Size())
		}
		size += tensor.Size()
	}
	if size > m.Size() {
		t.Fatalf("tensors of %d bytes in a file of %d", size, m.Size())
	}
	m.Types()
	m.FileType()
	m.Architecture()
}

// rewrite writes m again, unless it holds what only the reader allows, and
// compares.
func rewrite(t *testing.T, m *File) {
	var w Writer
	for _, kv := range m.Keys() {
		if kv.Key == "" || kv.Key == keyAlignment && kv.Value.bits > 4096 {
			return
		}
		w.Set(kv.Key, kv.Value)
	}
	for _, tensor := range m.Tensors() {
		if n := len(tensor.Name); n == 0 || n > maxTensorName {
			return
		}
		w.AddTensor(tensor.Name, tensor.Type, tensor.Dims, tensor.Data())
	}
	data, err := w.Bytes()
	if err != nil {
		t.Fatalf("writing what was read: %v", err)
	}
	again, err := Parse(data, "again")
	if err != nil {
		t.Fatalf("reading what was written: %v", err)
	}
	sameFile(t, again, m)
	var second Writer
	for _, kv := range again.Keys() {
		second.Set(kv.Key, kv.Value)
	}
	for _, tensor := range again.Tensors() {
		second.AddTensor(tensor.Name, tensor.Type, tensor.Dims, tensor.Data())
	}
	if b, err := second.Bytes(); err != nil || !bytes.Equal(b, data) {
		t.Fatalf("writing twice gives other bytes (%v)", err)
	}
}
