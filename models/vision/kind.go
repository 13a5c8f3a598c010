package vision

import (
	"fmt"
	"regexp"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// Describe returns what the metadata of an mmproj file tells about its tower, without
// reading the weights: everything but Backend, Precision, Width and Identity. Towers that
// this package does not know give [ErrUnknownTower].
func Describe(f *gguf.File) (Info, error) {
	hp, err := readTower(f, Options{})
	if err != nil {
		return Info{}, err
	}
	front, err := newFront(hp, "", "")
	return front.info, err
}

// readKind tells the families and projectors that this package knows from everything
// else.
func (hp *hyperparameters) readKind(f *gguf.File) error {
	if arch := f.Architecture(); arch != "clip" {
		return fmt.Errorf("%w (general.architecture = %q)", ErrUnknownTower, arch)
	}
	projector, ok := f.Str("clip.vision.projector_type")
	if !ok {
		projector, ok = f.Str("clip.projector_type")
	}
	if !ok {
		projector = "mlp" // what files from before the key hold
	}
	switch projector {
	case "mlp", "linear", "janus_pro":
	default:
		return fmt.Errorf("%w (projector_type = %s)", ErrUnknownTower, projector)
	}
	hp.Projector = projector
	if vision, ok := f.Bool("clip.has_vision_encoder"); ok && !vision {
		return fmt.Errorf("%w (clip.has_vision_encoder = false)", ErrUnknownTower)
	}
	for _, key := range []string{"clip.vision.n_wa_pattern", "clip.vision.wa_layer_indexes", "clip.vision.window_size"} {
		if _, ok := f.Lookup(key); ok {
			return fmt.Errorf("%w (it attends in windows: %s)", ErrUnknownTower, key)
		}
	}
	hp.Family = "siglip"
	if _, ok := f.Tensor("v.class_embd"); ok {
		hp.Family = "clip"
	}
	hp.Activation = activation(f, hp)
	return nil
}

// activation tells the activation of the blocks. Files have two switches, use_gelu and
// use_silu, and neither means QuickGELU. But "gelu" is not the same everywhere: CLIP
// and Janus were trained with the exact one, SigLIP with the approximation by tanh
// (gelu_pytorch_tanh in its configuration), for which llama.cpp's older converter,
// looking for "gelu", leaves both switches off.
func activation(f *gguf.File, hp *hyperparameters) string {
	gelu, _ := f.Bool("clip.use_gelu")
	silu, _ := f.Bool("clip.use_silu")
	switch {
	case gelu && (hp.Family == "clip" || hp.Projector == "janus_pro"):
		return "gelu"
	case gelu:
		return "gelu_tanh"
	case silu:
		return "silu"
	case hp.Family == "siglip" && hp.Layout != LibmtmdFault:
		return "gelu_tanh"
	}
	return "quick_gelu"
}

// projectorLayers names the projector's linear layers, without ".weight".
func (hp *hyperparameters) projectorLayers(f *gguf.File) []string {
	switch hp.Projector {
	case "linear":
		if _, ok := f.Tensor("mm.weight"); ok {
			return []string{"mm"}
		}
		return []string{"mm.0"}
	case "janus_pro":
		return []string{"mm.0", "mm.1"}
	}
	return []string{"mm.0", "mm.2"}
}

// newlineNames are the names of LLaVA 1.6's embedding for the end of a row: that of
// llama.cpp's older converter, and that of newer ones.
var newlineNames = []string{"model.image_newline", "v.image_newline"}

// towerTensors matches the tensors of vision towers and projectors that do not change
// what this package computes: those that it reads, a norm for CLIP's class token alone,
// and numbers of positions.
var towerTensors = regexp.MustCompile(`^v\.(class_embd|patch_embd\.(weight|bias)|position_embd\.weight|position_ids|image_newline|(pre|post)_ln\.(weight|bias)|` +
	`blk\.\d+\.(ln1|ln2|attn_q|attn_k|attn_v|attn_out|ffn_up|ffn_down)\.(weight|bias))$`)

// refuseOtherTensors gives ErrUnknownTower for a tower with parts that the plain
// transformer does not have: gates, norms of queries, scales of layers, a second patch
// embedding, rotary factors, deep stacks, other projectors.
func (hp *hyperparameters) refuseOtherTensors(f *gguf.File) error {
	known := map[string]bool{}
	for _, name := range hp.projectorLayers(f) {
		known[name+".weight"], known[name+".bias"] = true, true
	}
	for _, t := range f.Tensors() {
		tower := len(t.Name) > 2 && t.Name[:2] == "v."
		projector := len(t.Name) > 3 && t.Name[:3] == "mm."
		if tower && !towerTensors.MatchString(t.Name) || projector && !known[t.Name] {
			return fmt.Errorf("%w (it has a tensor %s)", ErrUnknownTower, t.Name)
		}
	}
	return nil
}
