package gguf

import (
	"fmt"
	"math"
	"strings"
)

// lastLayers name, for the commonest projectors, the tensor that makes the rows and which of its
// dimensions is their width (clip_n_mmproj_embd of llama.cpp, tools/mtmd/clip.cpp).
var lastLayers = map[string]struct {
	tensor string
	dim    int
}{
	"mlp": {"mm.2.weight", 1}, "linear": {"mm.0.weight", 1}, "janus_pro": {"mm.1.weight", 1},
	"pixtral":        {"mm.2.weight", 1},
	"qwen2vl_merger": {"mm.2.weight", 1}, "qwen2.5vl_merger": {"mm.2.weight", 1},
	"gemma3": {"mm.input_projection.weight", 0}, "gemma4v": {"mm.input_projection.weight", 1},
	"glm4v":    {"mm.down.weight", 1},
	"idefics3": {"mm.model.fc.weight", 1}, "internvl": {"mm.model.mlp.3.weight", 1},
}

// ProjectorKind returns the kind of a file's vision projector as the file calls it, "mlp" for files
// from before the key.
func (f *File) ProjectorKind() string {
	for _, key := range []string{"clip.vision.projector_type", "clip.projector_type"} {
		if kind, _ := f.Str(key); kind != "" {
			return kind
		}
	}
	return "mlp"
}

// ProjectorWidth returns the width of the rows that a vision projector makes, 0 where its tensors
// do not tell.
func (f *File) ProjectorWidth() int {
	kind := f.ProjectorKind()
	if kind == "mlp" { // LLaVA's projectors end in mm.2, or in mm.0 if they have one layer
		if _, ok := f.Tensor("mm.2.weight"); !ok {
			kind = "linear"
		}
	}
	last, ok := lastLayers[kind]
	if !ok {
		return 0
	}
	t, ok := f.Tensor(last.tensor)
	if !ok || last.dim >= len(t.Dims) || t.Dims[last.dim] > 1<<20 {
		return 0
	}
	return int(t.Dims[last.dim])
}

// CheckEpsilons refuses epsilons of norms that are no number, infinite or negative: libggml asserts
// that they are not, and aborts the process.
func (f *File) CheckEpsilons() error {
	for _, kv := range f.Keys() {
		if x, ok := kv.Value.Float(); ok && strings.HasSuffix(kv.Key, "epsilon") &&
			(math.IsNaN(x) || math.IsInf(x, 0) || x < 0) {
			return fmt.Errorf("%s is %v", kv.Key, x)
		}
	}
	return nil
}
