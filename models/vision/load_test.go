package vision

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// edited returns a copy of a small CLIP tower with changed metadata and tensors: a nil
// value or nil tensor leaves one out. It empties the maps.
func edited(t testing.TB, keys map[string]any, tensors map[string]*tensor) *gguf.File {
	t.Helper()
	return editedTower(t, "quick-mlp", keys, tensors)
}

func editedTower(t testing.TB, name string, keys map[string]any,
	tensors map[string]*tensor) *gguf.File {
	t.Helper()
	f, err := gguf.Open("testdata/" + name + ".gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return editedFile(t, f, keys, tensors)
}

func editedFile(t testing.TB, f *gguf.File, keys map[string]any,
	tensors map[string]*tensor) *gguf.File {
	t.Helper()
	w := gguf.NewWriter("clip")
	for _, kv := range f.Keys() {
		if v, ok := keys[kv.Key]; !ok {
			w.Set(kv.Key, kv.Value)
		} else if v != nil {
			w.Set(kv.Key, v)
		}
		delete(keys, kv.Key)
	}
	for k, v := range keys {
		w.Set(k, v)
	}
	for _, old := range f.Tensors() {
		if x, ok := tensors[old.Name]; !ok {
			w.AddTensor(old.Name, old.Type, old.Dims, old.Data())
		} else if x != nil {
			w.AddTensor(old.Name, x.t, x.dims, x.data)
		}
		delete(tensors, old.Name)
	}
	for name, x := range tensors {
		w.AddTensor(name, x.t, x.dims, x.data)
	}
	var buf bytes.Buffer
	if _, err := w.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	out, err := gguf.Parse(buf.Bytes(), "edited.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type tensor struct {
	t    gguf.Type
	dims []uint64
	data []byte
}

// floats is an F32 tensor of n times v, the last one replaced by last.
func floats(n int, v, last float32) *tensor {
	x := &tensor{t: gguf.F32, dims: []uint64{uint64(n)}}
	for i := range n {
		if i == n-1 {
			v = last
		}
		x.data = binary.LittleEndian.AppendUint32(x.data, math.Float32bits(v))
	}
	return x
}

func TestAnUneditedTowerLoads(t *testing.T) {
	c, err := LoadPlain(edited(t, nil, nil), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := openTower(t, "testdata/quick-mlp.gguf", Options{}).Info()
	if c.Info() != want {
		t.Errorf("%+v, want %+v", c.Info(), want)
	}
	if want.Family != "clip" || want.Projector != "mlp" || want.Hidden != 32 || want.Width != 24 ||
		want.TileTokens != 16 || want.Blocks != 1 || len(want.Identity) != 64 {
		t.Errorf("%+v", want)
	}
}

// mustNotLoad checks that a tower is refused, for the same reason by both implementations.
func mustNotLoad(t *testing.T, f *gguf.File, text string, unknown bool) {
	t.Helper()
	var loaded Encoder
	plain, plainErr := LoadPlain(f, Options{})
	native, nativeErr := LoadNative(f, NativeOptions{})
	for i, err := range []error{plainErr, nativeErr} {
		if err == nil {
			if loaded = plain; i == 1 {
				loaded = native
			}
			loaded.Close()
			t.Errorf("implementation %d loads the tower", i)
			continue
		}
		if !strings.Contains(err.Error(), text) || errors.Is(err, ErrUnknownTower) != unknown {
			t.Errorf("implementation %d: got error %q, want %q", i, err, text)
		}
	}
}

func TestLoadingNamesTheFault(t *testing.T) {
	type keys = map[string]any
	type tensors = map[string]*tensor
	for _, c := range []struct {
		name    string
		keys    keys
		tensors tensors
		text    string
		unknown bool
	}{
		{"another architecture", keys{"general.architecture": "llama"},
			nil, `not a tower and projector of the kinds that the native encoder knows (general.architecture = "llama")`, true},
		{"another projector", keys{"clip.projector_type": "resampler"},
			nil, "not a tower and projector of the kinds that the native encoder knows (projector_type = resampler)", true},
		{"a vision projector of its own", keys{"clip.vision.projector_type": "kimivl"}, nil,
			"(projector_type = kimivl)", true},
		{"an audio tower", keys{"clip.has_vision_encoder": false}, nil,
			"clip.has_vision_encoder = false", true},
		{"windows", keys{"clip.vision.n_wa_pattern": uint32(8)}, nil,
			"it has a key clip.vision.n_wa_pattern", true},
		{"norms of queries", nil, tensors{"v.blk.0.attn_q_norm.weight": floats(16, 1, 1)},
			"it has a tensor v.blk.0.attn_q_norm.weight", true},
		{"a projector with norms", nil, tensors{"mm.1.weight": floats(40, 1, 1)},
			"it has a tensor mm.1.weight", true},
		{"a missing class token", nil, tensors{"v.class_embd": nil},
			"tensor v.position_embd.weight: dimensions [32 17], want [32 16]", false},
		{"no image size", keys{"clip.vision.image_size": nil}, nil, "no clip.vision.image_size",
			false},
		{"an image size that is no number", keys{"clip.vision.image_size": "28"}, nil,
			"no clip.vision.image_size", false},
		{"a patch size of zero", keys{"clip.vision.patch_size": uint32(0)}, nil,
			"clip.vision.patch_size = 0", false},
		{"patches larger than the image", keys{"clip.vision.patch_size": uint32(29)}, nil,
			"patches of 29 pixels in an image of 28", false},
		{"a patch size other than the tensors'", keys{"clip.vision.patch_size": uint32(9)}, nil,
			"tensor v.patch_embd.weight: dimensions [7 7 3 32], want [9 9 3 32]", false},
		{"half a pinpoint", keys{"clip.vision.image_grid_pinpoints": []int32{336}}, nil,
			"clip.vision.image_grid_pinpoints has 1 numbers", false},
		{"pinpoints without end", keys{"clip.vision.image_grid_pinpoints": make([]int32, 514)}, nil,
			"clip.vision.image_grid_pinpoints has 514 numbers", false},
		{"a pinpoint of no size", keys{"clip.vision.image_grid_pinpoints": []int32{336, 0}}, nil,
			"clip.vision.image_grid_pinpoints: 336 x 0 pixels", false},
		{"a huge crop", keys{"clip.vision.image_crop_resolution": uint32(1 << 20)}, nil,
			"clip.vision.image_crop_resolution = 1048576", false},
		{"a long name of a merge", keys{"clip.vision.mm_patch_merge_type": strings.Repeat("x", 65)},
			nil, "clip.vision.mm_patch_merge_type has 65 bytes", false},
		{"a newline of another width", nil, tensors{"model.image_newline": floats(23, 1, 1)},
			"tensor model.image_newline: dimensions [23], want [24]", false},
		{"more patches than fit in memory", keys{"clip.vision.image_size": uint32(16384),
			"clip.vision.patch_size": uint32(1)}, nil, "patches; at most", false},
		{"heads that do not divide the width", keys{"clip.vision.attention.head_count": uint32(3)},
			nil, "3 attention heads do not divide a width of 32", false},
		{"a huge width", keys{"clip.vision.embedding_length": uint32(1 << 31)}, nil,
			"clip.vision.embedding_length = 2147483648", false},
		{"a width other than the tensors'", keys{"clip.vision.embedding_length": uint32(64)}, nil,
			"tensor v.patch_embd.weight: dimensions", false},
		{"more blocks than stored", keys{"clip.vision.block_count": uint32(2)}, nil,
			"tensor v.blk.1.ln1.weight: missing", false},
		{"an epsilon that is NaN",
			keys{"clip.vision.attention.layer_norm_epsilon": float32(math.NaN())}, nil,
			"layer_norm_epsilon = NaN", false},
		{"a mean of two numbers", keys{"clip.vision.image_mean": []float32{0, 1}}, nil,
			"clip.vision.image_mean is not three numbers", false},
		{"a deviation of zero", keys{"clip.vision.image_std": []float32{1, 0, 1}}, nil,
			"clip.vision.image_std", false},
		{"a feature layer beyond the blocks", keys{"clip.vision.feature_layer": []int32{2}}, nil,
			"clip.vision.feature_layer = [2] in a tower of 1 blocks", false},
		{"a feature layer counted from the end", keys{"clip.vision.feature_layer": []int32{-2}},
			nil, "clip.vision.feature_layer = [-2]", false},
		{"a missing bias", nil, tensors{"v.blk.0.attn_q.bias": nil},
			"tensor v.blk.0.attn_q.bias: missing", false},
		{"a missing projector layer", nil, tensors{"mm.2.weight": nil},
			"tensor mm.2.weight: missing", false},
		{"a bias of the wrong length", nil, tensors{"v.pre_ln.bias": floats(31, 1, 1)},
			"tensor v.pre_ln.bias: dimensions [31], want [32]", false},
		{"a matrix where a vector belongs", nil,
			tensors{"v.pre_ln.bias": {gguf.F32, []uint64{16, 2}, make([]byte, 128)}},
			"tensor v.pre_ln.bias: dimensions [16 2], want [32]", false},
		{"a NaN", nil, tensors{"v.blk.0.ln2.weight": floats(32, 1, float32(math.NaN()))},
			"tensor v.blk.0.ln2.weight: element 31 is NaN", false},
		{"an infinity", nil, tensors{"mm.2.bias": floats(24, 0, float32(math.Inf(-1)))},
			"tensor mm.2.bias: element 23 is -Inf", false},
		{"a type that stands for no fractions", nil,
			tensors{"v.blk.0.attn_k.weight": {gguf.I32, []uint64{32, 32}, make([]byte, 4*32*32)}},
			"tensor v.blk.0.attn_k.weight: ggml: libggml", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			mustNotLoad(t, edited(t, c.keys, c.tensors), c.text, c.unknown)
		})
	}
}

func TestLoadingASiglipTowerNamesTheFault(t *testing.T) {
	type keys = map[string]any
	type tensors = map[string]*tensor
	for _, c := range []struct {
		name, tower string
		keys        keys
		tensors     tensors
		text        string
		unknown     bool
	}{
		{"a class token too many", "siglip-mlp", nil, tensors{"v.class_embd": floats(32, 1, 1)},
			"tensor v.position_embd.weight: dimensions [32 16], want [32 17]", false},
		{"a patch bias of the wrong length", "siglip-mlp", nil,
			tensors{"v.patch_embd.bias": floats(33, 1, 1)},
			"tensor v.patch_embd.bias: dimensions [33], want [32]", false},
		{"half a norm after the blocks", "siglip-linear", nil, tensors{"v.post_ln.bias": nil},
			"tensor v.post_ln.bias: missing", false},
		{"half a norm before the blocks", "siglip-mlp", nil,
			tensors{"v.pre_ln.weight": floats(32, 1, 1)}, "tensor v.pre_ln.bias: missing", false},
		{"a NaN in the norm after the blocks", "siglip-linear", nil,
			tensors{"v.post_ln.weight": floats(32, 1, float32(math.NaN()))},
			"tensor v.post_ln.weight: element 31 is NaN", false},
		{"a second patch embedding", "siglip-mlp", nil,
			tensors{"v.patch_embd.weight.1": floats(32, 1, 1)},
			"it has a tensor v.patch_embd.weight.1", true},
		{"a gate", "siglip-mlp", nil, tensors{"v.blk.2.ffn_gate.weight": floats(32, 1, 1)},
			"it has a tensor v.blk.2.ffn_gate.weight", true},
		{"Janus with LLaVA's projector", "siglip-mlp", keys{"clip.projector_type": "janus_pro"},
			nil, "it has a tensor mm.2.", true},
		{"Gemma 3", "siglip-mlp", keys{"clip.projector_type": "gemma3"}, nil,
			"(it has a tensor mm.0.weight)", true},
		{"an infinite newline", "siglip-features", nil,
			tensors{"model.image_newline": floats(24, 0, float32(math.Inf(1)))},
			"tensor model.image_newline: element 23 is +Inf", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			mustNotLoad(t, editedTower(t, c.tower, c.keys, c.tensors), c.text, c.unknown)
		})
	}
}

func TestPositionsOfAnotherGridAreInterpolated(t *testing.T) {
	// quick-mlp sees 4 x 4 patches; the table is of 3 x 3, all rows alike, so that any resampling
	// of it is the same as no resampling.
	flat := func(rows int) *tensor {
		x := floats(32*rows, 0.25, 0.25)
		x.dims = []uint64{32, uint64(rows)}
		return x
	}
	img := readPicture(t, "noise.png")
	var want []float32
	for i, rows := range []int{17, 10} {
		for _, open := range []func(*gguf.File) (Encoder, error){
			func(f *gguf.File) (Encoder, error) { return LoadPlain(f, Options{}) },
			func(f *gguf.File) (Encoder, error) {
				return LoadNative(f, NativeOptions{Precision: nn.F32})
			},
		} {
			e, err := open(edited(t, nil, map[string]*tensor{"v.position_embd.weight": flat(rows)}))
			if err != nil {
				t.Fatal(err)
			}
			got := encode(t, e, img)
			e.Close()
			if i == 0 {
				want = got
			} else if d := relativeError(got, want); !(d <= 1e-5) {
				t.Errorf("%d rows: relative error %g", rows, d)
			}
		}
	}
}

func TestTheActivationFollowsTheFamily(t *testing.T) {
	for _, c := range []struct {
		tower      string
		gelu, silu bool
		layout     Layout
		want       string
	}{
		{"quick-mlp", true, false, AsTrained, "gelu"},
		{"quick-mlp", false, true, AsTrained, "silu"},
		{"quick-mlp", false, false, AsTrained, "quick_gelu"},
		{"siglip-mlp", true, false, AsTrained, "gelu_tanh"},
		{"siglip-mlp", false, true, AsTrained, "silu"},
		{"siglip-mlp", false, false, AsTrained, "gelu_tanh"},
		{"siglip-mlp", false, false, LibmtmdFault, "quick_gelu"},
		{"siglip-janus", true, false, AsTrained, "gelu"},
	} {
		f := editedTower(t, c.tower, map[string]any{"clip.use_gelu": c.gelu,
			"clip.use_silu": c.silu}, nil)
		hp, err := readTower(f, Options{Layout: c.layout})
		if err != nil {
			t.Fatal(err)
		}
		if hp.Activation != c.want {
			t.Errorf("%+v: %s", c, hp.Activation)
		}
	}
}

func TestTilingIsReadFromTheFile(t *testing.T) {
	hp, err := readTower(editedTower(t, "siglip-features", nil, nil), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := tiling{Pinpoints: []int64{28, 56, 56, 28}, MergeType: "spatial_unpad",
		AspectRatio: "anyres", CropResolution: 28}
	if !reflect.DeepEqual(hp.Tiling, want) {
		t.Errorf("%+v, want %+v", hp.Tiling, want)
	}
	newline := openTower(t, "testdata/siglip-features.gguf", Options{}).head.newline
	if len(newline) != 24 {
		t.Errorf("a newline of %d numbers, want 24", len(newline))
	}
}

func TestAnOpenErrorNamesTheFile(t *testing.T) {
	if _, err := OpenPlain("testdata/none.gguf", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := OpenPlain("../builtin/eyelet-builtin-q8_0.gguf", Options{}); !errors.Is(err,
		ErrUnknownTower) || !strings.Contains(err.Error(), "eyelet-builtin") {
		t.Errorf("a language model: %v", err)
	}
}

func TestTypesThatOnlyLibggmlKnowsAreRead(t *testing.T) {
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	img := readPicture(t, "noise.png")
	weights := make([]float32, 32*32)
	for i := range weights {
		weights[i] = float32(math.Sin(float64(i))) / 4
	}
	for _, kind := range []gguf.Type{gguf.Q4_0, gguf.Q4_1, gguf.Q5_0, gguf.Q5_1, gguf.IQ4_NL} {
		size, err := ggml.Type(kind).RowSize(len(weights))
		if err != nil {
			t.Fatal(err)
		}
		quantized := &tensor{t: kind, dims: []uint64{32, 32}, data: make([]byte, size)}
		if err := ggml.Quantize(ggml.Type(kind), weights, 32, nil, quantized.data); err != nil {
			t.Fatal(err)
		}
		meant := make([]float32, len(weights))
		if err := ggml.Dequantize(ggml.Type(kind), quantized.data, meant); err != nil {
			t.Fatal(err)
		}
		plain := &tensor{t: gguf.F32, dims: []uint64{32, 32}}
		for _, v := range meant {
			plain.data = binary.LittleEndian.AppendUint32(plain.data, math.Float32bits(v))
		}
		var rows [2][]float32
		for i, x := range []*tensor{quantized, plain} {
			n, err := LoadNative(edited(t, nil, map[string]*tensor{"v.blk.0.attn_k.weight": x}),
				NativeOptions{Precision: nn.F32})
			if err != nil {
				t.Fatalf("%v: %v", kind, err)
			}
			rows[i] = encode(t, n, img)
			n.Close()
		}
		if !slices.Equal(rows[0], rows[1]) {
			t.Errorf("%v: other image tokens than of the numbers that it stands for", kind)
		}
	}
}

func TestIdentityFollowsTheWeightsAndTheSettings(t *testing.T) {
	seen := map[string]string{}
	for name, f := range map[string]*gguf.File{
		"the tower":      edited(t, nil, nil),
		"another weight": edited(t, nil, map[string]*tensor{"v.pre_ln.bias": floats(32, 0, 1)}),
		"another mean": edited(t, map[string]any{"clip.vision.image_mean": []float32{0.4, 0.5,
			0.61}}, nil),
		"another epsilon": edited(t,
			map[string]any{"clip.vision.attention.layer_norm_epsilon": float32(1e-5)}, nil),
		"another name only": edited(t, map[string]any{"general.name": "x"}, nil),
	} {
		c, err := LoadPlain(f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		seen[name] = c.Info().Identity
		c.Close()
	}
	if seen["the tower"] != seen["another name only"] {
		t.Error("a name that computes nothing changes the identity")
	}
	delete(seen, "another name only")
	distinct := map[string]bool{}
	for _, id := range seen {
		distinct[id] = true
	}
	if len(distinct) != len(seen) {
		t.Errorf("equal identities: %v", seen)
	}
}

func FuzzLoad(f *testing.F) {
	towers, err := filepath.Glob("testdata/*.gguf")
	if err != nil || len(towers) < 7 {
		f.Fatalf("%d towers: %v", len(towers), err)
	}
	for _, name := range towers {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, g := range described(f) {
		_, projector, err := g.Files()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(projector)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.Parse(data, "fuzz.gguf")
		if err != nil {
			return
		}
		c, err := LoadPlain(file, Options{})
		n, nativeErr := LoadNative(file, NativeOptions{Threads: 1})
		if nativeErr == nil {
			defer n.Close()
			if d := n.d; d.AnySize && d.Hidden <= 64 && d.PatchSize*d.Merge <= 64 {
				encodeSmall(t, n)
			}
		}
		if nativeErr == nil && errors.Is(err, ErrUnknownTower) {
			return // the plain tower does not know all
		}
		if (err == nil) != (nativeErr == nil) {
			t.Fatalf("plain: %v; native: %v", err, nativeErr)
		}
		if err != nil {
			return
		}
		defer c.Close()
		if info := c.Info(); info.ImageSize > 64 || info.Hidden > 64 {
			return // right, but slow
		}
		encode(t, c, imaging.NewRGB(9, 5))
		encode(t, n, imaging.NewRGB(9, 5))
	})
}
