package gguf

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// golden is what the gguf Python package wrote and read back; see
// scripts/golden/gguf_files.py.
type golden struct {
	Files      map[string]goldenFile
	Types      map[string][3]int // number, block, size
	ValueTypes map[string]uint32 `json:"value_types"`
	FileTypes  map[string]uint32 `json:"file_types"`
}

type goldenFile struct {
	Alignment int64
	Fields    []struct {
		Key   string
		Types []string
		Value any
	}
	Tensors []struct {
		Name, Type, SHA256 string
		Dims               []uint64
		Elements           uint64
		Bytes, Offset      int64
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	b, err := os.Open("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	d := json.NewDecoder(b)
	d.UseNumber()
	var g golden
	if err := d.Decode(&g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestFilesOfThePythonPackageReadAsPythonReadsThem(t *testing.T) {
	g := readGolden(t)
	if len(g.Files) != 3 {
		t.Fatalf("golden.json has %d files", len(g.Files))
	}
	for name, want := range g.Files {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			f, err := Parse(data, name)
			if err != nil {
				t.Fatal(err)
			}
			comparePython(t, f, want)
		})
	}
}

func comparePython(t *testing.T, f *File, want goldenFile) {
	t.Helper()
	if f.Alignment() != want.Alignment {
		t.Errorf("alignment %d, want %d", f.Alignment(), want.Alignment)
	}
	if len(f.Keys()) != len(want.Fields) || len(f.Tensors()) != len(want.Tensors) {
		t.Fatalf("%d keys and %d tensors, want %d and %d", len(f.Keys()), len(f.Tensors()),
			len(want.Fields), len(want.Tensors))
	}
	for i, w := range want.Fields {
		kv := f.Keys()[i]
		if kv.Key != w.Key {
			t.Errorf("key %d is %q, want %q", i, kv.Key, w.Key)
		}
		if got := pythonTypes(kv.Value); !slices.Equal(got, w.Types) {
			t.Errorf("%s: types %v, want %v", w.Key, got, w.Types)
		}
		if err := equalPython(kv.Value, w.Value); err != nil {
			t.Errorf("%s: %v", w.Key, err)
		}
	}
	for i, w := range want.Tensors {
		got := f.Tensors()[i]
		if got.Name != w.Name || got.Type.String() != w.Type || !slices.Equal(got.Dims, w.Dims) ||
			got.Elements() != w.Elements || got.Size() != w.Bytes || got.Offset() != w.Offset {
			t.Errorf("tensor %d: %+v, want %+v", i, got, w)
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(got.Data())); sum != w.SHA256 {
			t.Errorf("tensor %s: data differs", w.Name)
		}
		if b, err := io.ReadAll(got.Reader()); err != nil || string(b) != string(got.Data()) {
			t.Errorf("tensor %s: Reader and Data differ (%v)", w.Name, err)
		}
	}
}

// pythonTypes lists the types of a value as GGUFReader does: one for each
// level of an array, and the elements' last.
func pythonTypes(v Value) []string {
	names := []string{strings.ToUpper(v.Type().String())}
	for v.Type() == Array {
		names = append(names, strings.ToUpper(v.ElemType().String()))
		if v.ElemType() != Array {
			break
		}
		v = v.Index(0)
	}
	return names
}

// equalPython compares v with Python's JSON, in which nested arrays are flat
// and a float32 is printed as the float64 of the same value.
func equalPython(v Value, want any) error {
	switch want := want.(type) {
	case []any:
		flat := flatten(v)
		if len(flat) != len(want) {
			return fmt.Errorf("%d elements, want %d", len(flat), len(want))
		}
		for i, e := range flat {
			if err := equalPython(e, want[i]); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		return nil
	case json.Number:
		if x, ok := v.Float(); ok && (v.Type() == Float32 || v.Type() == Float64) {
			if y, err := want.Float64(); err != nil || x != y {
				return fmt.Errorf("%v, want %v", x, want)
			}
			return nil
		}
		if fmt.Sprint(v.Any()) != want.String() {
			return fmt.Errorf("%v, want %v", v.Any(), want)
		}
		return nil
	case string:
		if x, ok := v.Float(); ok {
			if got, _ := json.Marshal(v); string(got) != strconv.Quote(want) {
				return fmt.Errorf("%v, want %v", x, want)
			}
			return nil
		}
	}
	if v.Any() != want {
		return fmt.Errorf("%v, want %v", v.Any(), want)
	}
	return nil
}

func flatten(v Value) []Value {
	if v.Type() != Array {
		return []Value{v}
	}
	var flat []Value
	for i := range v.Len() {
		flat = append(flat, flatten(v.Index(i))...)
	}
	return flat
}

// Python's reader flattens nested arrays, so their shape is checked against
// what the script wrote.
func TestNestedArraysKeepTheirShape(t *testing.T) {
	f, err := Open("testdata/all.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for key, want := range map[string]string{
		"nested.int":    `[[1,2],[3],[4,5,6]]`,
		"nested.string": `[["a","bc"],["def"]]`,
		"nested.deep":   `[[[1.5],[2.5,3.5]],[[4.5]]]`,
	} {
		v, _ := f.Lookup(key)
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s is %s (%v), want %s", key, got, err, want)
		}
	}
}

func TestTypesAgreeWithThePythonPackage(t *testing.T) {
	g := readGolden(t)
	for name, w := range g.Types {
		typ := Type(w[0])
		size := w[2]
		if typ == Q8_1 {
			// Python adds two float32 to the 32 bytes; ggml's block_q8_1
			// has two float16 and ggml_type_size says 36.
			size = 36
		}
		if typ.String() != name || typ.BlockSize() != w[1] || typ.TypeSize() != size {
			t.Errorf("%d is %s with blocks of %d in %d bytes, want %s %v", w[0], typ,
				typ.BlockSize(), typ.TypeSize(), name, w)
		}
	}
	for name, n := range g.ValueTypes {
		if got := ValueType(n).String(); got != strings.ToLower(name) {
			t.Errorf("value type %d is %s, want %s", n, got, name)
		}
	}
	for name, n := range g.FileTypes {
		name = strings.TrimPrefix(strings.TrimPrefix(name, "MOSTLY_"), "ALL_")
		if name == "GUESSED" {
			name = "F32 (guessed)"
		}
		if got := FileType(n).String(); got != name {
			t.Errorf("file type %d is %s, want %s", n, got, name)
		}
	}
}

func TestEveryTypeIsNamedOnceAndUnknownOnesHaveNoSize(t *testing.T) {
	seen := make(map[string]bool)
	for i, typ := range types {
		if typ.name == "" || seen[typ.name] {
			t.Errorf("type %d is called %q", i, typ.name)
		}
		seen[typ.name] = true
	}
	for _, typ := range []Type{4, 31, 38, Type(len(types)), math.MaxUint32} {
		if typ.BlockSize() != 0 || typ.TypeSize() != 0 {
			t.Errorf("%s has a size", typ)
		}
	}
	if got := Type(99).String() + FileType(99).String() + ValueType(99).String(); got !=
		"Type(99)FileType(99)ValueType(99)" {
		t.Error(got)
	}
	if got := (FileType(15) | fileTypeGuessed).String(); got != "Q4_K_M (guessed)" {
		t.Error(got)
	}
}

func TestGettersWiden(t *testing.T) {
	f, err := Open("testdata/all.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	check := func(what string, got any, ok bool, want any, wantOK bool) {
		t.Helper()
		if ok != wantOK || ok && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, %v; want %v, %v", what, got, ok, want, wantOK)
		}
	}
	u, ok := f.Uint("scalar.int8.2")
	check("Uint of an int8", u, ok, 127, true)
	u, ok = f.Uint("scalar.int8.0")
	check("Uint of -128", u, ok, nil, false)
	u, ok = f.Uint("scalar.uint64.2")
	check("Uint of the largest uint64", u, ok, uint64(math.MaxUint64), true)
	n, ok := f.Int("scalar.uint64.2")
	check("Int of the largest uint64", n, ok, nil, false)
	n, ok = f.Int("scalar.int64.0")
	check("Int of the smallest int64", n, ok, int64(math.MinInt64), true)
	n, ok = f.Int("scalar.float32.0")
	check("Int of a float", n, ok, nil, false)
	x, ok := f.Float("scalar.float32.0")
	check("Float of a float32", x, ok, float64(float32(0.1)), true)
	x, ok = f.Float("scalar.int16.1")
	check("Float of an int16", x, ok, -1.0, true)
	x, ok = f.Float("scalar.string.1")
	check("Float of a string", x, ok, nil, false)
	b, ok := f.Bool("scalar.bool.0")
	check("Bool", b, ok, true, true)
	_, ok = f.Bool("scalar.uint8.1")
	check("Bool of a uint8", nil, ok, nil, false)
	s, ok := f.Str("scalar.string.2")
	check("Str", s, ok, "多语言 ünïcode", true)
	_, ok = f.Str("missing")
	check("Str of a missing key", nil, ok, nil, false)
	a, ok := f.Ints("array.int16")
	check("Ints of int16", a, ok, []int64{-1 << 15, -1, 1<<15 - 1}, true)
	a, ok = f.Ints("array.uint64")
	check("Ints of uint64 past int64", a, ok, nil, false)
	fl, ok := f.Floats("array.uint8")
	check("Floats of uint8", fl, ok, []float64{0, 7, 255}, true)
	_, ok = f.Floats("array.string")
	check("Floats of strings", nil, ok, nil, false)
	bs, ok := f.Bools("array.bool")
	check("Bools", bs, ok, []bool{true, false, true}, true)
	ss, ok := f.Strings("array.string")
	check("Strings", ss[:2], ok, []string{"", "text"}, true)
	ft, ok := f.FileType()
	check("FileType", ft, ok, "Q4_K_M", true)
	if f.Architecture() != "golden" || f.Version() != 3 {
		t.Errorf("architecture %q, version %d", f.Architecture(), f.Version())
	}
}

func TestTypesSumUpTheFile(t *testing.T) {
	f, err := Open("testdata/all.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	counts := f.Types()
	var n int
	var bytes int64
	for i, c := range counts {
		n += c.Tensors
		bytes += c.Bytes
		if i > 0 && c.Bytes > counts[i-1].Bytes {
			t.Errorf("%v comes after %v", c, counts[i-1])
		}
		if c.Type == F32 && c != (TypeCount{F32, 2, 41, 164}) {
			t.Errorf("F32: %v", c)
		}
	}
	if n != len(f.Tensors()) || bytes >= f.Size() || bytes < 3000 {
		t.Errorf("%d tensors, %d bytes of a file of %d", n, bytes, f.Size())
	}
}
