package hf

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// llava15 and llava16 are config.json of llava-hf/llava-1.5-7b-hf and
// llava-hf/llava-v1.6-mistral-7b-hf as published, less what plays no part: they
// leave most sizes to the defaults.
const (
	llava15 = `{"architectures":["LlavaForConditionalGeneration"],"image_token_index":32000,"model_type":"llava","pad_token_id":32001,
		"projector_hidden_act":"gelu","text_config":{"_name_or_path":"lmsys/vicuna-7b-v1.5","architectures":["LlamaForCausalLM"],
		"max_position_embeddings":4096,"model_type":"llama","rms_norm_eps":1e-05,"torch_dtype":"float16","vocab_size":32064},
		"tie_word_embeddings":false,"vision_config":{"hidden_size":1024,"image_size":336,"intermediate_size":4096,"model_type":"clip_vision_model",
		"num_attention_heads":16,"num_hidden_layers":24,"patch_size":14,"projection_dim":768,"vocab_size":32000},
		"vision_feature_layer":-2,"vision_feature_select_strategy":"default"}`
	llava16 = `{"architectures":["LlavaNextForConditionalGeneration"],"image_grid_pinpoints":[[336,672],[672,336],[672,672],[1008,336],[336,1008]],
		"model_type":"llava_next","text_config":{"architectures":["MistralForCausalLM"],"intermediate_size":14336,"max_position_embeddings":32768,
		"model_type":"mistral","num_key_value_heads":8,"rms_norm_eps":1e-05,"rope_theta":1000000.0,"sliding_window":null,"vocab_size":32064},
		"vision_config":{"hidden_size":1024,"image_size":336,"intermediate_size":4096,"model_type":"clip_vision_model","num_attention_heads":16,
		"num_hidden_layers":24,"patch_size":14},"vision_feature_layer":-2,"vision_feature_select_strategy":"default"}`
	llama3 = `{"architectures":["LlamaForCausalLM"],"hidden_size":2048,"intermediate_size":8192,"num_attention_heads":32,"num_hidden_layers":16,
		"num_key_value_heads":8,"head_dim":64,"max_position_embeddings":131072,"model_type":"llama","rms_norm_eps":1e-05,"rope_theta":500000.0,
		"tie_word_embeddings":true,"vocab_size":128256,"bos_token_id":128000,"eos_token_id":[128001,128008,128009],
		"rope_scaling":{"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,"rope_type":"llama3"}}`
	smolvlm = `{"architectures":["Idefics3ForConditionalGeneration"],"model_type":"idefics3","scale_factor":3,"tie_word_embeddings":false,
		"text_config":{"architectures":["VLlama3ForCausalLM"],"head_dim":64,"hidden_size":2048,"intermediate_size":8192,"max_position_embeddings":16384,
		"model_type":"llama","num_attention_heads":32,"num_hidden_layers":24,"num_key_value_heads":32,"pad_token_id":2,"rms_norm_eps":1e-05,
		"rope_theta":273768.0,"vocab_size":49155},"vision_config":{"hidden_size":1152,"image_size":384,"intermediate_size":4304,
		"model_type":"idefics3","num_attention_heads":16,"num_hidden_layers":27,"patch_size":14,"use_base_siglip":true}}`
)

func TestRealConfigsAreRead(t *testing.T) {
	plain := func(theta float64) Rope {
		return Rope{Theta: theta, Type: "default", Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4,
			OriginalContext: 8192}
	}
	clip := Vision{Family: LLaVA, ModelType: "clip_vision_model", Hidden: 1024, FF: 4096,
		Layers: 24, Heads: 16, ImageSize: 336, PatchSize: 14, Act: "quick_gelu", Eps: 1e-5,
		Features: []int{23}}
	next := clip
	next.Pinpoints = []int{336, 672, 672, 336, 672, 672, 1008, 336, 336, 1008}
	tests := []struct {
		name, file string
		want       Config
	}{
		{"LLaVA 1.5", llava15, Config{"LlavaForConditionalGeneration", "llava", Text{
			ModelType: "llama", Vocab: 32064, Hidden: 4096, FF: 11008, Layers: 32, Heads: 32,
			KVHeads: 32, HeadDim: 128, Context: 4096, Eps: 1e-5,
			Rope: plain(10000), SpecialID: map[string]int{"pad": 32001}}, &clip}},
		{"LLaVA 1.6", llava16, Config{"LlavaNextForConditionalGeneration", "llava_next", Text{
			ModelType: "mistral", Vocab: 32064, Hidden: 4096, FF: 14336, Layers: 32, Heads: 32,
			KVHeads: 8, HeadDim: 128, Context: 32768, Eps: 1e-5,
			Rope: plain(1e6), SpecialID: map[string]int{}}, &next}},
		{"Llama 3.2", llama3, Config{"LlamaForCausalLM", "llama", Text{
			ModelType: "llama", Vocab: 128256, Hidden: 2048, FF: 8192, Layers: 16, Heads: 32,
			KVHeads: 8, HeadDim: 64, Context: 131072, Eps: 1e-5, Tied: true,
			Rope: Rope{Theta: 500000, Type: "llama3", Factor: 32, LowFreqFactor: 1,
				HighFreqFactor: 4, OriginalContext: 8192},
			SpecialID: map[string]int{"bos": 128000}}, nil}},
		{"SmolVLM", smolvlm, Config{"Idefics3ForConditionalGeneration", "idefics3", Text{
			ModelType: "llama", Vocab: 49155, Hidden: 2048, FF: 8192, Layers: 24, Heads: 32,
			KVHeads: 32, HeadDim: 64, Context: 16384, Eps: 1e-5,
			Rope: plain(273768), SpecialID: map[string]int{"pad": 2}},
			&Vision{Family: Idefics3, ModelType: "idefics3", Hidden: 1152, FF: 4304, Layers: 27,
				Heads: 16, ImageSize: 384, PatchSize: 14, Act: "gelu_pytorch_tanh", Eps: 1e-6,
				ScaleFactor: 3}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseConfig("config.json", []byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
		})
	}
}

func TestConfigsThatCannotBeConvertedAreErrors(t *testing.T) {
	with := func(file, old, new string) string {
		if !strings.Contains(file, old) {
			t.Fatalf("no %s", old)
		}
		return strings.Replace(file, old, new, 1)
	}
	tests := []struct {
		name, file string
		want       error
		says       string
	}{
		{"no JSON", "<html>", ErrInvalid, "no JSON"},
		{"an array", "[]", ErrInvalid, "config.json"},
		{"null", "null", ErrInvalid, "no object"},
		{"not UTF-8", "{\"\xff\":1}", ErrInvalid, "UTF-8"},
		{"nothing", "{}", ErrUnsupported, "architectures"},
		{"another class", `{"architectures":["GemmaForCausalLM"]}`, ErrUnsupported,
			`"GemmaForCausalLM"; known are LlamaForCausalLM`},
		{"a class that is a number", `{"architectures":[7]}`, ErrUnsupported, "architectures"},
		{"classes that are a text", `{"architectures":"LlamaForCausalLM"}`, ErrInvalid, "no list"},
		{"another language model", with(llava15, "LlamaForCausalLM", "GemmaForCausalLM"),
			ErrUnsupported, "text_config: architectures"},
		{"another tower", with(llava15, "clip_vision_model", "siglip_vision_model"), ErrUnsupported,
			`the vision tower "siglip_vision_model"`},
		{"a tower of another family's", with(smolvlm, `"model_type":"idefics3","num`,
			`"model_type":"clip_vision_model","num`), ErrUnsupported, "clip_vision_model"},
		{"quantized weights", with(llama3, `"head_dim":64`,
			`"head_dim":64,"quantization_config":{"quant_method":"gptq"}`), ErrUnsupported,
			"quantized already"},
		{"a mixture of experts", with(llama3, `"head_dim":64`, `"num_local_experts":8`),
			ErrUnsupported, "experts"},
		{"another activation", with(llama3, `"head_dim":64`, `"hidden_act":"gelu"`), ErrUnsupported,
			"hidden_act"},
		{"a width that is a text", with(llama3, "2048", `"2048"`), ErrInvalid,
			`hidden_size: invalid: "2048" is no whole number`},
		{"a width with a fraction", with(llama3, "2048", "2048.5"), ErrInvalid, "hidden_size"},
		{"a width of nothing", with(llama3, "2048", "0"), ErrInvalid, "hidden_size"},
		{"a negative width", with(llama3, "2048", "-2048"), ErrInvalid, "hidden_size"},
		{"a huge width", with(llama3, "2048", "1e300"), ErrInvalid, "hidden_size"},
		{"a width past int64", with(llama3, "2048", "99999999999999999999"), ErrInvalid,
			"hidden_size"},
		{"a huge vocabulary", with(llama3, "128256", "2000000000"), ErrInvalid, "vocab_size"},
		{"heads that do not divide", with(llama3, `"num_key_value_heads":8`,
			`"num_key_value_heads":5`), ErrInvalid, "num_key_value_heads"},
		{"heads of an odd width", with(llama3, `"head_dim":64`, `"head_dim":63`), ErrInvalid,
			"head_dim"},
		{"an epsilon of nothing", with(llama3, "1e-05", "0"), ErrInvalid, "rms_norm_eps"},
		{"an epsilon that overflows", with(llama3, "1e-05", "1e999"), ErrInvalid, "rms_norm_eps"},
		{"positions scaled in another way", with(llama3, `"rope_type":"llama3"`,
			`"rope_type":"longrope"`), ErrUnsupported,
			`rope_type: unsupported: positions scaled as "longrope"`},
		{"a factor of nothing", with(llama3, `"factor":32.0`, `"factor":0`), ErrInvalid, "factor"},
		{"YaRN without a context",
			with(llama3, `"original_max_position_embeddings":8192,"rope_type":"llama3"`,
				`"rope_type":"yarn"`), ErrInvalid, "original_max_position_embeddings"},
		{"factors the wrong way round", with(llama3, `"high_freq_factor":4.0`,
			`"high_freq_factor":0.5`), ErrInvalid, "high_freq_factor"},
		{"a text where an object belongs", with(llava15, `"vision_config":{`,
			`"vision_config":"x","v":{`), ErrInvalid, "vision_config"},
		{"a layer beyond the tower", with(llava15, `"vision_feature_layer":-2`,
			`"vision_feature_layer":-26`), ErrInvalid, "vision_feature_layer"},
		{"a layer that is a text", with(llava15, `"vision_feature_layer":-2`,
			`"vision_feature_layer":"last"`), ErrInvalid, "vision_feature_layer"},
		{"the class token among the patches",
			with(llava15, `"vision_feature_select_strategy":"default"`,
				`"vision_feature_select_strategy":"full"`), ErrUnsupported, `"full"`},
		{"another projector", with(llava15, `"projector_hidden_act":"gelu"`,
			`"projector_hidden_act":"relu"`), ErrUnsupported, "projector_hidden_act"},
		{"patches larger than the picture", with(llava15, `"patch_size":14`, `"patch_size":337`),
			ErrInvalid, "patch_size"},
		{"a tower's heads that do not divide", with(llava15, `"num_attention_heads":16`,
			`"num_attention_heads":15`), ErrInvalid, "num_attention_heads"},
		{"pinpoints that are no pairs", with(llava16, "[336,672],", "[336],"), ErrInvalid,
			"image_grid_pinpoints"},
		{"pinpoints of nothing", with(llava16, "[336,672],", "[0,672],"), ErrInvalid,
			"image_grid_pinpoints"},
		{"positions of no three kinds", with(qwen25vl, "[16,24,24]", "[16,24]"), ErrInvalid,
			"mrope_section"},
		{"positions of other pairs than a head has", with(qwen25vl, "[16,24,24]", "[16,24,25]"),
			ErrInvalid, "mrope_section"},
		{"positions that alternate", with(qwen25vl, `"type":"mrope"`,
			`"type":"mrope","mrope_interleaved":true`), ErrUnsupported, "mrope_interleaved"},
		{"other windows", with(qwen25vl, `"window_size":112`, `"window_size":56`), ErrUnsupported,
			"window_size"},
		{"another pattern of windows", with(qwen25vl, "[7,15,23,31]", "[7,15,23]"), ErrUnsupported,
			"fullatt_block_indexes"},
		{"frames one by one", with(qwen25vl, `"temporal_patch_size":2`, `"temporal_patch_size":1`),
			ErrUnsupported, "temporal_patch_size"},
		{"rows for another language model", with(qwen25vl, `"out_hidden_size":2048`,
			`"out_hidden_size":1024`), ErrInvalid, "out_hidden_size"},
		{"tokens that are no square", with(gemma3VL, `"mm_tokens_per_image":256`,
			`"mm_tokens_per_image":250`), ErrInvalid, "mm_tokens_per_image"},
		{"layers without a window in other places", with(gemma3VL, `"sliding_window":1024`,
			`"sliding_window":1024,"layer_types":["full_attention"]`), ErrUnsupported,
			"layer_types"},
		{"capped logits", with(gemma3VL, `"sliding_window":1024`,
			`"sliding_window":1024,"final_logit_softcapping":30.0`), ErrUnsupported,
			"final_logit_softcapping"},
		{"another scale of queries", with(gemma3VL, `"sliding_window":1024`,
			`"sliding_window":1024,"query_pre_attn_scalar":168`), ErrUnsupported,
			"query_pre_attn_scalar"},
		{"a mixture of experts in Gemma 4", with(gemma4VL, `"enable_moe_block":false`,
			`"enable_moe_block":true`), ErrUnsupported, "enable_moe_block"},
		{"layers of a third kind", with(gemma4VL, `"full_attention"]`, `"linear_attention"]`),
			ErrUnsupported, "layer_types"},
		{"layers too many", with(gemma4VL, `"num_hidden_layers":3`, `"num_hidden_layers":4`),
			ErrUnsupported, "layer_types"},
		{"wide heads that keys' heads do not divide", with(gemma4VL,
			`"num_global_key_value_heads":4`, `"num_global_key_value_heads":5`), ErrInvalid,
			"global_head_dim"},
		{"a number of one layer", with(gemma4VL, `"attention_k_eq_v":true`,
			`"attention_k_eq_v":true,"per_layer_config":{"1":{"head_dim":128}}`), ErrUnsupported,
			"head_dim"},
		{"other positions without a window", with(gemma4VL, "proportional", "default"),
			ErrUnsupported, "rope_type"},
		{"all layers share", with(gemma4VL, `"num_kv_shared_layers":0`,
			`"num_kv_shared_layers":3`), ErrInvalid, "num_kv_shared_layers"},
		{"pairs that do not rotate", with(glm4VL, "[8,12,12]", "[16,24,24]"), ErrInvalid,
			"mrope_section"},
		{"a merger of another width", with(glm4VL, `"out_hidden_size":4096`,
			`"out_hidden_size":2048`), ErrInvalid, "out_hidden_size"},
		{"a connector that does not divide", with(smolvlm, `"scale_factor":3`, `"scale_factor":4`),
			ErrInvalid, "scale_factor"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseConfig("config.json", []byte(tt.file))
			checkError(t, err, tt.want, tt.says)
		})
	}
	_, err := ReadConfig(t.TempDir())
	checkError(t, err, fs.ErrNotExist, "config.json")
}

func checkError(t *testing.T, err, want error, says string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), says) || len(err.Error()) > 600 {
		t.Errorf("got %v, want %v that says %q", err, want, says)
	}
}

func TestFeatureLayersAreCountedFromTheEmbedding(t *testing.T) {
	for layer, want := range map[string][]int{"-2": {23}, "-1": {24}, "0": {0}, "24": {24},
		"-25": {0}, "[-3,7,-1]": {22, 7, 24}, "null": {23}} {
		c, err := parseConfig("config.json",
			[]byte(strings.Replace(llava15, `"vision_feature_layer":-2`,
				`"vision_feature_layer":`+layer, 1)))
		if err != nil || !slices.Equal(c.Vision.Features, want) {
			t.Errorf("%s: %v, %v; want %v", layer, c, err, want)
		}
	}
}

// write writes files into a new folder.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Files of two families, see below.
const (
	qwen25vl = `{"architectures":["Qwen2_5_VLForConditionalGeneration"],"bos_token_id":151643,"eos_token_id":151645,"hidden_act":"silu","hidden_size":2048,"intermediate_size":11008,
			"max_position_embeddings":128000,"max_window_layers":70,"model_type":"qwen2_5_vl","num_attention_heads":16,"num_hidden_layers":36,"num_key_value_heads":2,"rms_norm_eps":1e-06,"rope_theta":1000000.0,
			"sliding_window":32768,"tie_word_embeddings":true,"use_sliding_window":false,"vision_config":{"depth":32,"hidden_act":"silu","hidden_size":1280,"intermediate_size":3420,"num_heads":16,"in_chans":3,
			"out_hidden_size":2048,"patch_size":14,"spatial_merge_size":2,"spatial_patch_size":14,"window_size":112,"fullatt_block_indexes":[7,15,23,31],"tokens_per_second":2,"temporal_patch_size":2},
			"rope_scaling":{"type":"mrope","mrope_section":[16,24,24]},"vocab_size":151936}`
	gemma3VL = `{"architectures":["Gemma3ForConditionalGeneration"],"eos_token_id":[1,106],"mm_tokens_per_image":256,"model_type":"gemma3","text_config":{"hidden_size":2560,"intermediate_size":10240,
			"model_type":"gemma3_text","num_hidden_layers":34,"rope_scaling":{"factor":8.0,"rope_type":"linear"},"sliding_window":1024},"vision_config":{"hidden_size":1152,"image_size":896,
			"intermediate_size":4304,"model_type":"siglip_vision_model","num_attention_heads":16,"num_hidden_layers":27,"patch_size":14,"vision_use_head":false}}`
	gemma4VL = `{"architectures":["Gemma4ForConditionalGeneration"],"audio_config":null,"model_type":"gemma4","text_config":{"attention_k_eq_v":true,"enable_moe_block":false,"final_logit_softcapping":30.0,
			"global_head_dim":512,"head_dim":256,"hidden_size":5376,"hidden_size_per_layer_input":0,"intermediate_size":21504,"layer_types":["sliding_attention","sliding_attention","full_attention"],
			"max_position_embeddings":262144,"model_type":"gemma4_text","num_attention_heads":32,"num_global_key_value_heads":4,"num_hidden_layers":3,"num_key_value_heads":16,"num_kv_shared_layers":0,
			"rope_parameters":{"full_attention":{"partial_rotary_factor":0.25,"rope_theta":1000000.0,"rope_type":"proportional"},"sliding_attention":{"rope_theta":10000.0,"rope_type":"default"}},
			"sliding_window":1024,"use_bidirectional_attention":"vision","vocab_size":262144},"vision_config":{"head_dim":72,"hidden_size":1152,"intermediate_size":4304,"model_type":"gemma4_vision",
			"num_attention_heads":16,"num_hidden_layers":27,"num_key_value_heads":16,"patch_size":16,"pooling_kernel_size":3,"standardize":true}}`
	glm4VL = `{"architectures":["Glm4vForConditionalGeneration"],"attention_bias":true,"hidden_act":"silu","hidden_size":4096,"intermediate_size":13696,"max_position_embeddings":65536,"model_type":"glm4v",
			"num_attention_heads":32,"num_hidden_layers":40,"num_key_value_heads":2,"partial_rotary_factor":0.5,"rms_norm_eps":1e-05,"rope_scaling":{"mrope_section":[8,12,12],"type":"default"},
			"rope_theta":10000.0,"vision_config":{"attention_bias":false,"depth":24,"hidden_act":"silu","hidden_size":1536,"image_size":336,"in_channels":3,"intermediate_size":13696,"model_type":"glm4v",
			"num_heads":12,"out_hidden_size":4096,"patch_size":14,"rms_norm_eps":1e-05,"spatial_merge_size":2,"temporal_patch_size":2},"vocab_size":151552}`
)

// TestConfigsOfFamiliesAreRead has the numbers of config.json files as Qwen, Google, OpenGVLab and
// Mistral publish them, less what plays no part.
func TestConfigsOfFamiliesAreRead(t *testing.T) {
	qwen := func(r Rope) Rope {
		r.Factor, r.LowFreqFactor, r.HighFreqFactor, r.OriginalContext = 8, 1, 4, 8192
		return r
	}
	tests := []struct {
		name, file string
		text       Text
		vision     Vision
	}{
		{"Qwen2.5-VL 3B", qwen25vl,
			Text{ModelType: "qwen2_vl", Vocab: 151936, Hidden: 2048, FF: 11008, Layers: 36,
				Heads: 16, KVHeads: 2, HeadDim: 128, Context: 128000, Eps: 1e-6, Tied: true,
				Rope:      qwen(Rope{Theta: 1e6, Type: "default", Sections: []int{16, 24, 24}}),
				SpecialID: map[string]int{"bos": 151643, "eos": 151645}},
			Vision{Family: Qwen25VL, ModelType: "qwen2_5_vl_vision", Hidden: 1280, FF: 3420,
				Layers: 32, Heads: 16, PatchSize: 14, Act: "silu", Eps: 1e-6, ScaleFactor: 2,
				FullEvery: 8}},
		{"Qwen2-VL 2B", `{"architectures":["Qwen2VLForConditionalGeneration"],"hidden_act":"silu","hidden_size":1536,"intermediate_size":8960,"max_position_embeddings":32768,"model_type":"qwen2_vl",
			"num_attention_heads":12,"num_hidden_layers":28,"num_key_value_heads":2,"rms_norm_eps":1e-06,"rope_theta":1000000.0,"sliding_window":32768,"tie_word_embeddings":true,"use_sliding_window":false,
			"vision_config":{"depth":32,"embed_dim":1280,"mlp_ratio":4,"num_heads":16,"in_chans":3,"hidden_size":1536,"patch_size":14,"spatial_merge_size":2,"spatial_patch_size":14,"temporal_patch_size":2},
			"rope_scaling":{"type":"mrope","mrope_section":[16,24,24]},"vocab_size":151936}`,
			Text{ModelType: "qwen2_vl", Vocab: 151936, Hidden: 1536, FF: 8960, Layers: 28,
				Heads: 12, KVHeads: 2, HeadDim: 128, Context: 32768, Eps: 1e-6, Tied: true,
				Rope:      qwen(Rope{Theta: 1e6, Type: "default", Sections: []int{16, 24, 24}}),
				SpecialID: map[string]int{}},
			Vision{Family: Qwen2VL, ModelType: "qwen2_vl_vision", Hidden: 1280, FF: 5120,
				Layers: 32, Heads: 16, PatchSize: 14, Act: "quick_gelu", Eps: 1e-6,
				ScaleFactor: 2}},
		{"Gemma 3 4B", gemma3VL,
			Text{ModelType: "gemma3", Vocab: 262208, Hidden: 2560, FF: 10240, Layers: 34, Heads: 8,
				KVHeads: 4, HeadDim: 256, Context: 131072, Eps: 1e-6, Tied: true, Window: 1024,
				Rope: qwen(Rope{Theta: 1e6, LocalTheta: 10000, Type: "linear",
					YaRN: map[string]float64{}}), SpecialID: map[string]int{}},
			Vision{Family: Gemma3, ModelType: "siglip_vision_model", Hidden: 1152, FF: 4304,
				Layers: 27, Heads: 16, ImageSize: 896, PatchSize: 14, Act: "gelu_pytorch_tanh",
				Eps: 1e-6, ScaleFactor: 4}},
		{"Gemma 4 31B, of three layers", gemma4VL,
			Text{ModelType: "gemma4", Vocab: 262144, Hidden: 5376, FF: 21504, Layers: 3, Heads: 32,
				KVHeads: 16, HeadDim: 256, Context: 262144, Eps: 1e-6, Tied: true, Window: 1024,
				Layered: Layered{Full: []bool{false, false, true}, GlobalHeadDim: 512,
					GlobalKVHeads: 4, KeysAsValues: true, PerLayerVocab: 262144, Softcap: 30},
				Rope: qwen(Rope{Theta: 1e6, LocalTheta: 10000, Type: "default",
					Partial: 0.25}), SpecialID: map[string]int{}},
			Vision{Family: Gemma4, ModelType: "gemma4_vision", Hidden: 1152, FF: 4304, Layers: 27,
				Heads: 16, ImageSize: 224, PatchSize: 16, Act: "gelu_pytorch_tanh", Eps: 1e-6,
				ScaleFactor: 3, Positions: 10240, Standardized: true}},
		{"GLM-4.1V 9B", glm4VL,
			Text{ModelType: "glm4v", Vocab: 151552, Hidden: 4096, FF: 13696, Layers: 40, Heads: 32,
				KVHeads: 2, HeadDim: 128, Context: 65536, Eps: 1e-5,
				Rope: qwen(Rope{Theta: 10000, Type: "default", Partial: 0.5,
					Sections: []int{8, 12, 12}}), SpecialID: map[string]int{}},
			Vision{Family: GLM4V, ModelType: "glm4v", Hidden: 1536, FF: 13696, Layers: 24,
				Heads: 12, ImageSize: 336, PatchSize: 14, Act: "silu", Eps: 1e-5, ScaleFactor: 2}},
		{"InternVL3 1B", `{"architectures":["InternVLForConditionalGeneration"],"downsample_ratio":0.5,"image_seq_length":256,"model_type":"internvl","projector_hidden_act":"gelu",
			"text_config":{"architectures":["Qwen2ForCausalLM"],"hidden_size":896,"intermediate_size":4864,"max_position_embeddings":32768,"model_type":"qwen2","num_attention_heads":14,"num_hidden_layers":24,
			"num_key_value_heads":2,"rope_scaling":{"factor":2.0,"rope_type":"dynamic","type":"dynamic"},"rope_theta":1000000.0,"vocab_size":151674},"vision_config":{"architectures":["InternVisionModel"],
			"attention_bias":true,"hidden_act":"gelu","hidden_size":1024,"image_size":[448,448],"intermediate_size":4096,"model_type":"internvl_vision","norm_type":"layer_norm","num_attention_heads":16,
			"num_hidden_layers":24,"patch_size":[14,14],"use_absolute_position_embeddings":true,"use_mask_token":false,"use_mean_pooling":true,"use_qk_norm":false},"vision_feature_layer":-1,
			"vision_feature_select_strategy":"default"}`,
			Text{ModelType: "qwen2", Vocab: 151674, Hidden: 896, FF: 4864, Layers: 24, Heads: 14,
				KVHeads: 2, HeadDim: 64, Context: 32768, Eps: 1e-6,
				Rope: Rope{Theta: 1e6, Type: "default", Factor: 2, LowFreqFactor: 1,
					HighFreqFactor: 4, OriginalContext: 8192}, SpecialID: map[string]int{}},
			Vision{Family: InternVL, ModelType: "internvl_vision", Hidden: 1024, FF: 4096,
				Layers: 24, Heads: 16, ImageSize: 448, PatchSize: 14, Act: "gelu", Eps: 1e-6,
				ScaleFactor: 2, AttentionBias: true}},
		{"Pixtral 12B", `{"architectures":["LlavaForConditionalGeneration"],"image_token_index":10,"model_type":"llava","projector_hidden_act":"gelu","text_config":{"head_dim":128,"hidden_size":5120,
			"intermediate_size":14336,"max_position_embeddings":1024000,"model_type":"mistral","num_hidden_layers":40,"num_key_value_heads":8,"rms_norm_eps":1e-05,"rope_theta":1000000000.0,
			"sliding_window":null,"vocab_size":131072},"vision_config":{"head_dim":64,"hidden_act":"silu","image_size":1024,"is_composition":true,"model_type":"pixtral","patch_size":16,"rope_theta":10000.0},
			"vision_feature_layer":-1,"vision_feature_select_strategy":"full"}`,
			Text{ModelType: "mistral", Vocab: 131072, Hidden: 5120, FF: 14336, Layers: 40,
				Heads: 32, KVHeads: 8, HeadDim: 128, Context: 1024000, Eps: 1e-5,
				Rope: qwen(Rope{Theta: 1e9, Type: "default"}), SpecialID: map[string]int{}},
			Vision{Family: Pixtral, ModelType: "pixtral", Hidden: 1024, FF: 4096, Layers: 24,
				Heads: 16, ImageSize: 1024, PatchSize: 16, Act: "silu", Eps: 1e-5, ScaleFactor: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseConfig("config.json", []byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Text, tt.text) || !reflect.DeepEqual(*got.Vision, tt.vision) {
				t.Errorf("got  %+v\n     %+v\nwant %+v\n     %+v", got.Text, *got.Vision, tt.text,
					tt.vision)
			}
		})
	}
}

// Configurations whose towers take 336 pixels.
var (
	smolVLM = &Config{Architecture: "SmolVLMForConditionalGeneration",
		Vision: &Vision{Family: Idefics3, ImageSize: 336, PatchSize: 14, ScaleFactor: 4}}
	llava15B = &Config{Architecture: "LlavaForConditionalGeneration",
		Vision: &Vision{Family: LLaVA, ImageSize: 336, PatchSize: 14}}
	qwenVL = &Config{Architecture: "Qwen2_5_VLForConditionalGeneration",
		Vision: &Vision{Family: Qwen25VL, PatchSize: 14, ScaleFactor: 2}}
	gemmaVL = &Config{Architecture: "Gemma3ForConditionalGeneration",
		Vision: &Vision{Family: Gemma3, ImageSize: 896, PatchSize: 14, ScaleFactor: 4}}
	internVL = &Config{Architecture: "InternVLForConditionalGeneration",
		Vision: &Vision{Family: InternVL, ImageSize: 448, PatchSize: 14, ScaleFactor: 2}}
	pixtralVL = &Config{Architecture: "Mistral3ForConditionalGeneration",
		Vision: &Vision{Family: Mistral3, ImageSize: 1540, PatchSize: 14, ScaleFactor: 2}}
	gemma4P = &Config{Architecture: "Gemma4ForConditionalGeneration",
		Vision: &Vision{Family: Gemma4, ImageSize: 224, PatchSize: 16, ScaleFactor: 3}}
	glm4P = &Config{Architecture: "Glm4vForConditionalGeneration",
		Vision: &Vision{Family: GLM4V, ImageSize: 336, PatchSize: 14, ScaleFactor: 2}}
	llavaNext = &Config{Architecture: "LlavaNextForConditionalGeneration",
		Vision: &Vision{Family: LLaVA, ImageSize: 336, PatchSize: 14, Pinpoints: []int{336, 672}}}
)

func TestStepsOfProcessorsAreTakenOrRefusedByName(t *testing.T) {
	for _, c := range []struct {
		config *Config
		json   string
		says   string // of the error; "" for none
	}{
		{smolVLM, `"do_image_splitting":false`, ""},
		{smolVLM, `"do_image_splitting":true,"do_pad":false,"do_convert_rgb":false`, ""},
		{smolVLM, `"do_resize":false`, "do_resize"},
		{smolVLM, `"resample":3`, "resample: unsupported: 3"},
		{smolVLM, `"resample":1`, ""},
		{smolVLM, `"size":{"height":336,"width":336}`, "size: unsupported"},
		{smolVLM, `"size":[336,336]`, "size: unsupported"},
		{smolVLM, `"size":336`, "size: unsupported"},
		{smolVLM, `"max_image_size":{"longest_edge":364}`, "max_image_size"},
		{smolVLM, `"max_image_size":{"longest_edge":336},"image_seq_len":36`, ""},
		{smolVLM, `"image_seq_len":64`, "image_seq_len"},
		{smolVLM, `"do_center_crop":true`, "do_center_crop"},
		{smolVLM, `"image_processor_type":"SiglipImageProcessor"`, "image_processor_type"},
		{smolVLM, `"image_processor_type":"SmolVLMImageProcessorFast"`, ""},
		{smolVLM, `"do_flip_channel_order":true`, "do_flip_channel_order: unsupported"},
		{smolVLM, `"do_flip_channel_order":false`, ""},
		{llava15B, `"size":336,"crop_size":336`, ""},
		{llava15B, `"size":{"shortest_edge":336},"crop_size":{"height":336,"width":336},"do_center_crop":true,"resample":3,"patch_size":14`, ""},
		{llava15B, `"size":[336,336],"do_pad":true`, ""},
		{llava15B, `"size":{"height":336,"width":336}`, "size: unsupported"},
		{llava15B, `"size":{"shortest_edge":224}`, "size: unsupported"},
		{llava15B, `"size":{"shortest_edge":336},"crop_size":224`, "crop_size: unsupported"},
		{llava15B, `"size":{"height":336}`, "one side of two"},
		{llava15B, `"size":[336]`, "no height and width"},
		{llava15B, `"size":{"max_pixels":336}`, "max_pixels"},
		{llava15B, `"resample":2`, "resample: unsupported: 2"},
		{llava15B, `"resample":"bicubic"`, "resample"},
		{llava15B, `"do_pad":false,"do_center_crop":false`, "do_pad"},
		{llava15B, `"do_rescale":false`, "do_rescale: unsupported"},
		{llava15B, `"rescale_factor":0.5`, "rescale_factor: unsupported"},
		{llava15B, `"do_normalize":false`, "do_normalize: unsupported"},
		{llava15B, `"do_rescale":"no"`, "do_rescale: invalid"},
		{llava15B, `"vision_feature_select_strategy":"full"`, "vision_feature_select_strategy"},
		{llava15B, `"patch_size":16`, "patch_size"},
		{llavaNext, `"image_grid_pinpoints":[[336,672]],"do_pad":false`, ""},
		{llavaNext, `"image_grid_pinpoints":[[672,336]]`, "image_grid_pinpoints"},
		{llavaNext, `"size":{"shortest_edge":224}`, "size: unsupported"},
		{qwenVL, `"image_processor_type":"Qwen2VLImageProcessorFast","min_pixels":3136,"max_pixels":12845056,"patch_size":14,"merge_size":2,"temporal_patch_size":2,"resample":3`, ""},
		{qwenVL, `"size":{"shortest_edge":3136,"longest_edge":12845056}`, ""},
		{qwenVL, `"size":{"height":448,"width":448}`, "height: unsupported"},
		{qwenVL, `"min_pixels":5000,"max_pixels":3000`, "max_pixels: invalid"},
		{qwenVL, `"patch_size":16`, "patch_size: unsupported: 16"},
		{qwenVL, `"merge_size":1`, "merge_size"},
		{qwenVL, `"temporal_patch_size":1`, "temporal_patch_size"},
		{qwenVL, `"resample":2`, "resample"},
		{qwenVL, `"do_center_crop":true`, "do_center_crop"},
		{qwenVL, `"image_processor_type":"CLIPImageProcessor"`, "image_processor_type"},
		{gemmaVL, `"size":{"height":896,"width":896},"resample":2,"image_seq_length":256,"do_pan_and_scan":null,"do_convert_rgb":null`, ""},
		{gemmaVL, `"do_pan_and_scan":true`, "do_pan_and_scan: unsupported: true"},
		{gemmaVL, `"size":{"height":448,"width":448}`, "size"},
		{gemmaVL, `"size":{"shortest_edge":896}`, "size"},
		{gemmaVL, `"image_seq_length":64`, "image_seq_length"},
		{gemmaVL, `"resample":3`, "resample"},
		{gemma4P, `"image_processor_type":"Gemma4ImageProcessor","do_normalize":false,"image_mean":[0.0,0.0,0.0],"image_std":[1.0,1.0,1.0],"max_soft_tokens":280,"patch_size":16,"pooling_kernel_size":3`, ""},
		{gemma4P, `"max_soft_tokens":560`, "max_soft_tokens: unsupported: 560"},
		{gemma4P, `"patch_size":14`, "patch_size"},
		{gemma4P, `"pooling_kernel_size":2`, "pooling_kernel_size"},
		{gemma4P, `"resample":2`, "resample"},
		{glm4P, `"image_processor_type":"Glm4vImageProcessorFast","size":{"shortest_edge":12544,"longest_edge":9633792},"patch_size":14,"merge_size":2,"temporal_patch_size":2`, ""},
		{glm4P, `"merge_size":1`, "merge_size"},
		{glm4P, `"image_processor_type":"Qwen2VLImageProcessor"`, "image_processor_type"},
		{internVL, `"image_processor_type":"GotOcr2ImageProcessorFast","crop_to_patches":false,"min_patches":1,"max_patches":12,"size":{"height":448,"width":448}`, ""},
		{internVL, `"min_patches":6,"max_patches":2`, "max_patches"},
		{internVL, `"max_patches":1000`, "max_patches"},
		{internVL, `"image_seq_length":64`, "image_seq_length"},
		{pixtralVL, `"patch_size":{"height":28,"width":28},"size":{"longest_edge":1540}`, ""},
		{pixtralVL, `"patch_size":14,"spatial_merge_size":2`, ""},
		{pixtralVL, `"patch_size":16`, "patch_size"},
		{pixtralVL, `"size":{"longest_edge":1024}`, "size"},
		{pixtralVL, `"spatial_merge_size":1`, "spatial_merge_size"},
		{pixtralVL, `"image_break_token":"[BREAK]"`, "image_break_token"},
	} {
		for _, form := range []string{`{%s}`, `{"image_processor":{%s}}`} {
			name := "preprocessor_config.json"
			if form != `{%s}` {
				name = "processor_config.json"
			}
			_, err := ReadPreprocessor(write(t, map[string]string{name: strings.Replace(form, "%s",
				c.json, 1)}), c.config)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(),
				c.says) {
				t.Errorf("%s: %s in %s: %v, want %q", c.config.Architecture, c.json, name, err,
					c.says)
			}
		}
	}
}

func TestTheScaleOfSamplesIsFoldedIn(t *testing.T) {
	for _, c := range []struct {
		config    *Config
		json      string
		mean, std float64
		crop      bool
	}{
		{smolVLM, `"image_mean":0.25,"image_std":0.5`, 0.25, 0.5, false},
		{smolVLM, ``, 0.5, 0.5, false},
		{smolVLM, `"do_normalize":false`, 0, 1, false},
		{smolVLM, `"do_rescale":false,"image_mean":[127.5,127.5,127.5],"image_std":[127.5,127.5,127.5]`, 0.5, 0.5, false},
		{smolVLM, `"rescale_factor":0.00784313725490196,"image_mean":[1,1,1],"image_std":[1,1,1]`,
			0.5, 0.5, false},
		{smolVLM, `"do_normalize":false,"do_rescale":false`, 0, 1.0 / 255, false},
		{llava15B, `"do_pad":false,"do_normalize":false`, 0, 1, true},
		{llava15B, `"do_pad":true,"image_mean":[0.1,0.1,0.1],"image_std":1`, 0.1, 1, false},
	} {
		p, err := ReadPreprocessor(write(t, map[string]string{"preprocessor_config.json": `{` +
			c.json + `}`}), c.config)
		if err != nil {
			t.Errorf("%s: %v", c.json, err)
			continue
		}
		for i := range 3 {
			if math.Abs(p.Mean[i]-c.mean) > 1e-9 || math.Abs(p.Std[i]-c.std) > 1e-9 ||
				p.Crop != c.crop {
				t.Errorf("%s: %+v", c.json, p)
				break
			}
		}
	}
}

func TestASlidingWindowBoundsTheContext(t *testing.T) {
	for text, want := range map[string]int{
		`"architectures":["MistralForCausalLM"],"sliding_window":4096,"max_position_embeddings":32768`:                                                  4096,
		`"architectures":["MistralForCausalLM"],"sliding_window":null,"max_position_embeddings":32768`:                                                  32768,
		`"architectures":["Qwen2ForCausalLM"],"sliding_window":4096,"use_sliding_window":false,"max_position_embeddings":32768`:                         32768,
		`"architectures":["Qwen2ForCausalLM"],"sliding_window":4096,"use_sliding_window":true,"max_position_embeddings":32768`:                          4096,
		`"architectures":["Qwen2ForCausalLM"],"sliding_window":64,"layer_types":["full_attention","sliding_attention"],"max_position_embeddings":32768`: 64,
		`"architectures":["Qwen2ForCausalLM"],"sliding_window":64,"layer_types":["full_attention"],"max_position_embeddings":32768`:                     32768,
	} {
		c, err := parseConfig("config.json", []byte("{"+text+"}"))
		if err != nil || c.Text.Context != want {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
	_, err := parseConfig("config.json",
		[]byte(`{"architectures":["LlamaForCausalLM"],"partial_rotary_factor":0.5}`))
	checkError(t, err, ErrUnsupported, "partial_rotary_factor")
}

func TestPreprocessors(t *testing.T) {
	const numbers = `"image_mean":[0.5,0.25,0.125],"image_std":[1,2,3]`
	tests := []struct {
		name  string
		files map[string]string
		says  string // of the error, "" for none
	}{
		{"the usual file", map[string]string{"preprocessor_config.json": `{` + numbers +
			`,"size":{"longest_edge":7}}`}, ""},
		{"a processor's file", map[string]string{"processor_config.json": `{"image_processor":{` +
			numbers + `,"size":{"longest_edge":7}}}`}, ""},
		{"the second file counts",
			map[string]string{"preprocessor_config.json": `{"image_mean":[1,1,1],"size":{"longest_edge":7}}`, "processor_config.json": `{` +
				numbers + `}`}, ""},
		{"no file", nil, "neither preprocessor_config.json nor processor_config.json"},
		{"a deviation of nothing",
			map[string]string{"preprocessor_config.json": `{"image_mean":[1,1,1],"image_std":[1,0,1]}`}, "image_std"},
		{"two numbers", map[string]string{"preprocessor_config.json": `{"image_mean":[1,1],"image_std":[1,1,1]}`},
			"image_mean: invalid: it is not 3 numbers"},
		{"texts", map[string]string{"preprocessor_config.json": `{"image_mean":["1","1","1"],"image_std":[1,1,1]}`}, "image_mean"},
		{"a huge size", map[string]string{"preprocessor_config.json": `{` + numbers +
			`,"size":{"longest_edge":1e9}}`}, "longest_edge"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ReadPreprocessor(write(t, tt.files), smolVLM)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, want an error that says %q", err, tt.says)
				}
				return
			}
			if err != nil || p.Mean != [3]float64{0.5, 0.25, 0.125} || p.Std != [3]float64{1, 2,
				3} || p.LongestEdge != 7 {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

func TestCards(t *testing.T) {
	dir := write(t, map[string]string{
		"README.md":              "---\nlanguage:\n- en\nlicense: \"llama2\"\nlicense_link: https://example.org/a:b\nlicense_name: x\n---\nlicense: mit\n",
		"generation_config.json": `{"temperature":0.7,"top_k":50,"do_sample":true}`,
	})
	c, err := ReadCard(dir)
	if err != nil || c.License != "llama2" || c.LicenseLink != "https://example.org/a:b" ||
		c.LicenseName != "x" ||
		!reflect.DeepEqual(c.Sampling, map[string]float64{"temperature": 0.7, "top_k": 50}) {
		t.Errorf("%+v, %v", c, err)
	}
	for readme, want := range map[string]string{
		"": "", "license: mit": "", "---\nlicense:\n- mit\n- cc\n---": "mit,cc",
		"---\nx:\n  license: mit\n---": "", "---\r\nlicense: mit\r\n---": "mit",
		"---\nlicense: \xff\n---": "",
	} {
		c, err := ReadCard(write(t, map[string]string{"README.md": readme}))
		if err != nil || c.License != want {
			t.Errorf("%q: %q, %v; want %q", readme, c.License, err, want)
		}
	}
	_, err = ReadCard(write(t, map[string]string{"generation_config.json": `{"top_p":"x"}`}))
	checkError(t, err, ErrInvalid, "top_p")
}
