package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A LLaVA 1.5 of 7 B is converted in less than a gigabyte of memory. Its weights are zeros, which
// take no room on the disk; what is written takes 7 GB.
func TestConvertOfSevenBillionParametersTakesLittleMemory(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("writes 7 GB; set EYELET_SLOW=1")
	}
	dir := filepath.Join(t.TempDir(), "llava")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(hfFolders, "llava15"))); err != nil {
		t.Fatal(err)
	}
	config := []byte(`{
		"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "image_token_index": 340, "projector_hidden_act": "gelu",
		"vision_feature_layer": -2, "vision_feature_select_strategy": "default", "tie_word_embeddings": false,
		"text_config": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32,
			"num_key_value_heads": 32, "num_hidden_layers": 32, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": 32064},
		"vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
			"image_size": 336, "patch_size": 14, "projection_dim": 768, "vocab_size": 32000}}`)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	sevenBillionZeros(t, dir)
	out := filepath.Join(t.TempDir(), "llava.gguf")
	cmd := invocation{args: []string{"convert", dir, "-o", out, "--type", "q8_0",
		"--quiet"}}.command(t.Context())
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if info, err := os.Stat(out); err != nil || info.Size() < 7e9 {
		t.Fatalf("%+v, %v", info, err)
	}
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	t.Logf("at most %d MiB resident", peak>>10)
	if peak > 1_000_000 {
		t.Errorf("%d KiB", peak)
	}
}

// sevenBillionZeros puts the weights of a LLaVA 1.5 of 7 B into a folder, in two parts.
func sevenBillionZeros(t *testing.T, dir string) {
	t.Helper()
	shapes := map[string][]int{
		"language_model.lm_head.weight":            {32064, 4096},
		"language_model.model.embed_tokens.weight": {32064, 4096},
		"language_model.model.norm.weight":         {4096},
	}
	for i := range 32 {
		layer := fmt.Sprintf("language_model.model.layers.%d.", i)
		for _, name := range []string{"q", "k", "v", "o"} {
			shapes[layer+"self_attn."+name+"_proj.weight"] = []int{4096, 4096}
		}
		shapes[layer+"mlp.gate_proj.weight"], shapes[layer+"mlp.up_proj.weight"] = []int{11008,
			4096}, []int{11008, 4096}
		shapes[layer+"mlp.down_proj.weight"] = []int{4096, 11008}
		shapes[layer+"input_layernorm.weight"],
			shapes[layer+"post_attention_layernorm.weight"] = []int{4096}, []int{4096}
	}
	tower := map[string][]int{
		"vision_tower.embeddings.class_embedding":           {1024},
		"vision_tower.embeddings.patch_embedding.weight":    {1024, 3, 14, 14},
		"vision_tower.embeddings.position_embedding.weight": {577, 1024},
	}
	linear := func(name string, out, in int) {
		tower[name+".weight"], tower[name+".bias"] = []int{out, in}, []int{out}
	}
	norm := func(name string) {
		tower[name+".weight"], tower[name+".bias"] = []int{1024}, []int{1024}
	}
	linear("multi_modal_projector.linear_1", 4096, 1024)
	linear("multi_modal_projector.linear_2", 4096, 4096)
	norm("vision_tower.pre_layrnorm")
	norm("vision_tower.post_layernorm")
	for i := range 24 {
		layer := fmt.Sprintf("vision_tower.encoder.layers.%d.", i)
		for _, name := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
			linear(layer+"self_attn."+name, 1024, 1024)
		}
		linear(layer+"mlp.fc1", 4096, 1024)
		linear(layer+"mlp.fc2", 1024, 4096)
		norm(layer + "layer_norm1")
		norm(layer + "layer_norm2")
	}
	parts := map[string]string{}
	for file, tensors := range map[string]map[string][]int{"language.safetensors": shapes,
		"tower.safetensors": tower} {
		for name := range tensors {
			parts[name] = file
		}
		zeros(t, filepath.Join(dir, file), tensors)
	}
	index, err := json.Marshal(map[string]any{"weight_map": parts})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), index,
		0o600); err != nil {
		t.Fatal(err)
	}
}

// zeros writes a safetensors file of halves that are zero, as a hole.
func zeros(t *testing.T, path string, tensors map[string][]int) {
	t.Helper()
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	header, end := map[string]entry{}, int64(0)
	for name, shape := range tensors {
		size := int64(2)
		for _, n := range shape {
			size *= int64(n)
		}
		header[name] = entry{"F16", shape, [2]int64{end, end + size}}
		end += size
	}
	data, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	data = append(binary.LittleEndian.AppendUint64(nil, uint64(len(data))), data...)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(data))+end); err != nil {
		t.Fatal(err)
	}
}
