package safetensors

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"slices"
	"testing"
)

// TestReadsWhatTheFormatsOwnLibraryWrites checks testdata/types.safetensors
// against what scripts/golden/convert.py put into it.
func TestReadsWhatTheFormatsOwnLibraryWrites(t *testing.T) {
	f, err := Open("testdata/types.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var golden struct {
		Tensors map[string]struct {
			Shape  []uint64
			SHA256 string
		}
	}
	data, err := os.ReadFile("testdata/types.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(f.Tensors()) != len(golden.Tensors) || len(golden.Tensors) != 14 {
		t.Errorf("%d tensors, want %d", len(f.Tensors()), len(golden.Tensors))
	}
	for name, want := range golden.Tensors {
		tensor, ok := f.Tensor(name)
		if !ok || !slices.Equal(tensor.Shape, want.Shape) {
			t.Errorf("tensor %s: %+v, want shape %v", name, tensor, want.Shape)
			continue
		}
		data, err := io.ReadAll(tensor.Reader())
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want.SHA256 ||
			int64(len(data)) != tensor.Size() {
			t.Errorf("tensor %s: other bytes (%d)", name, len(data))
		}
	}
	if m := f.Metadata(); m["format"] != "pt" || m["of"] != "test" || len(m) != 2 {
		t.Errorf("metadata %v", m)
	}
	if err := f.Close(); err != nil || f.Close() != nil {
		t.Errorf("closing: %v", err)
	}
	if tensor, _ := f.Tensor("x"); tensor != nil {
		if _, err := io.ReadAll(tensor.Reader()); err == nil {
			t.Error("a tensor was read after Close")
		}
	}
}

func TestAFileInMemoryIsReadTheSame(t *testing.T) {
	data, err := os.ReadFile("testdata/types.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(bytes.NewReader(data), int64(len(data)), "memory")
	if err != nil {
		t.Fatal(err)
	}
	x, ok := f.Tensor("x")
	if !ok || x.Elements() != 24 || x.Path() != "memory" || x.DType != "I64" {
		t.Errorf("%+v", x)
	}
}
