package hf

// textDefault are the defaults of a language model's configuration class.
type textDefault struct {
	Vocab, Hidden, FF, Layers, Heads, KVHeads, Context int // KVHeads 0: as many as Heads
	HeadDim                                            int // 0: the width divided among the heads
	Eps, Theta                                         float64
	Tied                                               bool
}

// textDefaults are those of LlamaConfig, MistralConfig, Qwen2Config, Qwen2VLTextConfig (and
// Qwen2_5_VLTextConfig), Qwen3Config, Qwen3VLTextConfig, Gemma3TextConfig, Gemma4TextConfig and
// Glm4vTextConfig of transformers 5.24, unchanged since the models came out.
var textDefaults = map[string]textDefault{
	"llama": {Vocab: 32000, Hidden: 4096, FF: 11008, Layers: 32, Heads: 32, Context: 2048,
		Eps: 1e-6, Theta: 10000},
	"mistral": {Vocab: 32000, Hidden: 4096, FF: 14336, Layers: 32, Heads: 32, KVHeads: 8,
		Context: 4096 * 32, Eps: 1e-6, Theta: 10000},
	"qwen2": {Vocab: 151936, Hidden: 4096, FF: 22016, Layers: 32, Heads: 32, KVHeads: 32,
		Context: 32768, Eps: 1e-6, Theta: 10000},
	"qwen2_vl": {Vocab: 152064, Hidden: 8192, FF: 29568, Layers: 80, Heads: 64, KVHeads: 8,
		Context: 32768, Eps: 1e-5, Theta: 1000000},
	"qwen3": {Vocab: 151936, Hidden: 4096, FF: 22016, Layers: 32, Heads: 32, KVHeads: 32,
		HeadDim: 128, Context: 32768, Eps: 1e-6, Theta: 10000},
	"qwen3_vl": {Vocab: 151936, Hidden: 4096, FF: 22016, Layers: 32, Heads: 32, KVHeads: 32,
		HeadDim: 128, Context: 128000, Eps: 1e-6, Theta: 500000},
	"gemma3": {Vocab: 262208, Hidden: 2304, FF: 9216, Layers: 26, Heads: 8, KVHeads: 4,
		HeadDim: 256, Context: 131072, Eps: 1e-6, Theta: 1000000, Tied: true},
	"gemma4": {Vocab: 262144, Hidden: 2304, FF: 9216, Layers: 30, Heads: 8, KVHeads: 4,
		HeadDim: 256, Context: 131072, Eps: 1e-6, Theta: 1000000, Tied: true},
	"glm4v": {Vocab: 151552, Hidden: 4096, FF: 13696, Layers: 40, Heads: 32, KVHeads: 2,
		Context: 32768, Eps: 1e-5, Theta: 10000},
}

// visionDefaults are those of the towers' configuration classes.
var visionDefaults = map[string]Vision{
	"clip_vision_model": {Hidden: 768, FF: 3072, Layers: 12, Heads: 12, ImageSize: 224,
		PatchSize: 32, Act: "quick_gelu", Eps: 1e-5},
	"idefics3_vision": idefics3Vision, "idefics3": idefics3Vision,
	"smolvlm_vision":  idefics3Vision,
	"qwen2_vl_vision": qwen2Vision, "qwen2_vl": qwen2Vision,
	"qwen2_5_vl_vision": qwen25Vision, "qwen2_5_vl": qwen25Vision,
	"qwen3_vl_vision": qwen3Vision, "qwen3_vl": qwen3Vision,
	"siglip_vision_model": {Hidden: 768, FF: 3072, Layers: 12, Heads: 12, ImageSize: 224,
		PatchSize: 16, Act: "gelu_pytorch_tanh", Eps: 1e-6},
	"internvl_vision": {Hidden: 1024, FF: 4096, Layers: 24, Heads: 16, ImageSize: 448,
		PatchSize: 14, Act: "gelu", Eps: 1e-6},
	// Pixtral's epsilon stands in its code.
	"pixtral": {Hidden: 1024, FF: 4096, Layers: 24, Heads: 16, ImageSize: 1024, PatchSize: 16,
		Act: "gelu", Eps: 1e-5},
	// Gemma 4's tower takes pictures of any size; llama.cpp's converter says one all the same.
	"gemma4_vision": {Hidden: 768, FF: 3072, Layers: 16, Heads: 12, ImageSize: 224, PatchSize: 16,
		Act: "gelu_pytorch_tanh", Eps: 1e-6},
	"glm4v_vision": glm4Vision, "glm4v": glm4Vision,
}

// Towers that go by several names. Qwen's epsilon stands in their code.
var (
	glm4Vision = Vision{Hidden: 1536, FF: 13696, Layers: 24, Heads: 12, ImageSize: 336,
		PatchSize: 14, Act: "silu", Eps: 1e-5}
	idefics3Vision = Vision{Hidden: 1152, FF: 3072, Layers: 12, Heads: 16, ImageSize: 224,
		PatchSize: 32, Act: "gelu_pytorch_tanh", Eps: 1e-6}
	qwen2Vision = Vision{Hidden: 1280, Layers: 32, Heads: 16, PatchSize: 14, Act: "quick_gelu",
		Eps: 1e-6}
	qwen25Vision = Vision{Hidden: 3584, FF: 3420, Layers: 32, Heads: 16, PatchSize: 14,
		Act: "silu", Eps: 1e-6}
	qwen3Vision = Vision{Hidden: 1152, FF: 4304, Layers: 27, Heads: 16, PatchSize: 16,
		Act: "gelu_pytorch_tanh", Eps: 1e-6}
)
