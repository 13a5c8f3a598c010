package engine

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// family makes a language model and projector of a vision family in miniature, with random weights:
// the right tensors and metadata under the names that llama.cpp's gguf-py (constants.py,
// tensor_mapping.py) gives them, and nothing learnt. Weights are so large that an answer depends on
// every token and picture before it, and that its best tokens are well apart.
type family struct {
	name     string
	arch     string   // of the language model
	specials []string // control tokens that the family's template and libmtmd write
	eos      string
	addBOS   bool
	template string
	around   string // what the family's processor writes around pictures, and libmtmd does not
	layers   uint32
	// embedding is the deviation of the token embeddings that makes the first layer's input one of
	// deviation 1.
	embedding float64
	language  func(m *maker) // tensors and metadata that other families do not have
	tower     func(m *maker)
}

// Widths of all families, and of their towers.
const (
	famWidth, famHeads, famHeadsKV, famHead, famFF = 64, 4, 2, 16, 128
	famTowerBlocks                                 = 2
)

// maker writes one GGUF file.
type maker struct {
	*gguf.Writer
	rand *rand.Rand
	arch string
}

// number is a number in a file's metadata.
type number struct {
	key   string
	value uint32
}

// set sets a key below the architecture's name.
func (m *maker) set(key string, value any) { m.Set(m.arch+"."+key, value) }

// random adds a tensor of normally distributed numbers with the given deviation; zeroRow, if not
// nil, says which rows are zero.
func (m *maker) random(name string, deviation float64, zeroRow func(row int) bool, dims ...uint64) {
	n := uint64(1)
	for _, d := range dims {
		n *= d
	}
	data := make([]byte, 0, 4*n)
	for i := range int(n) {
		x := float32(m.rand.NormFloat64() * deviation)
		if zeroRow != nil && zeroRow(i/int(dims[0])) {
			x = 0
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	m.AddTensor(name, gguf.F32, dims, data)
}

// matrix adds a weight that takes in numbers of deviation 1 and gives out ones of the deviation
// gain.
func (m *maker) matrix(name string, gain float64, in, out uint64) {
	m.random(name, gain/math.Sqrt(float64(in)), nil, in, out)
}

// scale adds the weight of a norm: value everywhere.
func (m *maker) scale(name string, value float32, n int) {
	data := make([]byte, 0, 4*n)
	for range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
	}
	m.AddTensor(name, gguf.F32, []uint64{uint64(n)}, data)
}

// make writes the two files into a new folder.
func (f *family) make(t testing.TB) (model, projector string) {
	t.Helper()
	dir := t.TempDir()
	model, projector = filepath.Join(dir, f.name+".gguf"),
		filepath.Join(dir, "mmproj-"+f.name+".gguf")
	lm := f.languageModel(t)
	if err := lm.WriteFile(model); err != nil {
		t.Fatal(err)
	}
	tower := &maker{Writer: gguf.NewWriter("clip"), rand: rand.New(rand.NewPCG(2, 7)),
		arch: "clip.vision"}
	f.towerCommon(tower)
	f.tower(tower)
	if err := tower.WriteFile(projector); err != nil {
		t.Fatal(err)
	}
	return model, projector
}

func (f *family) languageModel(t testing.TB) *maker {
	m := &maker{Writer: gguf.NewWriter(f.arch), rand: rand.New(rand.NewPCG(1, 7)), arch: f.arch}
	m.Set("general.name", "random "+f.name)
	for _, kv := range []number{{"context_length", 4096}, {"embedding_length", famWidth},
		{"block_count", f.layers}, {"feed_forward_length", famFF}, {"attention.head_count",
			famHeads}, {"attention.head_count_kv", famHeadsKV}, {"rope.dimension_count", famHead}} {
		m.set(kv.key, kv.value)
	}
	m.set("attention.layer_norm_rms_epsilon", float32(1e-6))
	m.set("rope.freq_base", float32(10000))
	m.Set("tokenizer.chat_template", f.template)
	types := f.vocabulary(t, m)
	n := uint64(len(types))

	m.random("token_embd.weight", f.embedding, nil, famWidth, n)
	// Only words are ever said: the text then is the same whoever turns it from tokens into bytes.
	m.random("output.weight", 12/math.Sqrt(famWidth), func(row int) bool {
		return types[row] != 1
	}, famWidth, n)
	m.scale("output_norm.weight", 1, famWidth)
	for i := range f.layers {
		name := func(s string) string { return fmt.Sprintf("blk.%d.%s", i, s) }
		m.scale(name("attn_norm.weight"), 1, famWidth)
		m.scale(name("ffn_norm.weight"), 1, famWidth)
		m.matrix(name("attn_q.weight"), 1.5, famWidth, famHeads*famHead)
		m.matrix(name("attn_k.weight"), 1.5, famWidth, famHeadsKV*famHead)
		m.matrix(name("attn_v.weight"), 1, famWidth, famHeadsKV*famHead)
		m.matrix(name("attn_output.weight"), 3, famHeads*famHead, famWidth)
		m.matrix(name("ffn_gate.weight"), 1, famWidth, famFF)
		m.matrix(name("ffn_up.weight"), 1, famWidth, famFF)
		m.matrix(name("ffn_down.weight"), 1, famFF, famWidth)
	}
	f.language(m)
	return m
}

// vocabulary is the built-in model's, with the family's control tokens behind it. It returns the
// types of all tokens.
func (f *family) vocabulary(t testing.TB, m *maker) []int32 {
	t.Helper()
	seed, err := gguf.Open(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	defer seed.Close()
	array := func(key string) any {
		v, ok := seed.Lookup("tokenizer.ggml." + key)
		if !ok {
			t.Fatalf("the built-in model has no %s", key)
		}
		return v.Any()
	}
	tokens := slices.Clone(array("tokens").([]string))
	scores := slices.Clone(array("scores").([]float32))
	types := slices.Clone(array("token_type").([]int32))
	for _, s := range f.specials {
		kind := int32(3) // control
		if s == "\n\n" {
			kind = 4 // defined by the user: found in any text
		}
		tokens, scores, types = append(tokens, s), append(scores, 0), append(types, kind)
	}
	eos := slices.Index(tokens, f.eos)
	if eos < 0 {
		t.Fatalf("no token %s", f.eos)
	}
	m.Set("tokenizer.ggml.model", "llama")
	m.Set("tokenizer.ggml.tokens", tokens)
	m.Set("tokenizer.ggml.scores", scores)
	m.Set("tokenizer.ggml.token_type", types)
	m.Set("tokenizer.ggml.bos_token_id", uint32(1))
	m.Set("tokenizer.ggml.eos_token_id", uint32(eos))
	m.Set("tokenizer.ggml.unknown_token_id", uint32(0))
	m.Set("tokenizer.ggml.add_bos_token", f.addBOS)
	m.Set("tokenizer.ggml.add_eos_token", false)
	m.Set("tokenizer.ggml.add_space_prefix", false)
	m.set("vocab_size", uint32(len(tokens)))
	return types
}

// towerCommon writes what all towers have.
func (f *family) towerCommon(m *maker) {
	m.Set("general.name", "random "+f.name)
	m.Set("clip.has_vision_encoder", true)
	m.Set("clip.use_gelu", true)
	for _, kv := range []number{{"embedding_length", famWidth}, {"feed_forward_length", famFF},
		{"projection_dim", famWidth}, {"block_count", famTowerBlocks}, {"attention.head_count",
			famHeads}} {
		m.set(kv.key, kv.value)
	}
	m.set("attention.layer_norm_epsilon", float32(1e-6))
	m.set("image_mean", []float32{0.5, 0.5, 0.5})
	m.set("image_std", []float32{0.5, 0.5, 0.5})
	m.scale("v.post_ln.weight", 1, famWidth)
	m.random("v.post_ln.bias", 0.1, nil, famWidth)
	for i := range famTowerBlocks {
		name := func(s string) string { return fmt.Sprintf("v.blk.%d.%s", i, s) }
		for _, norm := range []string{"ln1", "ln2"} {
			m.scale(name(norm+".weight"), 1, famWidth)
			m.random(name(norm+".bias"), 0.1, nil, famWidth)
		}
		for _, w := range []string{"attn_q", "attn_k", "attn_v", "attn_out"} {
			m.matrix(name(w+".weight"), 1.5, famWidth, famWidth)
			m.random(name(w+".bias"), 0.1, nil, famWidth)
		}
		m.matrix(name("ffn_up.weight"), 1, famWidth, famFF)
		m.random(name("ffn_up.bias"), 0.1, nil, famFF)
		m.matrix(name("ffn_down.weight"), 1, famFF, famWidth)
		m.random(name("ffn_down.bias"), 0.1, nil, famWidth)
	}
}

// patches adds the patch embedding, a convolution over patch x patch pixels.
func (m *maker) patches(name string, patch uint64) {
	m.random(name, 1/math.Sqrt(float64(3*patch*patch))*2, nil, patch, patch, 3, famWidth)
}

// siglip adds what the towers of the SigLIP kind have: a picture of fixed size, learnt positions.
func (m *maker) siglip(kind string, size, patch, merge uint32) {
	m.Set("clip.projector_type", kind)
	m.set("image_size", size)
	m.set("patch_size", patch)
	m.set("projector.scale_factor", merge)
	m.patches("v.patch_embd.weight", uint64(patch))
	m.random("v.patch_embd.bias", 0.1, nil, famWidth)
	m.random("v.position_embd.weight", 0.5, nil, famWidth, uint64(size/patch)*uint64(size/patch))
}

// Qwen2-VL: pictures of any size, rotary positions of three dimensions (time, row, column) in the
// language model.
var qwen2vl = family{
	name: "qwen2vl", arch: "qwen2vl", layers: 3, embedding: 1, eos: "<|im_end|>",
	specials: []string{"<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
		"<|image_pad|>", "<|video_pad|>"},
	template: `{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system
You help.<|im_end|>
{% endif %}<|im_start|>{{ m.role }}
{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`,
	language: func(m *maker) {
		m.set("rope.dimension_sections", []int32{2, 3, 3, 0})
		for i := range 3 {
			m.random(fmt.Sprintf("blk.%d.attn_q.bias", i), 0.1, nil, famHeads*famHead)
			m.random(fmt.Sprintf("blk.%d.attn_k.bias", i), 0.1, nil, famHeadsKV*famHead)
			m.random(fmt.Sprintf("blk.%d.attn_v.bias", i), 0.1, nil, famHeadsKV*famHead)
		}
	},
	tower: func(m *maker) {
		m.Set("clip.projector_type", "qwen2vl_merger")
		m.set("image_size", uint32(112))
		m.set("patch_size", uint32(8))
		m.set("spatial_merge_size", uint32(2))
		m.patches("v.patch_embd.weight", 8)
		m.patches("v.patch_embd.weight.1", 8)
		m.matrix("mm.0.weight", 1.5, 4*famWidth, 4*famWidth)
		m.random("mm.0.bias", 0.1, nil, 4*famWidth)
		m.matrix("mm.2.weight", 1.5, 4*famWidth, famWidth)
		m.random("mm.2.bias", 0.1, nil, famWidth)
	},
}

// famWindow is the length of gemma3's sliding window, less than its pictures have tokens.
const famWindow = 40

// Gemma 3: five of six layers attend over a window only, and the tokens of a picture to each other
// in both directions.
var gemma3 = family{
	// the model multiplies it with the root of the width
	name: "gemma3", arch: "gemma3", around: "\n\n", layers: 7, embedding: 1.0 / 8,
	eos: "<end_of_turn>", addBOS: true,
	specials: []string{"<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>",
		"<image_soft_token>"},
	template: `{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}
{% if m.content is string %}{{ m.content | trim }}{% else %}{% for c in m.content %}{% if c.type == 'image' %}<start_of_image>{% else %}{{ c.text | trim }}{% endif %}{% endfor %}{% endif %}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}`,
	language: func(m *maker) {
		m.set("attention.sliding_window", uint32(famWindow))
		m.set("attention.key_length", uint32(famHead))
		m.set("attention.value_length", uint32(famHead))
		for i := range 7 {
			m.scale(fmt.Sprintf("blk.%d.attn_q_norm.weight", i), 1.5, famHead)
			m.scale(fmt.Sprintf("blk.%d.attn_k_norm.weight", i), 1.5, famHead)
			m.scale(fmt.Sprintf("blk.%d.post_attention_norm.weight", i), 1, famWidth)
			m.scale(fmt.Sprintf("blk.%d.post_ffw_norm.weight", i), 1, famWidth)
		}
	},
	tower: func(m *maker) {
		m.siglip("gemma3", 128, 8, 2) // 64 tokens
		m.scale("mm.soft_emb_norm.weight", 1, famWidth)
		m.random("mm.input_projection.weight", 1/math.Sqrt(famWidth), nil, famWidth, famWidth)
	},
}

// famTile is the width of idefics3's tiles in pixels.
const famTile = 32

// Idefics3, of which SmolVLM is the small kind: a picture is cut into tiles, each announced by its
// row and column, and followed by a view of the whole.
var idefics3 = family{
	name: "idefics3", arch: "llama", layers: 3, embedding: 1, eos: "<end_of_utterance>",
	addBOS:   true,
	specials: idefics3Specials(),
	template: `<|im_start|>{% for m in messages %}{{ m.role | capitalize }}: {% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}`,
	language: func(*maker) {},
	tower: func(m *maker) {
		m.siglip("idefics3", famTile, 8, 2) // 4 tokens a tile
		m.set("preproc_image_size", uint32(4*famTile))
		m.matrix("mm.model.fc.weight", 1.5, 4*famWidth, famWidth)
	},
}

func idefics3Specials() []string {
	list := []string{"<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>",
		"<global-img>", "<image>", "\n\n"}
	for row := range 4 {
		for col := range 4 {
			list = append(list, fmt.Sprintf("<row_%d_col_%d>", row+1, col+1))
		}
	}
	return list
}

// scenery writes a picture of w x h pixels, one unlike the other for each kind.
func scenery(t testing.TB, kind, w, h int) (path string) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{byte(255 * x / w), byte(255 * y / h), byte(40 * kind), 255}
			if dx, dy := x-w/3, y-h/2; dx*dx+dy*dy < (kind+2)*w*h/60 {
				c = color.RGBA{byte(250 - 90*kind), byte(60 * kind), 90, 255}
			}
			img.Set(x, y, c)
		}
	}
	path = filepath.Join(t.TempDir(), fmt.Sprintf("scene-%d.png", kind))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
	return path
}
