package hf

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Preprocessor is what the image processor's configuration tells, as far as a GGUF file can say it.
type Preprocessor struct {
	// Mean and Std are of the normalisation of samples on the scale 0 to 1, with any other scale
	// and the lack of a normalisation folded in.
	Mean, Std   [3]float64
	Whole       bool // pictures of Idefics3 are not cut into tiles: do_image_splitting is false
	LongestEdge int  // size.longest_edge of Idefics3 in pixels, 0 if there is none
	// of LLaVA 1.5: the middle of the picture is cut out, where it would be padded to a square else
	Crop bool
	// MinPixels and MaxPixels bound the stretched pictures of Qwen's families; 0 where the
	// processor does not say.
	MinPixels, MaxPixels int
	// MinTiles and MaxTiles bound InternVL's grid of tiles; 0 where the processor does not say.
	MinTiles, MaxTiles int
}

// ReadPreprocessor reads preprocessor_config.json and processor_config.json, whose word counts
// where both speak, for a model whose configuration is c. A step that would change numbers and that
// the program cannot take is an [ErrUnsupported] that names its key.
func ReadPreprocessor(dir string, c *Config) (*Preprocessor, error) {
	const first, second = "preprocessor_config.json", "processor_config.json"
	merged := object{where: filepath.Join(dir, first), values: make(map[string]any),
		err: new(error)}
	found := false
	for _, name := range []string{first, second} {
		o, there, err := readObject(dir, name)
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
		found = found || there
	}
	if !found {
		return nil, fmt.Errorf("hf: %s has neither %s nor %s: %w", dir, first, second,
			fs.ErrNotExist)
	}
	return merged.preprocessor(c)
}

// processorSteps are the steps of image processors that are understood or change nothing for one
// RGB picture. Idefics3's do_pad, Pixtral's and that of LLaVA 1.6 fill up batches.
var processorSteps = []string{
	"do_resize", "do_rescale", "do_normalize", "do_convert_rgb", "do_center_crop", "do_pad",
	"do_image_splitting", "do_pan_and_scan",
}

// Filters of Pillow, as image processors number them.
const (
	filterLanczos  = 1
	filterBilinear = 2
	filterBicubic  = 3
)

// imageProcessors are the classes that belong to each family, without "Fast" or "Pil" at their
// ends; a file may name none.
var imageProcessors = map[Family][]string{
	LLaVA:    {"CLIPImageProcessor", "CLIPFeatureExtractor", "LlavaImageProcessor"},
	Idefics3: {"Idefics3ImageProcessor", "SmolVLMImageProcessor"},
	Qwen2VL:  {"Qwen2VLImageProcessor"}, Qwen25VL: {"Qwen2VLImageProcessor",
		"Qwen2_5_VLImageProcessor"}, Qwen3VL: {"Qwen2VLImageProcessor"},
	Gemma3: {"Gemma3ImageProcessor"}, InternVL: {"GotOcr2ImageProcessor"},
	Pixtral: {"PixtralImageProcessor"}, Mistral3: {"PixtralImageProcessor"},
	Gemma4: {"Gemma4ImageProcessor"}, GLM4V: {"Glm4vImageProcessor"},
}

func (o object) preprocessor(c *Config) (*Preprocessor, error) {
	p, v := new(Preprocessor), c.Vision
	o.checkSteps(c)
	switch v.Family {
	case LLaVA:
		o.llavaProcessor(p, c)
	case Idefics3:
		o.idefics3Processor(p, v)
	case Qwen2VL, Qwen25VL, Qwen3VL, GLM4V:
		o.qwenProcessor(p, v)
	case Gemma4:
		o.gemma4Processor(v)
	case Gemma3:
		o.gemma3Processor(v)
	case InternVL:
		o.internVLProcessor(p, v)
	case Pixtral, Mistral3:
		o.pixtralProcessor(v)
	}
	o.normalisation(p, c)
	return p, *o.err
}

// checkSteps refuses a processor of another kind, and steps that the rest does not look at.
func (o object) checkSteps(c *Config) {
	kind := strings.TrimSuffix(strings.TrimSuffix(o.str("image_processor_type",
		o.str("feature_extractor_type", "")), "Fast"), "Pil")
	known := imageProcessors[c.Vision.Family]
	if c.Architecture == "LlavaNextForConditionalGeneration" {
		known = []string{"LlavaNextImageProcessor"}
	}
	if kind != "" && !slices.Contains(known, kind) {
		o.fail("image_processor_type", "%w: %s for a %s", ErrUnsupported, brief(kind),
			c.Architecture)
	}
	for key, value := range o.values {
		if on, ok := value.(bool); ok && on && (strings.HasPrefix(key, "do_") &&
			!slices.Contains(processorSteps, key) || key == "offset") {
			o.fail(key, "%w: an unknown step", ErrUnsupported)
		}
	}
	if !o.boolean("do_resize", true) {
		o.fail("do_resize", "%w: false; pictures are always resized", ErrUnsupported)
	}
	if family := c.Vision.Family; family != LLaVA && o.boolean("do_center_crop", false) {
		o.fail("do_center_crop", "%w: true", ErrUnsupported)
	}
	o.wantSwitch("do_pan_and_scan", false)
	o.boolean("do_convert_rgb", true) // pictures are RGB here
	if n := o.integer("num_channels", 3, 1, maxWidth); n != 3 {
		o.fail("num_channels", "%w: %d; pictures have 3 channels here", ErrUnsupported, n)
	}
}

// wantFilter refuses another filter of resampling than the engine's.
func (o object) wantFilter(want int, name string) {
	if o.has("resample") {
		if n, ok := wholeNumber(o.values["resample"]); !ok || n != want {
			o.fail("resample", "%w: %s; pictures are resampled with %d (%s)", ErrUnsupported,
				brief(o.values["resample"]), want, name)
		}
	}
}

// llavaProcessor reads what is LLaVA's: CLIPImageProcessor, LlavaImageProcessor and
// LlavaNextImageProcessor of transformers 5.24.
func (o object) llavaProcessor(p *Preprocessor, c *Config) {
	v := c.Vision
	o.wantFilter(filterBicubic, "bicubic")
	tiles := c.Architecture == "LlavaNextForConditionalGeneration"
	crops := o.boolean("do_center_crop", true)
	size := o.size("size", false)
	for _, side := range []int{size.Shortest, size.Height, size.Width} {
		if side != 0 && side != v.ImageSize {
			o.fail("size", "%w: %s, where the tower takes pictures of %d", ErrUnsupported,
				brief(o.values["size"]), v.ImageSize)
		}
	}
	if size.Longest != 0 {
		o.fail("size", "%w: %s; a shortest_edge, or height and width, is known", ErrUnsupported,
			brief(o.values["size"]))
	}
	if crop := o.size("crop_size", true); crops &&
		(crop.Height != 0 && crop.Height != v.ImageSize ||
			crop.Width != 0 && crop.Width != v.ImageSize || crop.Shortest|crop.Longest != 0) {
		o.fail("crop_size", "%w: %s, where the tower takes pictures of %d", ErrUnsupported,
			brief(o.values["crop_size"]), v.ImageSize)
	}
	if s := o.str("vision_feature_select_strategy", "default"); s != "default" {
		o.fail("vision_feature_select_strategy",
			"%w: %s: only towers whose class token is dropped are known", ErrUnsupported, brief(s))
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
		o.fail("size", "%w: %s: pictures would be stretched; a shortest_edge is known",
			ErrUnsupported, brief(o.values["size"]))
	}
	// Without a word about padding, pictures are padded as LLaVA was trained, not cropped as its
	// converted files say.
	if p.Crop = !pads; p.Crop && !crops {
		o.fail("do_pad", "%w: false with do_center_crop false leaves pictures that are no squares",
			ErrUnsupported)
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

// idefics3Processor reads what is Idefics3's and SmolVLM's: Idefics3ImageProcessor and
// SmolVLMImageProcessor of transformers 5.24.
func (o object) idefics3Processor(p *Preprocessor, v *Vision) {
	o.wantFilter(filterLanczos, "Lanczos")
	p.Whole = !o.boolean("do_image_splitting", true)
	size := o.size("size", false)
	if size.Height|size.Width|size.Shortest != 0 {
		o.fail("size", "%w: %s; a longest_edge is known", ErrUnsupported, brief(o.values["size"]))
	}
	p.LongestEdge = size.Longest
	if tile := o.size("max_image_size", false); tile != (sides{}) &&
		tile != (sides{Longest: v.ImageSize}) {
		o.fail("max_image_size", "%w: %s, where the tower takes tiles of %d", ErrUnsupported,
			brief(o.values["max_image_size"]), v.ImageSize)
	}
	grid := v.ImageSize / v.PatchSize / max(v.ScaleFactor, 1)
	if n := o.integer("image_seq_len", grid*grid, 1, maxVocab); n != grid*grid {
		o.fail("image_seq_len", "%w: %d tokens a tile, where config.json makes %d", ErrInvalid, n,
			grid*grid)
	}
}
