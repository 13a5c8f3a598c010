package vision

import (
	"fmt"
	"regexp"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// families finish the description of a file, by the kind of its projector: the sizes that all
// families have are read already, and the rest is that of a plain transformer. Numbers of the file
// that a family reads itself may be hostile.
var families = map[string]func(d *description, f *gguf.File) error{
	"mlp": describeLLaVA, "linear": describeLLaVA, "janus_pro": describeLLaVA,
	"gemma3": describeGemma3, "idefics3": describeIdefics3, "internvl": describeInternVL,
	"gemma4v": describeGemma4, "glm4v": describeGLM4V, "pixtral": describePixtral,
	"qwen2vl_merger": describeQwen2VL, "qwen2.5vl_merger": describeQwen25VL,
	"qwen3vl_merger": describeQwen3VL,
}

// Describe returns what the metadata of an mmproj file tells about its tower, without
// reading the weights: everything but Backend, Precision, Width and Identity. Towers that
// this package does not know give [ErrUnknownTower].
func Describe(f *gguf.File) (Info, error) {
	d, err := readTower(f, Options{})
	if err != nil {
		return Info{}, err
	}
	front, err := newFront(f, d, "", "")
	return front.info, err
}

// familyOf tells the families and projectors that this package knows from everything
// else.
func familyOf(f *gguf.File) (func(*description, *gguf.File) error, error) {
	if arch := f.Architecture(); arch != "clip" {
		return nil, fmt.Errorf("%w (general.architecture = %q)", ErrUnknownTower, arch)
	}
	family, ok := families[f.ProjectorKind()]
	if !ok {
		return nil, fmt.Errorf("%w (projector_type = %.40s)", ErrUnknownTower, f.ProjectorKind())
	}
	if vision, ok := f.Bool("clip.has_vision_encoder"); ok && !vision {
		return nil, fmt.Errorf("%w (clip.has_vision_encoder = false)", ErrUnknownTower)
	}
	return family, nil
}

// refuseKeys gives ErrUnknownTower for a file with keys that change what a family's tower computes
// in a way that is not known.
func refuseKeys(f *gguf.File, keys ...string) error {
	for _, key := range keys {
		if _, ok := f.Lookup("clip.vision." + key); ok {
			return fmt.Errorf("%w (it has a key clip.vision.%s)", ErrUnknownTower, key)
		}
	}
	return nil
}

// activation tells the activation of the blocks. Files have two switches, use_gelu and
// use_silu. But "gelu" is not the same everywhere: some families were trained with the
// exact one, and some with the approximation by tanh, "gelu_tanh".
func activation(f *gguf.File, gelu, neither string) string {
	useGELU, _ := f.Bool("clip.use_gelu")
	useSiLU, _ := f.Bool("clip.use_silu")
	switch {
	case useGELU:
		return gelu
	case useSiLU:
		return "silu"
	}
	return neither
}

// idle are tensors that change nothing of what a tower computes: a norm for CLIP's class token
// alone, and numbers of positions.
var idle = regexp.MustCompile(`^v\.(position_ids|image_newline|post_ln\.(weight|bias))$`)

// blockTensor is the name of a tensor of a block, with the part after its number.
var blockTensor = regexp.MustCompile(`^v\.blk\.\d+\.(.+)$`)

// refuseOtherTensors gives ErrUnknownTower for a tower with parts that its description does not
// have: norms of queries, rotary factors, other projectors.
func (d *description) refuseOtherTensors(f *gguf.File) error {
	known, parts := d.tensors()
	for _, t := range f.Tensors() {
		if len(t.Name) < 3 || t.Name[:2] != "v." && t.Name[:3] != "mm." || known[t.Name] ||
			idle.MatchString(t.Name) {
			continue
		}
		if m := blockTensor.FindStringSubmatch(t.Name); m != nil && parts[m[1]] {
			continue
		}
		return fmt.Errorf("%w (it has a tensor %s)", ErrUnknownTower, t.Name)
	}
	return nil
}

// tensors are the names of all tensors that the description reads, those of blocks without what
// comes before the part.
func (d *description) tensors() (known, parts map[string]bool) {
	known, parts = map[string]bool{"v.patch_embd.bias": true,
		"v.position_embd.weight": d.Positions != noPositions, "v.class_embd": d.Class,
		d.RowEnd: true}, map[string]bool{}
	add := func(to map[string]bool, names ...string) {
		for _, name := range names {
			to[name+".weight"], to[name+".bias"] = true, true
		}
	}
	for _, name := range d.Patch {
		known[name] = true
	}
	if d.Pre != noNorm {
		add(known, "v.pre_ln")
	}
	if d.PatchNorm {
		known["v.norm_embd.weight"] = true
	}
	for _, c := range d.Chains {
		add(known, c.Norm.Name)
		for _, p := range c.Parts {
			add(known, p.Name, p.Norm, p.Gate)
		}
	}
	add(parts, "ln1", "ln2", "attn_out", "ffn_up", "ffn_down")
	if d.FusedQKV {
		add(parts, "attn_qkv")
	} else {
		add(parts, "attn_q", "attn_k", "attn_v")
	}
	if d.Gated {
		add(parts, "ffn_gate")
	}
	if d.Scaled {
		add(parts, "ls1", "ls2")
	}
	if d.Sandwich {
		add(parts, "attn_q_norm", "attn_k_norm", "attn_post_norm", "ffn_post_norm")
	}
	return known, parts
}
