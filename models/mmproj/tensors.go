package mmproj

import (
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// checkTensors refuses towers that lack tensors which libmtmd reads without looking whether they
// are there, or have them in shapes that libggml aborts the process over. It knows the plain
// transformers with learnt positions and LLaVA's projectors; in other families libmtmd itself finds
// most faults.
func checkTensors(f *gguf.File) error {
	projector := f.ProjectorKind()
	switch projector {
	case "mlp", "linear", "janus_pro", "gemma3", "idefics3", "internvl":
	default:
		return nil
	}
	number := func(key string) uint64 { n, _ := f.Uint("clip.vision." + key); return n }
	width, patch := number("embedding_length"), number("patch_size")
	if err := checkShape(f, "v.patch_embd.weight", patch, patch, 3, width); err != nil {
		return err
	}
	across := number("image_size") / patch
	rows := across * across
	if _, class := f.Tensor("v.class_embd"); class {
		rows++
	}
	if err := checkShape(f, "v.position_embd.weight", width, rows); err != nil {
		return err
	}
	for i := range number("block_count") {
		if err := checkBlock(f, fmt.Sprintf("v.blk.%d.", i), width); err != nil {
			return err
		}
	}
	return checkLLaVA(f, projector, width)
}

// checkShape wants a tensor of these dimensions.
func checkShape(f *gguf.File, name string, dims ...uint64) error {
	t, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("no tensor %s", name)
	}
	have := t.Dims
	for len(have) > len(dims) && have[len(have)-1] == 1 {
		have = have[:len(have)-1] // ones at the end change nothing
	}
	if !slices.Equal(have, dims) {
		return fmt.Errorf("tensor %s has dimensions %v, not %v", name, t.Dims, dims)
	}
	return nil
}

// checkBlock checks the products of a transformer block.
func checkBlock(f *gguf.File, prefix string, width uint64) error {
	if _, fused := f.Tensor(prefix + "attn_qkv.weight"); !fused {
		for _, name := range []string{"attn_q", "attn_k", "attn_v"} {
			if err := checkShape(f, prefix+name+".weight", width, width); err != nil {
				return err
			}
		}
	}
	if err := checkShape(f, prefix+"attn_out.weight", width, width); err != nil {
		return err
	}
	// Converters up to early 2025 exchanged the names of the two layers between which the rows are
	// wide.
	up, haveUp := f.Tensor(prefix + "ffn_up.weight")
	down, haveDown := f.Tensor(prefix + "ffn_down.weight")
	if !haveUp || !haveDown || len(up.Dims) != 2 || len(down.Dims) != 2 {
		return fmt.Errorf(
			"the tensors %sffn_up.weight and %sffn_down.weight are missing or no matrices", prefix,
			prefix)
	}
	if up.Dims[0] != width {
		up, down = down, up
	}
	if up.Dims[0] != width || down.Dims[1] != width || up.Dims[1] != down.Dims[0] {
		return fmt.Errorf("tensors %s and %s with dimensions %v and %v do not follow each other",
			up.Name, down.Name, up.Dims, down.Dims)
	}
	return nil
}

// checkLLaVA checks the layers of LLaVA's own projector.
func checkLLaVA(f *gguf.File, projector string, width uint64) error {
	layers := map[string][]string{"mlp": {"mm.0", "mm.2"}, "janus_pro": {"mm.0", "mm.1"}}[projector]
	if _, norm := f.Tensor("mm.3.weight"); norm {
		return nil // a projector with norms, of a model before LLaVA 1.5
	}
	for _, name := range layers {
		t, ok := f.Tensor(name + ".weight")
		if !ok || len(t.Dims) != 2 || t.Dims[0] != width {
			return fmt.Errorf("the tensor %s.weight is missing or not a matrix from %d numbers",
				name, width)
		}
		width = t.Dims[1]
		if err := checkShape(f, name+".bias", width); err != nil {
			return err
		}
	}
	return nil
}
