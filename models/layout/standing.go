package layout

import "github.com/eyelet-engine/eyelet/models/gguf"

// Standing says how far what becomes of pictures is known to be what a family was trained with.
type Standing struct {
	// Exact says that pictures reach the tower as the family's own processor makes them.
	Exact bool
	// Text says by whose rule pictures are laid out, in a few words.
	Text string
}

// processors name what the families of this package follow.
var processors = map[string]string{
	"qwen2vl_merger": "Qwen2VLImageProcessor", "qwen2.5vl_merger": "Qwen2VLImageProcessor",
	"qwen3vl_merger": "Qwen2VLImageProcessor", "glm4v": "Glm4vImageProcessor",
	"gemma3": "Gemma3ImageProcessor", "gemma4v": "Gemma4ImageProcessor",
	"internvl": "GotOcr2ImageProcessor", "pixtral": "PixtralImageProcessor",
	"idefics3":  "Idefics3ImageProcessor and SmolVLMImageProcessor",
	"janus_pro": "JanusImageProcessor",
	"mlp":       "LLaVA's processors", "linear": "LLaVA's processors", // package llava
}

// StandingOf returns the standing of a projector file. Families that neither this package nor
// package llava lays out get their pictures by libmtmd's rule, which for many is not the
// processor's.
func StandingOf(f *gguf.File) Standing {
	kind := Kind(f)
	if kind == "" {
		kind = "mlp" // what files from before the key hold
	}
	if name, ok := processors[kind]; ok {
		return Standing{Exact: true, Text: "laid out as by " + name + " of transformers 5.24"}
	}
	return Standing{Text: "laid out by libmtmd's own rule, which has not been compared with the processor of this family"}
}
