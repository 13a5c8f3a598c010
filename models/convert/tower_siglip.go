package convert

import (
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
	"github.com/eyelet-engine/eyelet/models/layout"
)

// planIdefics3 plans the tower and the connector of Idefics3 and SmolVLM.
func (o *output) planIdefics3(v *hf.Vision) {
	o.planSigLIP(v)
	o.add("mm.model.fc.weight", "connector.modality_projection.proj.weight", o.config.Text.Hidden,
		v.Hidden*v.ScaleFactor*v.ScaleFactor)
}

func (o *output) idefics3Metadata(v *hf.Vision, set func(key string, value any)) {
	size := v.ImageSize
	if o.preprocessor.LongestEdge != 0 {
		size = o.preprocessor.LongestEdge
	}
	set("projector_type", "idefics3")
	set("vision.projector.scale_factor", uint32(v.ScaleFactor))
	set("vision.preproc_image_size", uint32(size))
	set("use_gelu", true)
	if o.preprocessor.Whole {
		o.w.Set(layout.SplittingKey, false)
	}
}

// planGemma3 plans Gemma 3's tower and projector. Its norm is stored less 1, and its matrix the
// other way round than others; libmtmd turns it round, which it can with halves.
func (o *output) planGemma3(v *hf.Vision) {
	o.planSigLIP(v)
	o.add("mm.input_projection.weight", "projector.mm_input_projection_weight", v.Hidden,
		o.config.Text.Hidden).typ = gguf.F16
	o.add("mm.soft_emb_norm.weight", "projector.mm_soft_emb_norm.weight", v.Hidden).plus = 1
}

func (o *output) gemma3Metadata(v *hf.Vision, set func(key string, value any)) {
	set("projector_type", "gemma3")
	set("use_gelu", true)
	if v.ScaleFactor != 4 { // the default
		set("vision.projector.scale_factor", uint32(v.ScaleFactor))
	}
}
