package diffusion_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// shapes are tensors by name; the last dimension varies fastest.
type shapes map[string][]int

// safetensorsBytes writes a file of float16 zeros.
func safetensorsBytes(t testing.TB, tensors shapes) []byte {
	t.Helper()
	header, at := map[string]any{}, 0
	for name, shape := range tensors {
		n := 2
		for _, d := range shape {
			n *= d
		}
		header[name] = map[string]any{"dtype": "F16", "shape": shape, "data_offsets": []int{at,
			at + n}}
		at += n
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(out, text...), make([]byte, at)...)
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	unet  = "model.diffusion_model.input_blocks.0.0.weight"
	vae   = "first_stage_model.decoder.conv_in.weight"
	clip  = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
	clip2 = "cond_stage_model.model.token_embedding.weight"
	clipG = "conditioner.embedders.1.model.token_embedding.weight"
	t5    = "text_encoders.t5xxl.transformer.shared.weight"
	dit   = "model.diffusion_model."
)

func TestFamiliesAreToldByTheirTensors(t *testing.T) {
	for name, c := range map[string]struct {
		tensors  shapes
		side, of int
	}{
		"sd1": {shapes{unet: {4, 3}, vae: {2}, clip: {2, 768}}, 512, 64},
		"sd2": {shapes{unet: {4, 3}, vae: {2}, clip2: {2, 1024}}, 768, 64},
		"sdxl": {shapes{unet: {4, 3}, vae: {2},
			"conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": {2,
				768}, clipG: {2, 4}}, 1024, 64},
		"sd3": {shapes{dit + "joint_blocks.0.x_block.attn.qkv.weight": {2}, vae: {2},
			t5: {2}}, 1024, 16},
		"flux": {shapes{dit + "double_blocks.0.img_attn.qkv.weight": {2},
			"vae.decoder.conv_in.weight": {2}, t5: {2}}, 1024, 16},
		"flux2": {shapes{dit + "double_blocks.0.img_attn.qkv.weight": {2},
			dit + "double_stream_modulation_img.lin.weight": {2}, vae: {2}, t5: {2}}, 1024, 16},
		"z-image": {shapes{dit + "cap_embedder.0.weight": {2}, vae: {2},
			"text_encoders.llm.w": {2}}, 1024, 16},
		"qwen-image": {shapes{dit + "transformer_blocks.0.img_mod.1.weight": {2}, vae: {2},
			"text_encoders.llm.w": {2}}, 1024, 16},
		"chroma": {shapes{dit + "double_blocks.0.img_attn.qkv.weight": {2},
			dit + "distilled_guidance_layer.in_proj.weight": {2}, vae: {2}, t5: {2}}, 1024, 16},
		"chroma-radiance": {shapes{dit + "double_blocks.0.img_attn.qkv.weight": {2},
			dit + "distilled_guidance_layer.in_proj.weight": {2},
			dit + "nerf_final_layer_conv.conv.weight":       {2}, t5: {2}}, 1024, 16},
		"ovis-image": {shapes{dit + "double_blocks.0.img_mlp.gate_proj.weight": {2}, vae: {2},
			"text_encoders.llm.w": {2}}, 1024, 16},
		"anima": {shapes{"net.llm_adapter.blocks.0.cross_attn.q_proj.weight": {2}, vae: {2},
			"text_encoders.llm.w": {2}}, 1024, 16},
		"ernie-image": {shapes{dit + "layers.0.adaLN_sa_ln.weight": {2}, vae: {2},
			"text_encoders.llm.w": {2}}, 1024, 16},
	} {
		f, err := diffusion.Inspect(write(t, "renamed.bin", safetensorsBytes(t, c.tensors)), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Family != name || f.Side != c.side || f.Multiple != c.of ||
			f.Format != "safetensors" || f.Type != "F16" || f.Parameters == 0 {
			t.Errorf("%s: %+v", name, *f)
		}
	}
}

func TestGGUFSaysTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sd.gguf")
	w := gguf.NewWriter("")
	// The names of ggml's own files have at most 63 bytes; those of text encoders in this family
	// are longer.
	for name, dims := range map[string][]uint64{unet: {32, 2}, vae: {32}, clip2: {1024, 2}} {
		n := uint64(4)
		for _, d := range dims {
			n *= d
		}
		w.AddTensor(name, gguf.F32, dims, make([]byte, n))
	}
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	f, err := diffusion.Inspect(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Family != "sd2" || f.Format != "gguf" || f.Type != "F32" || f.Parameters != 64+32+2*1024 {
		t.Errorf("%+v", *f)
	}
}

func TestPartsAndOthersAreSaidToBe(t *testing.T) {
	for name, c := range map[string]struct {
		tensors shapes
		want    error
		words   string
	}{
		"no text encoder": {shapes{unet: {2}, vae: {2}}, diffusion.ErrPart,
			"without its text encoder"},
		"no VAE": {shapes{unet: {2}, clip: {2, 768}}, diffusion.ErrPart, "with --vae"},
		"flux alone": {shapes{"double_blocks.0.img_attn.qkv.weight": {2}}, diffusion.ErrPart,
			"flux alone; give its other files with --clip_l and --t5xxl and --vae"},
		"VAE alone": {shapes{vae: {2}}, diffusion.ErrPart, "VAE"},
		"LoRA": {shapes{"lora_unet_down_blocks_0.lora_up.weight": {2}},
			diffusion.ErrPart, "LoRA"},
		"video": {shapes{dit + "blocks.0.cross_attn.norm_k.weight": {2}},
			diffusion.ErrUnsupported, "videos"},
		"language model": {shapes{"model.layers.0.self_attn.q_proj.weight": {2}},
			diffusion.ErrNotDiffusion, ""},
		"empty": {shapes{}, diffusion.ErrNotDiffusion, ""},
	} {
		_, err := diffusion.Inspect(write(t, "x.safetensors", safetensorsBytes(t, c.tensors)), nil)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string]string{"text": "hello, this is no model at all",
		"nothing": "", "a bracket by chance": "\xa0\x01\xff\x77\x12\xee\x81\x99{ and more"} {
		if _, err := diffusion.Inspect(write(t, "x", []byte(data)), nil); !errors.Is(err,
			diffusion.ErrNotDiffusion) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := diffusion.Inspect(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err,
		os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(safetensorsBytes(f, shapes{unet: {4}, vae: {2}, clip: {1, 768}}))
	f.Add([]byte("GGUF\x03\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := diffusion.Inspect(write(t, "x", data), nil)
		if err == nil && (d.Family == "" || d.Side%d.Multiple != 0 || d.Type == "") {
			t.Errorf("%+v", *d)
		}
	})
}
