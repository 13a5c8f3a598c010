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

// compared says of families whose pictures libmtmd lays out how near that comes to their
// processors in transformers 5.24: docs/families.md.
var compared = map[string]string{
	"lfm2": "as by Lfm2VlImageProcessor, but for pixels of pictures of many tiles",
	"llama4": "without the tokens between tiles that Llama4Processor writes, and other tiles: " +
		"answers differ",
	"minicpmv4_6": "as by MiniCPMV4_6ImageProcessor, but that very long ones are refused",
}

// StandingOf returns the standing of a projector file. Families that neither this package nor
// package llava lays out get their pictures by libmtmd's rule, which for many is not the
// processor's.
func StandingOf(f *gguf.File) Standing {
	kind := f.ProjectorKind()
	if name, ok := processors[kind]; ok {
		return Standing{Exact: true, Text: "laid out as by " + name + " of transformers 5.24"}
	}
	if near, ok := compared[kind]; ok {
		return Standing{Text: "laid out by libmtmd's own rule, " + near}
	}
	return Standing{Text: "laid out by libmtmd's own rule, which has not been compared with the " +
		"processor of this family"}
}
