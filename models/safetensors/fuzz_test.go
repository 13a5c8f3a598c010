package safetensors

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime/metrics"
	"testing"
)

// allocated returns the bytes the program has allocated on the heap so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// ofAKind tells whether an error is of the documented kinds.
func ofAKind(err error) bool {
	for _, kind := range []error{ErrNotSafetensors, ErrTruncated, ErrCorrupt, ErrUnsupported,
		ErrLimit} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// FuzzRead checks that no file crashes the reader or makes it allocate more than
// a multiple of the file's size, that errors are of the documented kinds, and
// that the tensors of a file that was read take its data exactly.
func FuzzRead(f *testing.F) {
	data, err := os.ReadFile("testdata/types.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(file("{}", 0))
	f.Add(file(object(tensor("a", "U8", "[1]", 1, 2), tensor("b", "F4", "[2,1]", 0, 1),
		`"__metadata__":{"k":"v"}`), 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := allocated()
		m, err := Read(bytes.NewReader(data), int64(len(data)), "fuzz")
		if n := allocated() - before; n > 1<<20+64*uint64(len(data)) {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(data))
		}
		if err != nil {
			if !ofAKind(err) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		var total int64
		for _, x := range m.Tensors() {
			b, err := io.ReadAll(x.Reader())
			if err != nil || int64(len(b)) != x.Size() {
				t.Fatalf("tensor %q: %d bytes of %d: %v", x.Name, len(b), x.Size(), err)
			}
			if same, ok := m.Tensor(x.Name); !ok || same != x {
				t.Fatalf("tensor %q is not found", x.Name)
			}
			total += x.Size()
		}
		if total > int64(len(data)) {
			t.Fatalf("%d bytes of tensors in a file of %d", total, len(data))
		}
	})
}

// FuzzParseIndex checks that no index crashes the reader or names a file
// elsewhere.
func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":3},"weight_map":{"b":"y.safetensors","a":"x.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, err := parseIndex(data)
		if err != nil && !ofAKind(err) {
			t.Fatalf("an error of no kind: %v", err)
		}
		for part := range parts {
			if part == "" || part == "." || part == ".." || bytes.ContainsAny([]byte(part),
				"/\\\x00") {
				t.Fatalf("part %q", part)
			}
		}
	})
}
