package hf

import (
	"encoding/json"
	"math"
)

// The normalisations that image processors take where a file names none: half those of Idefics3 and
// Gemma 3, CLIP's all others.
var (
	clipMean = [3]float64{0.48145466, 0.4578275, 0.40821073}
	clipStd  = [3]float64{0.26862954, 0.26130258, 0.27577711}
	half     = [3]float64{0.5, 0.5, 0.5}
)

// normalisation reads mean and deviation, and folds the scale of samples into them: (x*f - m)/s,
// where the engine computes (x/255 - mean)/std.
func (o object) normalisation(p *Preprocessor, c *Config) {
	if p.Mean, p.Std = clipMean, clipStd; c.Vision.Family == Idefics3 || c.Vision.Family == Gemma3 {
		p.Mean, p.Std = half, half
	}
	// Gemma 4's tower takes samples from -1 to 1 and makes them itself.
	normalize := c.Vision.Family != Gemma4
	o.triple("image_mean", &p.Mean)
	o.triple("image_std", &p.Std)
	for _, s := range p.Std {
		if *o.err == nil && !(s >= 1e-6 && s <= 1e3) {
			o.fail("image_std", "%w: %v", ErrInvalid, p.Std)
		}
	}
	// The mean is also the colour that LLaVA 1.5 pads with, so there it must stay what it is.
	padded := c.Vision.Family == LLaVA && c.Architecture == "LlavaForConditionalGeneration" &&
		!p.Crop
	if !o.boolean("do_normalize", normalize) {
		if padded {
			o.fail("do_normalize", "%w: false, where pictures are padded with the mean",
				ErrUnsupported)
		}
		p.Mean, p.Std = [3]float64{}, [3]float64{1, 1, 1}
	}
	factor := o.float("rescale_factor", 1.0/255)
	key := "rescale_factor"
	if !o.boolean("do_rescale", true) {
		factor, key = 1, "do_rescale"
	}
	scale := factor * 255
	switch {
	case math.Abs(scale-1) < 1e-6:
		return
	case !(scale >= 1e-3 && scale <= 1e3):
		o.fail(key, "%w: %v", ErrInvalid, factor)
		return
	case padded:
		o.fail(key, "%w: %v, where pictures are padded with the mean of samples from 0 to 1",
			ErrUnsupported, factor)
	}
	for i := range 3 {
		p.Mean[i], p.Std[i] = p.Mean[i]/scale, p.Std[i]/scale
	}
}

// triple reads three numbers, or one for all three; without the key, dst stays.
func (o object) triple(key string, dst *[3]float64) {
	if _, ok := o.values[key].(json.Number); ok {
		v := o.float(key, 0)
		*dst = [3]float64{v, v, v}
		return
	}
	if v := o.floats(key, 3); v != nil {
		copy(dst[:], v)
	}
}
