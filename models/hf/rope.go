package hf

import (
	"math"
	"strings"
)

// rope reads both forms: rope_parameters, and rope_theta with rope_scaling, as
// they were called before version 5 of transformers.
func (o object) rope(theta float64, model string) Rope {
	p := o.object("rope_parameters")
	if p.values == nil {
		p = o.object("rope_scaling")
	}
	local, kind := 0.0, "default"
	if strings.HasPrefix(model, "gemma") { // whose two kinds of layers have their own positions
		inner := p.object("sliding_attention")
		local = inner.float("rope_theta", o.float("rope_local_base_freq", 10000))
		inner.want("rope_type", "default")
		if !(local > 0) || math.IsInf(local, 0) {
			o.fail("rope_local_base_freq", "%w: %v", ErrInvalid, local)
		}
		if p.has("full_attention") {
			p = p.object("full_attention")
		}
	}
	if model == "gemma4" && p.values == nil {
		kind = "proportional"
	}
	r := Rope{
		LocalTheta:     local,
		Theta:          p.float("rope_theta", o.float("rope_theta", theta)),
		Type:           p.str("rope_type", p.str("type", kind)),
		Factor:         p.float("factor", 8),
		LowFreqFactor:  p.float("low_freq_factor", 1),
		HighFreqFactor: p.float("high_freq_factor", 4),
		OriginalContext: p.integer("original_max_position_embeddings",
			o.integer("original_max_position_embeddings", 8192, 1, maxContext), 1, maxContext),
	}
	if !(r.Theta > 0) || math.IsInf(r.Theta, 0) {
		p.fail("rope_theta", "%w: %v", ErrInvalid, r.Theta)
	}
	if factor := r.Factor; !(factor > 0) || math.IsInf(factor, 0) {
		p.fail("factor", "%w: %v", ErrInvalid, factor)
	}
	o.partial(&r, p, model)
	if model == "qwen2_vl" || model == "qwen3_vl" || model == "glm4v" {
		r.Sections = p.sections()
		p.wantSwitch("mrope_interleaved", model == "qwen3_vl")
		if r.Type == "mrope" { // as version 4 of transformers calls it
			r.Type = "default"
		}
	}
	o.scaled(&r, p)
	return r
}

// scaled checks how positions beyond those of the training are scaled, and reads what that takes; p
// has the positions' numbers.
func (o object) scaled(r *Rope, p object) {
	switch r.Type {
	case "default":
	case "dynamic":
		// Up to max_position_embeddings, which bounds the context here, transformers'
		// _compute_dynamic_ntk_parameters changes nothing.
		r.Type = "default"
	case "linear", "yarn":
		if !p.has("factor") {
			p.fail("factor", "%w: it is missing", ErrInvalid)
		}
		if r.Type == "yarn" && !p.has("original_max_position_embeddings") &&
			!o.has("original_max_position_embeddings") {
			p.fail("original_max_position_embeddings", "%w: it is missing", ErrInvalid)
		}
		r.YaRN = make(map[string]float64)
		for _, key := range []string{"attention_factor", "beta_fast", "beta_slow"} {
			if p.has(key) {
				r.YaRN[key] = p.float(key, 0)
			}
		}
	case "llama3":
		if !(r.LowFreqFactor > 0 && r.HighFreqFactor > r.LowFreqFactor) {
			p.fail("high_freq_factor", "%w: factors of %v to %v", ErrInvalid, r.LowFreqFactor,
				r.HighFreqFactor)
		}
	default:
		p.fail("rope_type",
			"%w: positions scaled as %s; known are default, dynamic, linear, yarn and llama3",
			ErrUnsupported, brief(r.Type))
	}
}

// partial reads how much of a head rotates, in models where that is not all of it; p has the
// positions' numbers.
func (o object) partial(r *Rope, p object, model string) {
	const key = "partial_rotary_factor"
	switch model {
	case "glm4v":
		r.Partial = p.float(key, o.float(key, 0.5))
	case "gemma4":
		r.Partial = 0.25 // Gemma4TextConfig's default
		if p.values != nil {
			r.Partial = p.float(key, 1)
		}
		if r.Type != "proportional" {
			p.fail("rope_type", "%w: %s; proportional is known", ErrUnsupported, brief(r.Type))
		}
		r.Type = "default"
	default:
		return
	}
	if !(r.Partial > 0 && r.Partial <= 1) {
		p.fail(key, "%w: %v", ErrInvalid, r.Partial)
	}
}

// sections reads mrope_section, three numbers.
func (o object) sections() []int {
	const key = "mrope_section"
	list := o.list(key)
	out := make([]int, len(list))
	for i, x := range list {
		n, ok := wholeNumber(x)
		if out[i] = n; !ok || n < 0 || n > maxWidth || len(list) != 3 {
			list = nil
			break
		}
	}
	if len(list) == 0 {
		o.fail(key, "%w: it is missing, or not three numbers of pairs", ErrInvalid)
		return nil
	}
	return out
}
