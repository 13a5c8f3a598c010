package imatrix

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

func sample() *Matrix {
	return &Matrix{Datasets: []string{"a.txt"}, Chunks: 3, ChunkSize: 512,
		Entries: map[string]*Sums{
			"blk.0.attn_q.weight":        {Squares: []float32{1, 4, 9}, Counts: []float32{2}},
			"blk.0.ffn_down_exps.weight": {Squares: []float32{2, 6, 0, 0}, Counts: []float32{2, 0}},
		}}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "imatrix.gguf")
	if err := sample().WriteFile(path); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m, sample()) {
		t.Errorf("%+v", m)
	}
	want := map[string][]float32{"blk.0.attn_q.weight": {0.5, 2, 4.5},
		"blk.0.ffn_down_exps.weight": {1, 3, 1, 1}}
	if got := m.Weights(); !reflect.DeepEqual(got, want) {
		t.Errorf("weights %v", got)
	}
}

// legacy makes a file of the older format.
func legacy() []byte {
	var b []byte
	number := func(n int) { b = binary.LittleEndian.AppendUint32(b, uint32(n)) }
	text := func(s string) { number(len(s)); b = append(b, s...) }
	number(1)
	text("blk.0.attn_q.weight")
	number(2)
	number(3)
	b = append(b, floatBytes([]float32{1, 4, 9})...)
	number(7)
	text("a.txt")
	return b
}

func TestTheOlderFormatIsRead(t *testing.T) {
	m, err := Parse(legacy(), "imatrix.dat")
	if err != nil {
		t.Fatal(err)
	}
	if w := m.Weights()["blk.0.attn_q.weight"]; m.Chunks != 7 || m.Datasets[0] != "a.txt" ||
		!reflect.DeepEqual(w, []float32{0.5, 2, 4.5}) {
		t.Errorf("%+v, %v", m, w)
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	other, err := gguf.NewWriter("llama").Bytes()
	if err != nil {
		t.Fatal(err)
	}
	nan := sample()
	nan.Entries["blk.0.attn_q.weight"].Squares[1] = float32(math.NaN())
	if err := nan.WriteFile(filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("NaN was written")
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "text": []byte("this is no importance matrix"), "a model": other,
		"half a file": legacy()[:30],
		"no entry":    binary.LittleEndian.AppendUint32(nil, 0),
	} {
		if _, err := Parse(data, name); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	path := filepath.Join(f.TempDir(), "imatrix.gguf")
	if err := sample().WriteFile(path); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(legacy())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data, "fuzz")
		if err != nil {
			return
		}
		for name, w := range m.Weights() {
			if len(w) != len(m.Entries[name].Squares) {
				t.Fatal(name)
			}
		}
	})
}
