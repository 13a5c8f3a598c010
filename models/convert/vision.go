package convert

import (
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
)

// depth is the number of the tower's blocks that are read: LLaVA leaves out the
// last one or more.
func depth(v *hf.Vision) int {
	if len(v.Features) == 0 {
		return v.Layers
	}
	return slices.Max(v.Features)
}

// planVision plans the vision tower and the projector.
func (o *output) planVision() {
	v := o.config.Vision
	o.metadata = o.visionMetadata
	if depth(v) == 0 {
		o.fail("%s: config.json: vision_feature_layer names the embedding, and no block of the tower", o.dir)
		return
	}
	grid := v.ImageSize / v.PatchSize
	patch := o.add("v.patch_embd.weight", "vision.embeddings.patch_embedding.weight", v.Hidden, 3, v.PatchSize, v.PatchSize)
	patch.typ = gguf.F32
	if o.typ == gguf.F16 && v.Features != nil {
		// As llama.cpp's converter has it for other towers than Idefics 3's.
		patch.typ = gguf.F16
	}
	positions := grid * grid
	if v.Features != nil {
		positions++
		o.add("v.class_embd", "vision.embeddings.class_embedding", v.Hidden)
		o.pair("v.pre_ln", "vision.pre_layrnorm", v.Hidden)
	} else {
		o.add("v.patch_embd.bias", "vision.embeddings.patch_embedding.bias", v.Hidden)
		o.pair("v.post_ln", "vision.post_layernorm", v.Hidden)
	}
	o.add("v.position_embd.weight", "vision.embeddings.position_embedding.weight", positions, v.Hidden).typ = gguf.F32
	for i := range depth(v) {
		o.planBlock(v, fmt.Sprintf("v.blk.%d.", i), fmt.Sprintf("vision.encoder.layers.%d.", i))
	}
	width := o.config.Text.Hidden
	if v.Features == nil {
		o.add("mm.model.fc.weight", "connector.modality_projection.proj.weight", width, v.Hidden*v.ScaleFactor*v.ScaleFactor)
		return
	}
	if v.NoProjectorBias {
		// Engines want the biases to be there.
		o.withoutBias("mm.0", "projector.linear_1", width, v.Hidden*len(v.Features))
		o.withoutBias("mm.2", "projector.linear_2", width, width)
	} else {
		o.pair("mm.0", "projector.linear_1", width, v.Hidden*len(v.Features))
		o.pair("mm.2", "projector.linear_2", width, width)
	}
	if v.Pinpoints != nil {
		o.add("v.image_newline", "image_newline", width)
	}
}

func (o *output) planBlock(v *hf.Vision, to, from string) {
	o.pair(to+"ln1", from+"layer_norm1", v.Hidden)
	o.pair(to+"ln2", from+"layer_norm2", v.Hidden)
	for _, part := range []struct{ to, from string }{{"attn_q", "q_proj"}, {"attn_k", "k_proj"}, {"attn_v", "v_proj"}, {"attn_out", "out_proj"}} {
		o.pair(to+part.to, from+"self_attn."+part.from, v.Hidden, v.Hidden)
	}
	o.pair(to+"ffn_up", from+"mlp.fc1", v.FF, v.Hidden)
	o.pair(to+"ffn_down", from+"mlp.fc2", v.Hidden, v.FF)
}

// withoutBias plans a matrix whose layer adds no bias, and a bias of zeros.
func (o *output) withoutBias(name, from string, out, in int) {
	o.add(name+".weight", from+".weight", out, in)
	o.tensors = append(o.tensors, &tensor{name: name + ".bias", typ: gguf.F32, dims: []uint64{uint64(out)}, values: make([]float32, out)})
}
