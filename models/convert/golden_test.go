package convert_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/models/convert"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// folders are those of scripts/golden/convert.py.
var folders = []string{"llama-spm", "llama3", "qwen2", "smolvlm", "llava15", "llava16"}

// golden is what NAME.json holds about the folder NAME.
type golden struct {
	Model, MMProj *goldenFile
	Answers       struct {
		Text        string
		IDs         []int
		ImageTokens []float32 `json:"image_tokens"`
		ImageShape  []int     `json:"image_shape"`
		Logits      []float32
	}
}

// goldenFile is a file of llama.cpp's converter.
type goldenFile struct {
	Metadata map[string]struct {
		Type  string
		Value any
	}
	Tensors map[string][]goldenTensor // by file type
}

type goldenTensor struct {
	Name, Type string
	Dims       []uint64
	SHA256     string
}

func readGolden(t testing.TB, name string) *golden {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	g := new(golden)
	if err := json.Unmarshal(data, g); err != nil {
		t.Fatal(err)
	}
	return g
}

// convertFolder converts a folder into a new one.
func convertFolder(t testing.TB, dir string, typ gguf.Type) *convert.Result {
	t.Helper()
	r, err := convert.Run(context.Background(), convert.Options{Dir: dir,
		Model: filepath.Join(t.TempDir(), "out.gguf"), Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func openFile(t testing.TB, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestFilesEqualThoseOfLlamaCpp compares every tensor, bit for bit, and every
// key with what llama.cpp's own converter makes of the same folders.
func TestFilesEqualThoseOfLlamaCpp(t *testing.T) {
	for _, name := range folders {
		g := readGolden(t, name)
		for _, typ := range []gguf.Type{gguf.F16, gguf.BF16, gguf.Q8_0} {
			t.Run(name+" "+typ.String(), func(t *testing.T) {
				r := convertFolder(t, filepath.Join("testdata", name), typ)
				compareFile(t, openFile(t, r.Model.Path), g.Model, typ)
				switch {
				case g.MMProj != nil && r.Projector == nil:
					t.Error("no projector")
				case g.MMProj != nil:
					compareFile(t, openFile(t, r.Projector.Path), g.MMProj, typ)
				}
			})
		}
	}
}

// sounds are the tensors and keys of towers that hear, which are left out.
var sounds = regexp.MustCompile(`^(a\.|mm\.a\.|clip\.(has_audio|audio))`)

func compareFile(t *testing.T, got *gguf.File, want *goldenFile, typ gguf.Type) {
	t.Helper()
	tensors := slices.DeleteFunc(slices.Clone(want.Tensors[lower(typ)]), func(w goldenTensor) bool {
		return sounds.MatchString(w.Name)
	})
	if len(tensors) == 0 || len(got.Tensors()) != len(tensors) {
		t.Errorf("%d tensors, want %d", len(got.Tensors()), len(tensors))
	}
	for _, w := range tensors {
		x, ok := got.Tensor(w.Name)
		if !ok {
			t.Errorf("no tensor %s", w.Name)
			continue
		}
		sum := sha256.Sum256(x.Data())
		if x.Type.String() != w.Type || !slices.Equal(x.Dims, w.Dims) ||
			hex.EncodeToString(sum[:]) != w.SHA256 {
			t.Errorf("tensor %s: %s %v %x, want %+v", w.Name, x.Type, x.Dims, sum[:4], w)
		}
	}
	keys := make(map[string]bool)
	smaller := len(tensors) < len(want.Tensors[lower(typ)])
	for _, kv := range got.Keys() {
		keys[kv.Key] = true
		if smaller && kv.Key == "general.size_label" {
			continue // counts what is left out
		}
		w, ok := want.Metadata[kv.Key]
		if kind, _ := got.Str("clip.vision.projector_type"); kind == "gemma4v" &&
			kv.Key == "clip.use_gelu" {
			continue // which llama.cpp's converter forgets
		}
		if !ok {
			t.Errorf("key %s = %v, which llama.cpp does not write", kv.Key, kv.Value)
			continue
		}
		if kv.Key == "general.file_type" {
			continue // the golden metadata is that of F16; see TestFileTypes
		}
		if value := plain(t, kv.Value); goldenType(kv.Value) != w.Type || !reflect.DeepEqual(value,
			w.Value) {
			t.Errorf("key %s = %v (%s), want %v (%s)", kv.Key, value, goldenType(kv.Value), w.Value,
				w.Type)
		}
	}
	for key, w := range want.Metadata {
		// Not copied: what llama.cpp's converter guesses from the words of the model card beside
		// the licence.
		if !keys[key] && key != "general.tags" && !sounds.MatchString(key) {
			t.Errorf("no key %s, want %v", key, w.Value)
		}
	}
}

// lower is the golden files' name of a type.
func lower(typ gguf.Type) string {
	return map[gguf.Type]string{gguf.F32: "f32", gguf.F16: "f16", gguf.BF16: "bf16",
		gguf.Q8_0: "q8_0"}[typ]
}

// goldenType is a value's type in the words of the Python package gguf.
func goldenType(v gguf.Value) string {
	upper := map[gguf.ValueType]string{gguf.String: "STRING", gguf.Bool: "BOOL",
		gguf.Int32: "INT32", gguf.Uint32: "UINT32", gguf.Float32: "FLOAT32", gguf.Array: "ARRAY"}
	if v.Type() == gguf.Array {
		return "ARRAY/" + upper[v.ElemType()]
	}
	return upper[v.Type()]
}

// plain is a value as JSON has it.
func plain(t *testing.T, v gguf.Value) any {
	t.Helper()
	if v.Type() == gguf.Array {
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(t, v.Index(i))
		}
		return list
	}
	if s, ok := v.Str(); ok {
		return s
	}
	if b, ok := v.Bool(); ok {
		return b
	}
	x, ok := v.Float()
	if !ok {
		t.Fatalf("a value of type %s", v.Type())
	}
	return x
}

func TestFileTypes(t *testing.T) {
	for typ, want := range map[gguf.Type]string{gguf.F32: "F32", gguf.F16: "F16", gguf.BF16: "BF16",
		gguf.Q8_0: "Q8_0"} {
		f := openFile(t, convertFolder(t, "testdata/llama3", typ).Model.Path)
		if got, ok := f.FileType(); !ok || got.String() != want {
			t.Errorf("%s: the file says %s", typ, got)
		}
	}
}

// TestKeysOfLLaVAsProjectors is for the files that llama.cpp's converter refuses
// to make.
func TestKeysOfLLaVAsProjectors(t *testing.T) {
	common := map[string]any{
		"general.architecture": "clip", "general.type": "mmproj", "clip.has_vision_encoder": true,
		"clip.projector_type": "mlp", "clip.use_gelu": false,
		"clip.use_silu": false, "clip.vision.projection_dim": 32.0, "clip.vision.image_size": 28.0,
		"clip.vision.patch_size":       7.0,
		"clip.vision.embedding_length": 32.0, "clip.vision.feed_forward_length": 64.0,
		"clip.vision.block_count":          2.0,
		"clip.vision.attention.head_count": 2.0, "clip.vision.feature_layer": []any{2.0},
	}
	tiles := map[string]any{
		"clip.vision.image_aspect_ratio":  "anyres",
		"clip.vision.mm_patch_merge_type": "spatial_unpad",
		"clip.vision.image_grid_pinpoints": []any{28.0, 56.0, 56.0, 28.0, 56.0, 56.0, 84.0, 28.0,
			28.0, 84.0},
	}
	for _, name := range []string{"llava15", "llava16"} {
		f := openFile(t, convertFolder(t, filepath.Join("testdata", name), gguf.F16).Projector.Path)
		want := maps.Clone(common)
		if name == "llava16" {
			maps.Copy(want, tiles)
		}
		for key, value := range want {
			if v, ok := f.Lookup(key); !ok || !reflect.DeepEqual(plain(t, v), value) {
				t.Errorf("%s: %s = %v, want %v", name, key, v, value)
			}
		}
		if _, ok := f.Lookup("clip.vision.image_aspect_ratio"); ok != (name == "llava16") {
			t.Errorf("%s: image_aspect_ratio is there: %v", name, ok)
		}
		if _, ok := f.Tensor("v.blk.2.ln1.weight"); ok {
			t.Errorf("%s: a block that no one reads is there", name)
		}
	}
}
