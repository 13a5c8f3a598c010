package convert

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
)

// qwenImageSize is the size of pictures that llama.cpp's converter writes for towers that take any:
// 40 patches of 14 pixels.
const qwenImageSize = 560

// planFrames plans a patch embedding over two frames as one over each.
func (o *output) planFrames(v *hf.Vision) {
	side := v.PatchSize
	frame := side * side
	for i, name := range []string{"v.patch_embd.weight", "v.patch_embd.weight.1"} {
		p := part{start: i * frame, run: frame, step: 2 * frame, count: 3 * v.Hidden}
		o.addPart(name, "vision.patch_embed.proj.weight", p, []int{v.Hidden, 3, 2, side, side},
			[]int{v.Hidden, 3, side, side}).typ = o.patchType()
	}
}

// planQwen plans the towers of Qwen2-VL and Qwen2.5-VL.
func (o *output) planQwen(v *hf.Vision) {
	gated := v.Family == hf.Qwen25VL // which has RMS norms besides
	o.planFrames(v)
	for i := range v.Layers {
		to, from := fmt.Sprintf("v.blk.%d.", i), fmt.Sprintf("vision.blocks.%d.", i)
		o.norm(to+"ln1", from+"norm1", v.Hidden, !gated)
		o.norm(to+"ln2", from+"norm2", v.Hidden, !gated)
		o.thirds(to, from+"attn.qkv", v.Hidden, v.Hidden)
		o.layer(to+"attn_out", from+"attn.proj", v.Hidden, v.Hidden, true)
		if gated {
			o.layer(to+"ffn_gate", from+"mlp.gate_proj", v.FF, v.Hidden, true)
			o.layer(to+"ffn_up", from+"mlp.up_proj", v.FF, v.Hidden, true)
			o.layer(to+"ffn_down", from+"mlp.down_proj", v.Hidden, v.FF, true)
		} else {
			o.layer(to+"ffn_up", from+"mlp.fc1", v.FF, v.Hidden, true)
			o.layer(to+"ffn_down", from+"mlp.fc2", v.Hidden, v.FF, true)
		}
	}
	o.norm("v.post_ln", "vision.merger.ln_q", v.Hidden, !gated)
	o.planMerger("mm.0", "mm.2", "vision.merger.mlp.0", "vision.merger.mlp.2", v)
}

// planQwen3 plans the tower of Qwen3-VL.
func (o *output) planQwen3(v *hf.Vision) {
	o.planFrames(v)
	o.add("v.patch_embd.bias", "vision.patch_embed.proj.bias", v.Hidden)
	side := v.ImageSize / v.PatchSize
	o.add("v.position_embd.weight", "vision.pos_embed.weight", side*side, v.Hidden).typ = gguf.F32
	for i := range v.Layers {
		to, from := fmt.Sprintf("v.blk.%d.", i), fmt.Sprintf("vision.blocks.%d.", i)
		o.norm(to+"ln1", from+"norm1", v.Hidden, true)
		o.norm(to+"ln2", from+"norm2", v.Hidden, true)
		o.layer(to+"attn_qkv", from+"attn.qkv", 3*v.Hidden, v.Hidden, true)
		o.layer(to+"attn_out", from+"attn.proj", v.Hidden, v.Hidden, true)
		o.layer(to+"ffn_up", from+"mlp.linear_fc1", v.FF, v.Hidden, true)
		o.layer(to+"ffn_down", from+"mlp.linear_fc2", v.Hidden, v.FF, true)
	}
	o.norm("v.post_ln", "vision.merger.norm", v.Hidden, true)
	o.planMerger("mm.0", "mm.2", "vision.merger.linear_fc1", "vision.merger.linear_fc2", v)
	for i, block := range v.Deepstack {
		to, from := fmt.Sprintf("v.deepstack.%d.", block),
			fmt.Sprintf("vision.deepstack_merger_list.%d.", i)
		o.norm(to+"norm", from+"norm", v.Hidden*v.ScaleFactor*v.ScaleFactor, true)
		o.planMerger(to+"fc1", to+"fc2", from+"linear_fc1", from+"linear_fc2", v)
	}
}

// planMerger plans the two layers of a merger.
func (o *output) planMerger(to1, to2, from1, from2 string, v *hf.Vision) {
	merged := v.Hidden * v.ScaleFactor * v.ScaleFactor
	o.layer(to1, from1, merged, merged, true)
	o.layer(to2, from2, o.config.Text.Hidden, merged, true)
}

func (o *output) qwenMetadata(v *hf.Vision, set func(key string, value any)) {
	merge := v.Family == hf.Qwen3VL || v.ScaleFactor != 2 // the default
	least, most := 56*56, 12845056                        // the layout's defaults
	switch v.Family {
	case hf.Qwen2VL:
		set("projector_type", "qwen2vl_merger")
		// In the place of the width of inner rows, which readers take from the tensors.
		set("vision.feed_forward_length", uint32(o.config.Text.Hidden))
	case hf.Qwen25VL:
		set("projector_type", "qwen2.5vl_merger")
		set("use_silu", true)
		set("vision.n_wa_pattern", uint32(v.FullEvery))
	case hf.Qwen3VL:
		set("projector_type", "qwen3vl_merger")
		set("use_gelu", true)
		layers := make([]bool, v.Layers)
		for i := range layers {
			layers[i] = slices.Contains(v.Deepstack, i)
		}
		set("vision.is_deepstack_layers", layers)
		least, most = 256*256, 4096*4096
	}
	if v.Family != hf.Qwen3VL {
		set("vision.image_size", uint32(qwenImageSize))
	}
	if merge {
		set("vision.spatial_merge_size", uint32(v.ScaleFactor))
	}
	o.pixelBounds(least, most, set)
}

// pixelBounds sets the least and the most pixels of a picture where the folder's processor has
// others than the layout.
func (o *output) pixelBounds(least, most int, set func(key string, value any)) {
	p := o.preprocessor
	own, ownMost := cmp.Or(p.MinPixels, least), cmp.Or(p.MaxPixels, most)
	if own != least || ownMost != most {
		set("vision.image_min_pixels", uint32(own))
		set("vision.image_max_pixels", uint32(ownMost))
	}
}
