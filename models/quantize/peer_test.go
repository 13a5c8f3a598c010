package quantize

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/imatrix"
)

// halfModel writes the built-in model in F16.
func halfModel(t *testing.T) *gguf.File {
	t.Helper()
	f, err := gguf.Open(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	path := filepath.Join(t.TempDir(), "model-f16.gguf")
	if _, err := Language(t.Context(), f, path, llama.QuantizeParams{Type: mixture(t, "F16"),
		AllowRequantize: true}); err != nil {
		t.Fatal(err)
	}
	half, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { half.Close() })
	return half
}

// importanceOf writes a matrix that weighs the columns of each matrix of the blocks differently.
func importanceOf(t *testing.T, f *gguf.File) string {
	t.Helper()
	m := &imatrix.Matrix{Datasets: []string{"words.txt"}, Chunks: 7, ChunkSize: 512,
		Entries: map[string]*imatrix.Sums{}}
	for _, x := range f.Tensors() {
		if len(x.Dims) != 2 {
			continue
		}
		s := &imatrix.Sums{Counts: []float32{7}}
		for i := range x.Dims[0] {
			s.Squares = append(s.Squares, float32(2+math.Sin(float64(i))))
		}
		m.Entries[x.Name] = s
	}
	path := filepath.Join(t.TempDir(), "imatrix.gguf")
	if err := m.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFilesAreLlamaQuantizesToTheByte compares whole files, metadata included.
func TestFilesAreLlamaQuantizesToTheByte(t *testing.T) {
	peers.Require(t, "llama-quantize")
	f := halfModel(t)
	matrix := importanceOf(t, f)
	q8, q5k := ggml.Q8_0, ggml.Q5_K
	mine, err := gguf.NewValue("Mine")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		typ   string
		p     llama.QuantizeParams
		flags []string
		use   func(tensor string) bool
	}{
		{"Q4_K_M", llama.QuantizeParams{}, nil, nil},
		{"Q5_K_M", llama.QuantizeParams{}, nil, nil},
		{"Q3_K_L", llama.QuantizeParams{KeepOutput: true}, []string{"--leave-output-tensor"}, nil},
		{"Q6_K", llama.QuantizeParams{Pure: true}, []string{"--pure"}, nil},
		{"Q4_0", llama.QuantizeParams{OutputType: &q8, EmbeddingType: &q5k},
			[]string{"--output-tensor-type", "q8_0", "--token-embedding-type", "q5_k"}, nil},
		{"Q4_K_S", llama.QuantizeParams{TensorTypes: []llama.TensorType{{Pattern: "attn_v",
			Type: ggml.Q8_0}}}, []string{"--tensor-type", "attn_v=q8_0"}, nil},
		{"Q4_K_M", llama.QuantizeParams{}, []string{"--imatrix", matrix}, nil},
		{"IQ2_M", llama.QuantizeParams{}, []string{"--imatrix", matrix}, nil},
		{"Q3_K_M", llama.QuantizeParams{}, []string{"--imatrix", matrix, "--include-weights", "ffn",
			"--override-kv", "general.name=str:Mine"}, // a key that the model has
			func(tensor string) bool { return strings.Contains(tensor, "ffn") }},
		{"BF16", llama.QuantizeParams{}, nil, nil},
	} {
		ours, theirs := filepath.Join(t.TempDir(), "ours.gguf"), filepath.Join(t.TempDir(),
			"theirs.gguf")
		c.p.Type, c.p.Threads = mixture(t, c.typ), 2
		var keys []gguf.KV
		if len(c.flags) > 0 && c.flags[0] == "--imatrix" {
			var err error
			if c.p.Imatrix, keys, err = ReadImatrix(matrix, f, c.use); err != nil {
				t.Fatal(err)
			}
		}
		if slices.Contains(c.flags, "--override-kv") {
			keys = append([]gguf.KV{{Key: "general.name", Value: mine}}, keys...)
		}
		if _, err := Language(t.Context(), f, ours, c.p, keys...); err != nil {
			t.Fatalf("%s: %v", c.typ, err)
		}
		cmd, err := peers.Command(t.Context(), "llama-quantize",
			slices.Concat(c.flags, []string{f.Path(), theirs, c.typ, "2"})...)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		a, err := os.ReadFile(ours)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			i := 0
			for i < min(len(a), len(b)) && a[i] == b[i] {
				i++
			}
			t.Errorf("%s %v: %d bytes, llama-quantize wrote %d, and they differ from byte %d on\n"+
				"%s\n%s", c.typ, c.flags, len(a), len(b), i, describe(t, ours), describe(t, theirs))
		}
	}
}

// TestPartsAreLlamaQuantizes keeps the parts of a model, here one.
func TestPartsAreLlamaQuantizes(t *testing.T) {
	peers.Require(t, "llama-quantize")
	f, dir := halfModel(t), t.TempDir()
	r, err := Language(t.Context(), f, filepath.Join(dir, "ours.gguf"),
		llama.QuantizeParams{Type: mixture(t, "Q4_0"), KeepSplit: true})
	if err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(dir, "theirs.gguf")
	cmd, err := peers.Command(t.Context(), "llama-quantize", "--keep-split", f.Path(), theirs,
		"Q4_0")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := Sum(t.Context(), filepath.Join(dir, "theirs-00001-of-00001.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Path != filepath.Join(dir, "ours-00001-of-00001.gguf") || r.SHA256 != want.SHA256 {
		t.Errorf("%+v, llama-quantize wrote %+v", r, want)
	}
}

// describe lists the last keys and the first tensors of a file.
func describe(t *testing.T, path string) string {
	f, err := gguf.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var list []string
	for _, kv := range f.Keys()[max(0, len(f.Keys())-8):] {
		list = append(list, kv.Key)
	}
	for _, x := range f.Tensors()[:5] {
		list = append(list, x.Name+" "+x.Type.String())
	}
	data, _ := json.Marshal(list)
	return string(data)
}
