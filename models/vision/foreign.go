package vision

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// CheckTower compares the numbers that a projector file states about its vision tower with its
// tensors, for encoders that trust the file: libmtmd 0.7 aborts the process over a patch size or
// width that the weights do not have. It says nothing about whether the family is known. Errors
// name the key or the tensor.
func CheckTower(f *gguf.File) error {
	number := func(key string, low, high uint64) (uint64, error) {
		n, ok := f.Uint("clip.vision." + key)
		if !ok || n < low || n > high {
			return 0, fmt.Errorf("vision: clip.vision.%s is missing or not between %d and %d", key,
				low, high)
		}
		return n, nil
	}
	patch, err := number("patch_size", 1, 1024)
	if err != nil {
		return err
	}
	size, err := number("image_size", patch, 1<<16)
	if err != nil {
		return err
	}
	width, err := number("embedding_length", 1, 1<<16)
	if err != nil {
		return err
	}
	blocks, err := number("block_count", 1, 1024)
	if err != nil {
		return err
	}
	if heads, err := number("attention.head_count", 1, width); err != nil {
		return err
	} else if width%heads != 0 {
		return fmt.Errorf("vision: clip.vision.attention.head_count %d does not divide the width %d",
			heads, width)
	}
	if t, ok := f.Tensor("v.patch_embd.weight"); ok && len(t.Dims) == 4 && (t.Dims[0] != patch ||
		t.Dims[1] != patch || t.Dims[3] != width) {
		return fmt.Errorf("vision: tensor %s has dimensions %v, which do not fit patches of %d "+
			"and a width of %d", t.Name, t.Dims, patch, width)
	}
	if t, ok := f.Tensor("v.patch_embd.weight"); ok && len(t.Dims) == 2 &&
		(t.Dims[0] != 3*patch*patch || t.Dims[1] != width) { // a linear layer, as Llama 4's
		return fmt.Errorf("vision: tensor %s has dimensions %v, which do not fit patches of %d "+
			"and a width of %d", t.Name, t.Dims, patch, width)
	}
	if t, ok := f.Tensor("v.position_embd.weight"); ok && f.ProjectorKind() == "llama4" &&
		(len(t.Dims) < 2 || t.Dims[1] != (size/patch)*(size/patch)+1) {
		return fmt.Errorf("vision: tensor %s has dimensions %v, which do not fit patches of %d "+
			"in pictures of %d", t.Name, t.Dims, patch, size)
	}
	if t, ok := f.Tensor("v.position_embd.weight"); ok && t.Dims[0] != width {
		return fmt.Errorf("vision: tensor %s has dimensions %v, which do not fit a width of %d",
			t.Name, t.Dims, width)
	}
	for i := range blocks {
		for _, norm := range []string{"ln1", "ln2"} {
			if t, ok := f.Tensor(fmt.Sprintf("v.blk.%d.%s.weight", i, norm)); ok &&
				t.Dims[0] != width {
				return fmt.Errorf("vision: tensor %s has dimensions %v, which do not fit a width "+
					"of %d", t.Name, t.Dims, width)
			}
		}
	}
	return checkMerged(f, width)
}

// merged names the tensor of each projector whose inputs are the rows of squares of patches side by
// side, and the side of a square where the file names none.
var merged = map[string]struct {
	tensor string
	side   uint64
}{
	"idefics3": {"mm.model.fc.weight", 4}, "internvl": {"mm.model.mlp.1.weight", 2},
	"lfm2": {"mm.input_norm.weight", 2}, "llama4": {"mm.model.mlp.1.weight", 2},
	"minicpmv4_6": {"mm.input_norm.weight", 4},
}

// checkMerged compares the side of a square with such a tensor.
func checkMerged(f *gguf.File, width uint64) error {
	const key = "clip.vision.projector.scale_factor"
	m, ok := merged[f.ProjectorKind()]
	if !ok {
		return nil
	}
	side := m.side
	if _, named := f.Lookup(key); named {
		if side, ok = f.Uint(key); !ok || side < 1 || side > maxMerge {
			return fmt.Errorf("vision: %s is not between 1 and %d", key, maxMerge)
		}
	}
	rows := side * side
	if _, half := f.Tensor("v.vit_merger.ds_ln.weight"); half {
		rows = side // MiniCPM-V merges in two steps of 2 x 2
	} else if f.ProjectorKind() == "minicpmv4_6" {
		rows = 2 * side // whose file may leave out the first of them
	}
	if t, ok := f.Tensor(m.tensor); ok && t.Dims[0] != width*rows {
		return fmt.Errorf("vision: tensor %s has dimensions %v, which do not fit %s = %d and a "+
			"width of %d", t.Name, t.Dims, key, side, width)
	}
	return nil
}
