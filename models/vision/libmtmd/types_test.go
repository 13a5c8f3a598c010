package libmtmd

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/x448/float16"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
	"github.com/eyelet-engine/eyelet/models/mmproj"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// halve copies a projector with those tensors of float32 in float16 or bfloat16 that pick names,
// and returns how many they were.
func halve(t *testing.T, from, to string, pick func(x *gguf.Tensor) gguf.Type) (n int) {
	t.Helper()
	f, err := gguf.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := gguf.NewWriter(f.Architecture())
	for _, kv := range f.Keys() {
		w.Set(kv.Key, kv.Value)
	}
	for _, x := range f.Tensors() {
		typ, data := x.Type, x.Data()
		if x.Type == gguf.F32 {
			typ = pick(x)
		}
		if typ != x.Type {
			n++
			halves := make([]byte, 0, len(data)/2)
			for i := 0; i < len(data); i += 4 {
				bits := binary.LittleEndian.Uint32(data[i:])
				if typ == gguf.F16 {
					halves = binary.LittleEndian.AppendUint16(halves,
						float16.Fromfloat32(math.Float32frombits(bits)).Bits())
				} else {
					halves = binary.LittleEndian.AppendUint16(halves, uint16(bits>>16))
				}
			}
			data = halves
		}
		w.AddTensor(x.Name, typ, x.Dims, data)
	}
	if err := w.WriteFile(to); err != nil {
		t.Fatal(err)
	}
	return n
}

// widen copies a projector with one tensor in float32.
func widen(t *testing.T, f *gguf.File, to, name string) {
	t.Helper()
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	w := gguf.NewWriter(f.Architecture())
	for _, kv := range f.Keys() {
		w.Set(kv.Key, kv.Value)
	}
	for _, x := range f.Tensors() {
		typ, data := x.Type, x.Data()
		if x.Name == name {
			values := make([]float32, x.Elements())
			if err := ggml.Dequantize(ggml.Type(x.Type), x.Data(), values); err != nil {
				t.Fatal(err)
			}
			typ, data = gguf.F32, nil
			for _, v := range values {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
			}
		}
		w.AddTensor(x.Name, typ, x.Dims, data)
	}
	if err := w.WriteFile(to); err != nil {
		t.Fatal(err)
	}
}

// rowsOf opens a projector and encodes a small picture.
func rowsOf(t *testing.T, path string) []float32 {
	t.Helper()
	e, err := Open(t.Context(), path, Options{Threads: 1, NoAccelerator: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	in, err := vision.Preprocess(t.Context(), e, layouttest.Scene(37, 61))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rows, err := vision.Encode(t.Context(), e, in)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// libggml aborts the process over vectors, tables of positions and convolutions of other types than
// it computes with. The weights of the bench are the same numbers in float16 and bfloat16, so that
// the rows must be as well.
func TestTensorsOfTypesThatLibmtmdCannotComputeWithAreWidened(t *testing.T) {
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if os.Getenv("EYELET_SLOW") == "" && !slices.Contains([]string{"gemma3", "internvl3",
			"qwen3-vl", "pixtral"}, g.Name) {
			continue
		}
		t.Run(g.Name, func(t *testing.T) {
			dir := t.TempDir()
			_, projector, err := g.Write(dir)
			if err != nil {
				t.Fatal(err)
			}
			f, err := gguf.Open(projector)
			if err != nil {
				t.Fatal(err)
			}
			kind := f.ProjectorKind()
			f.Close()
			half := filepath.Join(dir, "half.gguf")
			n := halve(t, projector, half, func(x *gguf.Tensor) gguf.Type {
				y := *x
				if y.Type = gguf.F16; strings.HasPrefix(x.Name, "v.patch_embd.weight") {
					y.Type = gguf.BF16
				}
				if mmproj.WrongType(kind, &y) {
					return y.Type
				}
				return x.Type
			})
			if n < 5 {
				t.Fatalf("%d tensors are of other types", n)
			}
			if got, want := rowsOf(t, half), rowsOf(t, projector); !slices.Equal(got, want) {
				t.Error("other rows")
			}
			if e, err := Open(t.Context(), half, Options{AsIs: true}); err == nil ||
				!strings.Contains(err.Error(), "where libmtmd needs F32") {
				if err == nil {
					e.Close()
				}
				t.Errorf("as it is: %v", err)
			}
		})
	}
}

// Tables of positions in other types than float32 are looked up in LLaVA's towers and added in
// Janus's.
func TestPositionsOfOtherTypesAreComputedAlike(t *testing.T) {
	for _, name := range []string{"siglip-mlp", "quick-mlp", "siglip-janus"} {
		t.Run(name, func(t *testing.T) {
			from, wide := filepath.Join("..", "testdata", name+".gguf"), filepath.Join(t.TempDir(),
				"wide.gguf")
			f, err := gguf.Open(from)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if x, ok := f.Tensor("v.position_embd.weight"); !ok || x.Type == gguf.F32 {
				t.Fatalf("positions: %+v", x)
			}
			widen(t, f, wide, "v.position_embd.weight")
			if got, want := rowsOf(t, from), rowsOf(t, wide); !slices.Equal(got, want) {
				t.Error("other rows")
			}
		})
	}
}
