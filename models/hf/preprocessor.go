package hf

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// Preprocessor is what the image processor's configuration tells, as far as a GGUF file can say it.
type Preprocessor struct {
	// Mean and Std are of the normalisation of samples on the scale 0 to 1, with any other scale and the lack of a normalisation
	// folded in.
	Mean, Std   [3]float64
	Whole       bool // pictures of Idefics3 are not cut into tiles: do_image_splitting is false
	LongestEdge int  // size.longest_edge of Idefics3 in pixels, 0 if there is none
	Crop        bool // of LLaVA 1.5: the middle of the picture is cut out, where it would be padded to a square else
}

// ReadPreprocessor reads preprocessor_config.json and processor_config.json,
// whose word counts where both speak, for a model whose configuration is c. A step that would change numbers and
// that the program cannot take is an [ErrUnsupported] that names its key.
func ReadPreprocessor(dir string, c *Config) (*Preprocessor, error) {
	const first, second = "preprocessor_config.json", "processor_config.json"
	merged := object{where: filepath.Join(dir, first), values: make(map[string]any), err: new(error)}
	found := false
	for _, name := range []string{first, second} {
		data, err := optional(dir, name, maxConfig)
		if err != nil {
			return nil, err
		}
		o, err := parseObject(filepath.Join(dir, name), data)
		if err != nil {
			return nil, err
		}
		inner := o.object("image_processor")
		if *o.err != nil {
			return nil, *o.err
		}
		for _, from := range []object{o, inner} {
			for key, value := range from.values {
				merged.values[key] = value
			}
		}
		found = found || data != nil
	}
	if !found {
		return nil, fmt.Errorf("hf: %s has neither %s nor %s: %w", dir, first, second, fs.ErrNotExist)
	}
	return merged.preprocessor(c)
}

// processorSteps are the steps of image processors that are understood or change nothing for one RGB picture. Idefics3's do_pad and that of LLaVA 1.6
// fill up batches.
var processorSteps = []string{
	"do_resize", "do_rescale", "do_normalize", "do_convert_rgb", "do_center_crop", "do_pad", "do_image_splitting",
}

// Filters of Pillow, as image processors number them.
const (
	filterLanczos = 1
	filterBicubic = 3
)

func (o object) preprocessor(c *Config) (*Preprocessor, error) {
	p, v := new(Preprocessor), c.Vision
	o.checkSteps(c)
	if strings.HasPrefix(c.Architecture, "Llava") {
		o.llavaProcessor(p, c)
	} else {
		o.idefics3Processor(p, v)
	}
	o.normalisation(p, c)
	return p, *o.err
}

// checkSteps refuses a processor of another kind, and steps that the rest does not look at.
func (o object) checkSteps(c *Config) {
	kind := strings.TrimSuffix(strings.TrimSuffix(o.str("image_processor_type", o.str("feature_extractor_type", "")), "Fast"), "Pil")
	known := []string{"", "Idefics3ImageProcessor", "SmolVLMImageProcessor"}
	switch c.Architecture {
	case "LlavaForConditionalGeneration":
		known = []string{"", "CLIPImageProcessor", "CLIPFeatureExtractor", "LlavaImageProcessor"}
	case "LlavaNextForConditionalGeneration":
		known = []string{"", "LlavaNextImageProcessor"}
	}
	if !slices.Contains(known, kind) {
		o.fail("image_processor_type", "%w: %s for a %s", ErrUnsupported, brief(kind), c.Architecture)
	}
	for key, value := range o.values {
		if on, ok := value.(bool); ok && on && (strings.HasPrefix(key, "do_") && !slices.Contains(processorSteps, key) || key == "offset") {
			o.fail(key, "%w: an unknown step", ErrUnsupported)
		}
	}
	if !o.boolean("do_resize", true) {
		o.fail("do_resize", "%w: false; pictures are always resized", ErrUnsupported)
	}
	o.boolean("do_convert_rgb", true) // pictures are RGB here
	if n := o.integer("num_channels", 3, 1, maxWidth); n != 3 {
		o.fail("num_channels", "%w: %d; pictures have 3 channels here", ErrUnsupported, n)
	}
}

// wantFilter refuses another filter of resampling than the engine's.
func (o object) wantFilter(want int, name string) {
	if o.has("resample") {
		if n, ok := wholeNumber(o.values["resample"]); !ok || n != want {
			o.fail("resample", "%w: %s; pictures are resampled with %d (%s)", ErrUnsupported, brief(o.values["resample"]), want, name)
		}
	}
}

// llavaProcessor reads what is LLaVA's: CLIPImageProcessor, LlavaImageProcessor and LlavaNextImageProcessor of transformers 5.24.
func (o object) llavaProcessor(p *Preprocessor, c *Config) {
	v := c.Vision
	o.wantFilter(filterBicubic, "bicubic")
	tiles := c.Architecture == "LlavaNextForConditionalGeneration"
	crops := o.boolean("do_center_crop", true)
	size := o.size("size", false)
	for _, side := range []int{size.Shortest, size.Height, size.Width} {
		if side != 0 && side != v.ImageSize {
			o.fail("size", "%w: %s, where the tower takes pictures of %d", ErrUnsupported, brief(o.values["size"]), v.ImageSize)
		}
	}
	if size.Longest != 0 {
		o.fail("size", "%w: %s; a shortest_edge, or height and width, is known", ErrUnsupported, brief(o.values["size"]))
	}
	if crop := o.size("crop_size", true); crops && (crop.Height != 0 && crop.Height != v.ImageSize || crop.Width != 0 && crop.Width != v.ImageSize || crop.Shortest|crop.Longest != 0) {
		o.fail("crop_size", "%w: %s, where the tower takes pictures of %d", ErrUnsupported, brief(o.values["crop_size"]), v.ImageSize)
	}
	if s := o.str("vision_feature_select_strategy", "default"); s != "default" {
		o.fail("vision_feature_select_strategy", "%w: %s: only towers whose class token is dropped are known", ErrUnsupported, brief(s))
	}
	if n := o.integer("patch_size", v.PatchSize, 1, maxSide); n != v.PatchSize {
		o.fail("patch_size", "%w: %d, where config.json says %d", ErrInvalid, n, v.PatchSize)
	}
	pads := o.boolean("do_pad", true)
	switch {
	case tiles:
		o.checkPinpoints(v)
		return
	case size.Height != 0 && !pads, size.Height != 0 && !o.has("do_pad"):
		o.fail("size", "%w: %s: pictures would be stretched; a shortest_edge is known", ErrUnsupported, brief(o.values["size"]))
	}
	// Without a word about padding, pictures are padded as LLaVA was trained, not cropped as its converted files say.
	if p.Crop = !pads; p.Crop && !crops {
		o.fail("do_pad", "%w: false with do_center_crop false leaves pictures that are no squares", ErrUnsupported)
	}
}

// checkPinpoints wants the processor to cut pictures as the model takes them.
func (o object) checkPinpoints(v *Vision) {
	if !o.has("image_grid_pinpoints") {
		return
	}
	own := new(Vision)
	o.pinpoints(own)
	if *o.err == nil && !slices.Equal(own.Pinpoints, v.Pinpoints) {
		o.fail("image_grid_pinpoints", "%w: not those of config.json", ErrInvalid)
	}
}

// idefics3Processor reads what is Idefics3's and SmolVLM's: Idefics3ImageProcessor and SmolVLMImageProcessor of transformers 5.24.
func (o object) idefics3Processor(p *Preprocessor, v *Vision) {
	o.wantFilter(filterLanczos, "Lanczos")
	p.Whole = !o.boolean("do_image_splitting", true)
	if o.boolean("do_center_crop", false) {
		o.fail("do_center_crop", "%w: true", ErrUnsupported)
	}
	size := o.size("size", false)
	if size.Height|size.Width|size.Shortest != 0 {
		o.fail("size", "%w: %s; a longest_edge is known", ErrUnsupported, brief(o.values["size"]))
	}
	p.LongestEdge = size.Longest
	if tile := o.size("max_image_size", false); tile != (sides{}) && tile != (sides{Longest: v.ImageSize}) {
		o.fail("max_image_size", "%w: %s, where the tower takes tiles of %d", ErrUnsupported, brief(o.values["max_image_size"]), v.ImageSize)
	}
	grid := v.ImageSize / v.PatchSize / max(v.ScaleFactor, 1)
	if n := o.integer("image_seq_len", grid*grid, 1, maxVocab); n != grid*grid {
		o.fail("image_seq_len", "%w: %d tokens a tile, where config.json makes %d", ErrInvalid, n, grid*grid)
	}
}

// sides is a size in any of the shapes that image processors write; 0 is what it does not say.
type sides struct{ Shortest, Longest, Height, Width int }

// size reads a size: an object of edges or sides, a list of height and width, or one number, which is a square's side or the
// shorter edge (get_size_dict of transformers).
func (o object) size(key string, square bool) (s sides) {
	switch v := o.values[key].(type) {
	case nil:
	case map[string]any:
		inner := object{where: o.where + ": " + key, values: v, err: o.err}
		s = sides{inner.integer("shortest_edge", 0, 1, maxSide), inner.integer("longest_edge", 0, 1, maxSide), inner.integer("height", 0, 1, maxSide), inner.integer("width", 0, 1, maxSide)}
		for name := range v {
			if !slices.Contains([]string{"shortest_edge", "longest_edge", "height", "width"}, name) && inner.has(name) {
				inner.fail(name, "%w: it is no side that is known", ErrUnsupported)
			}
		}
		if (s.Height == 0) != (s.Width == 0) {
			o.fail(key, "%w: %s has one side of two", ErrInvalid, brief(v))
		}
	case []any:
		height, ok := 0, len(v) == 2
		if ok {
			height, ok = wholeNumber(v[0])
		}
		width, widthOK := 0, false
		if ok {
			width, widthOK = wholeNumber(v[1])
		}
		if !ok || !widthOK || height < 1 || width < 1 || height > maxSide || width > maxSide {
			o.fail(key, "%w: %s is no height and width", ErrInvalid, brief(v))
			return s
		}
		s.Height, s.Width = height, width
	default:
		n := o.integer(key, 0, 1, maxSide)
		if square {
			return sides{Height: n, Width: n}
		}
		s.Shortest = n
	}
	return s
}

// The normalisations that CLIPImageProcessor and Idefics3ImageProcessor take where a file names none.
var (
	clipMean = [3]float64{0.48145466, 0.4578275, 0.40821073}
	clipStd  = [3]float64{0.26862954, 0.26130258, 0.27577711}
	half     = [3]float64{0.5, 0.5, 0.5}
)

// normalisation reads mean and deviation, and folds the scale of samples into them: (x*f - m)/s, where the engine computes
// (x/255 - mean)/std.
func (o object) normalisation(p *Preprocessor, c *Config) {
	llava := strings.HasPrefix(c.Architecture, "Llava")
	if p.Mean, p.Std = half, half; llava {
		p.Mean, p.Std = clipMean, clipStd
	}
	o.triple("image_mean", &p.Mean)
	o.triple("image_std", &p.Std)
	for _, s := range p.Std {
		if *o.err == nil && !(s >= 1e-6 && s <= 1e3) {
			o.fail("image_std", "%w: %v", ErrInvalid, p.Std)
		}
	}
	// The mean is also the colour that LLaVA 1.5 pads with, so there it must stay what it is.
	padded := c.Architecture == "LlavaForConditionalGeneration" && !p.Crop
	if !o.boolean("do_normalize", true) {
		if padded {
			o.fail("do_normalize", "%w: false, where pictures are padded with the mean", ErrUnsupported)
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
		o.fail(key, "%w: %v, where pictures are padded with the mean of samples from 0 to 1", ErrUnsupported, factor)
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
