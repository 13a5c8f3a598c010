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

// planLLaVA plans CLIP's tower (Radford et al. 2021) and LLaVA's projector, which llama.cpp's
// converter refuses.
func (o *output) planLLaVA(v *hf.Vision) {
	if depth(v) == 0 {
		o.fail("%s: config.json: vision_feature_layer names the embedding, and no block of the tower", o.dir)
		return
	}
	grid := v.ImageSize / v.PatchSize
	o.planPatches(v, "vision.embeddings.patch_embedding.weight")
	o.add("v.class_embd", "vision.embeddings.class_embedding", v.Hidden)
	o.norm("v.pre_ln", "vision.pre_layrnorm", v.Hidden, true)
	o.add("v.position_embd.weight", "vision.embeddings.position_embedding.weight", grid*grid+1,
		v.Hidden).typ = gguf.F32
	for i := range depth(v) {
		o.planBlock(v, fmt.Sprintf("v.blk.%d.", i), fmt.Sprintf("vision.encoder.layers.%d.", i))
	}
	width := o.config.Text.Hidden
	o.layer("mm.0", "projector.linear_1", width, v.Hidden*len(v.Features), !v.NoProjectorBias)
	o.layer("mm.2", "projector.linear_2", width, width, !v.NoProjectorBias)
	if v.NoProjectorBias {
		// Engines want the biases to be there.
		for _, name := range []string{"mm.0.bias", "mm.2.bias"} {
			o.tensors = append(o.tensors, &tensor{name: name, typ: gguf.F32,
				dims: []uint64{uint64(width)}, values: make([]float32, width)})
		}
	}
	if v.Pinpoints != nil {
		o.add("v.image_newline", "image_newline", width)
	}
}

func (o *output) llavaMetadata(v *hf.Vision, set func(key string, value any)) {
	set("projector_type", "mlp")
	set("use_gelu", v.Act == "gelu")
	set("use_silu", v.Act == "silu")
	// Without this key libmtmd would leave out the last of the blocks that are stored.
	set("vision.feature_layer", int32s(v.Features))
	if o.preprocessor.Crop {
		set("vision.image_aspect_ratio", "crop")
	}
	if v.Pinpoints != nil {
		set("vision.image_aspect_ratio", "anyres")
		set("vision.mm_patch_merge_type", "spatial_unpad")
		set("vision.image_grid_pinpoints", int32s(v.Pinpoints))
	}
}
