package hf

// textDefault are the defaults of a language model's configuration class.
type textDefault struct {
	Vocab, Hidden, FF, Layers, Heads, KVHeads, Context int // KVHeads 0: as many as Heads
	Eps, Theta                                         float64
}

// textDefaults are those of LlamaConfig, MistralConfig and Qwen2Config of
// transformers 5.24, unchanged since the models came out.
var textDefaults = map[string]textDefault{
	"llama":   {Vocab: 32000, Hidden: 4096, FF: 11008, Layers: 32, Heads: 32, Context: 2048, Eps: 1e-6, Theta: 10000},
	"mistral": {Vocab: 32000, Hidden: 4096, FF: 14336, Layers: 32, Heads: 32, KVHeads: 8, Context: 4096 * 32, Eps: 1e-6, Theta: 10000},
	"qwen2":   {Vocab: 151936, Hidden: 4096, FF: 22016, Layers: 32, Heads: 32, KVHeads: 32, Context: 32768, Eps: 1e-6, Theta: 10000},
}

// visionDefaults are those of CLIPVisionConfig, Idefics3VisionConfig and
// SmolVLMVisionConfig. Idefics3's own config.json files call the tower's kind
// "idefics3" as well.
var visionDefaults = map[string]Vision{
	"clip_vision_model": {Hidden: 768, FF: 3072, Layers: 12, Heads: 12, ImageSize: 224, PatchSize: 32, Act: "quick_gelu", Eps: 1e-5},
	"idefics3_vision":   idefics3Vision,
	"idefics3":          idefics3Vision,
	"smolvlm_vision":    idefics3Vision,
}

var idefics3Vision = Vision{Hidden: 1152, FF: 3072, Layers: 12, Heads: 16, ImageSize: 224, PatchSize: 32, Act: "gelu_pytorch_tanh", Eps: 1e-6}
