package convert

import (
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/models/hf"
	"github.com/eyelet-engine/eyelet/models/safetensors"
)

// prefixes are the ways in which folders begin the names of tensors, and what
// this package calls them. Versions of transformers differ: LLaVA's language
// model is language_model.model.… up to 4.51 and in files since, and
// model.language_model.… in some that were saved in between.
var prefixes = []struct{ from, to string }{
	{"language_model.model.", "text."},
	{"language_model.lm_head.", "lm_head."},
	{"model.language_model.", "text."},
	{"model.text_model.", "text."},
	{"visual.", "vision."},
	{"model.visual.", "vision."},
	{"vision_tower.vision_model.", "vision."},
	{"model.vision_tower.vision_model.", "vision."},
	{"vision_tower.", "vision."},
	{"model.vision_tower.", "vision."},
	{"model.vision_model.", "vision."},
	{"multi_modal_projector.", "projector."},
	{"model.multi_modal_projector.", "projector."},
	{"model.connector.", "connector."},
	{"model.embed_vision.", "projector."},
	{"model.audio_tower.", "audio."},
	{"model.embed_audio.", "audio."},
	{"model.image_newline", "image_newline"},
	{"model.", "text."},
}

// canonical is this package's name of a tensor: text., vision., projector.,
// connector. and what follows, lm_head.weight, image_newline.
func canonical(name string) string {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(name, p.from); ok {
			return p.to + rest
		}
	}
	return name
}

// spoken is a canonical name in words that do not depend on the folder's own.
func spoken(name string) string {
	part, rest, ok := strings.Cut(name, ".")
	whose := map[string]string{"text": "language model", "vision": "vision tower",
		"projector": "projector", "connector": "connector"}[part]
	if !ok || whose == "" {
		return name
	}
	return rest + " of the " + whose
}

// index finds the tensors by their canonical names.
func (s *source) index() error {
	s.names, s.used = make(map[string]*safetensors.Tensor), make(map[*safetensors.Tensor]bool)
	for _, t := range s.weights.Tensors() {
		name := canonical(t.Name)
		if other, ok := s.names[name]; ok {
			return fmt.Errorf("convert: %w: %s: tensors %q and %q are the same part of the model",
				ErrWeights, t.Path(), other.Name, t.Name)
		}
		s.names[name] = t
	}
	return nil
}

// ignored tells the tensors that a model can do without: tables that old
// versions of transformers saved and that are computed, and what of the tower
// no one reads.
func (s *source) ignored(name string) bool {
	for _, suffix := range []string{".rotary_emb.inv_freq", ".attention.bias",
		".attention.masked_bias", ".position_ids"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	v := s.config.Vision
	switch {
	case v == nil:
		return false
	case v.Family == hf.Gemma3:
		return strings.HasPrefix(name, "vision.head.") // SigLIP's own, over all patches
	case v.Family == hf.Gemma4:
		return strings.HasPrefix(name, "audio.") // see [Result.Deaf]
	case v.Family != hf.LLaVA:
		return false
	}
	if strings.HasPrefix(name, "vision.post_layernorm.") {
		return true // of the class token
	}
	for i := depth(v); i < v.Layers; i++ {
		if strings.HasPrefix(name, fmt.Sprintf("vision.encoder.layers.%d.", i)) {
			return true
		}
	}
	return false
}

// leftOver finds a tensor that is no part of the model as it was planned, which
// would be computed wrongly without it.
func (s *source) leftOver() error {
	for _, t := range s.weights.Tensors() {
		if !s.used[t] && !s.ignored(canonical(t.Name)) {
			return fmt.Errorf("convert: %w: %s: tensor %q is no part of a %v as this program knows it", ErrWeights, t.Path(), t.Name, s.config)
		}
	}
	return nil
}
