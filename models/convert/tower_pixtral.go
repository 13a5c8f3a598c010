package convert

import (
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/models/hf"
)

// planPixtral plans the towers and projectors of Pixtral and Mistral Small 3. The embedding of
// [IMG_BREAK], which ends a row of a picture, goes along with the tower. llama.cpp's converter
// leaves it out of folders that name the language model as version 5 of transformers does.
func (o *output) planPixtral(v *hf.Vision) {
	n, width, bias := v.Hidden, o.config.Text.Hidden, !v.NoProjectorBias
	o.planPatches(v, "vision.patch_conv.weight")
	o.norm("v.pre_ln", "vision.ln_pre", n, false)
	for i := range v.Layers {
		to, from := fmt.Sprintf("v.blk.%d.", i), fmt.Sprintf("vision.transformer.layers.%d.", i)
		o.norm(to+"ln1", from+"attention_norm", n, false)
		o.norm(to+"ln2", from+"ffn_norm", n, false)
		for _, name := range []string{"q", "k"} {
			o.sort(o.layer(to+"attn_"+name, from+"attention."+name+"_proj", n, n, false),
				n, interleaved(n/v.Heads))
		}
		o.layer(to+"attn_v", from+"attention.v_proj", n, n, false)
		o.layer(to+"attn_out", from+"attention.o_proj", n, n, false)
		o.layer(to+"ffn_gate", from+"feed_forward.gate_proj", v.FF, n, false)
		o.layer(to+"ffn_up", from+"feed_forward.up_proj", v.FF, n, false)
		o.layer(to+"ffn_down", from+"feed_forward.down_proj", n, v.FF, false)
	}
	if v.Family == hf.Mistral3 {
		o.norm("mm.input_norm", "projector.norm", n, false)
		o.layer("mm.patch_merger", "projector.patch_merger.merging_layer", n,
			n*v.ScaleFactor*v.ScaleFactor, false).typ = o.patchType()
	}
	o.layer("mm.1", "projector.linear_1", width, n, bias)
	o.layer("mm.2", "projector.linear_2", width, width, bias)
	id := slices.Index(o.tokenizer.Tokens, imageBreak)
	if id < 0 {
		o.fail("%s: the tokenizer has no token %s, which ends the rows of pictures", o.dir,
			imageBreak)
		return
	}
	o.addPart("v.token_embd.img_break", "text.embed_tokens.weight",
		part{start: id * width, run: width, step: width, count: 1}, []int{o.config.Text.Vocab,
			width}, []int{width})
}

// imageBreak is the token between the rows of Pixtral's pictures.
const imageBreak = "[IMG_BREAK]"

func (o *output) pixtralMetadata(v *hf.Vision, set func(key string, value any)) {
	set("projector_type", "pixtral")
	set("use_"+v.Act, true)
	if v.Family == hf.Mistral3 {
		set("vision.spatial_merge_size", uint32(v.ScaleFactor))
	}
}
