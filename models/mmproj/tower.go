package mmproj

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// CheckTower refuses a file over whose vision tower libmtmd would abort the process, or that it
// reads where nothing is. A file that is read as it stands, and not mended, may have no tensors of
// types that the library does not compute with. Errors name the key or the tensor. They say nothing
// about whether the family is known.
func CheckTower(f *gguf.File, asIs bool) error {
	if err := checkKind(f); err != nil {
		return err
	}
	for _, check := range []func(*gguf.File) error{checkShapes, checkNumbers, checkTensors} {
		if err := check(f); err != nil {
			return err
		}
	}
	return checkTypes(f, asIs)
}

// checkShapes compares the numbers that a file states about its vision tower with bounds and with
// its tensors: libmtmd 0.7 aborts the process over a patch size or width that the weights do not
// have.
func checkShapes(f *gguf.File) error {
	number := func(key string, low, high uint64) (uint64, error) {
		n, ok := f.Uint("clip.vision." + key)
		if !ok || n < low || n > high {
			return 0, fmt.Errorf("clip.vision.%s is missing or not between %d and %d", key,
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
		return fmt.Errorf("clip.vision.attention.head_count %d does not divide the width %d",
			heads, width)
	}
	if t, ok := f.Tensor("v.patch_embd.weight"); ok && len(t.Dims) == 4 && (t.Dims[0] != patch ||
		t.Dims[1] != patch || t.Dims[3] != width) {
		return fmt.Errorf("tensor %s has dimensions %v, which do not fit patches of %d "+
			"and a width of %d", t.Name, t.Dims, patch, width)
	}
	if t, ok := f.Tensor("v.patch_embd.weight"); ok && len(t.Dims) == 2 &&
		(t.Dims[0] != 3*patch*patch || t.Dims[1] != width) { // a linear layer, as Llama 4's
		return fmt.Errorf("tensor %s has dimensions %v, which do not fit patches of %d "+
			"and a width of %d", t.Name, t.Dims, patch, width)
	}
	if t, ok := f.Tensor("v.position_embd.weight"); ok && f.ProjectorKind() == "llama4" &&
		(len(t.Dims) < 2 || t.Dims[1] != (size/patch)*(size/patch)+1) {
		return fmt.Errorf("tensor %s has dimensions %v, which do not fit patches of %d "+
			"in pictures of %d", t.Name, t.Dims, patch, size)
	}
	if t, ok := f.Tensor("v.position_embd.weight"); ok && t.Dims[0] != width {
		return fmt.Errorf("tensor %s has dimensions %v, which do not fit a width of %d",
			t.Name, t.Dims, width)
	}
	for i := range blocks {
		for _, norm := range []string{"ln1", "ln2"} {
			if t, ok := f.Tensor(fmt.Sprintf("v.blk.%d.%s.weight", i, norm)); ok &&
				t.Dims[0] != width {
				return fmt.Errorf("tensor %s has dimensions %v, which do not fit a width "+
					"of %d", t.Name, t.Dims, width)
			}
		}
	}
	return checkMerged(f, width)
}

// maxMerge bounds the side of a square of patches that become one token.
const maxMerge = 1 << 5

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
			return fmt.Errorf("%s is not between 1 and %d", key, maxMerge)
		}
	}
	rows := side * side
	if _, half := f.Tensor("v.vit_merger.ds_ln.weight"); half {
		rows = side // MiniCPM-V merges in two steps of 2 x 2
	} else if f.ProjectorKind() == "minicpmv4_6" {
		rows = 2 * side // whose file may leave out the first of them
	}
	if t, ok := f.Tensor(m.tensor); ok && t.Dims[0] != width*rows {
		return fmt.Errorf("tensor %s has dimensions %v, which do not fit %s = %d and a "+
			"width of %d", t.Name, t.Dims, key, side, width)
	}
	return nil
}

// checkNumbers refuses metadata over which libggml or libmtmd abort the process, beyond what
// what checkShapes knows: epsilons that are no positive number, and numbers of patches to merge
// into one token that do not come out even.
func checkNumbers(f *gguf.File) error {
	projector := f.ProjectorKind()
	if err := f.CheckEpsilons(); err != nil {
		return err
	}
	switch projector {
	case "qwen2.5vl_merger": // the others do without the key
		width := f.ProjectorWidth()
		if n, _ := f.Uint("clip.vision.projection_dim"); width > 0 && n != uint64(width) {
			return fmt.Errorf(
				"clip.vision.projection_dim is %d, and the projector makes rows of %d", n, width)
		}
	case "pixtral":
		width, _ := f.Uint("clip.vision.embedding_length")
		n, _ := f.Uint("clip.vision.spatial_merge_size")
		if t, ok := f.Tensor("mm.patch_merger.weight"); ok && (n > 1<<8 || len(t.Dims) != 2 ||
			t.Dims[0] != width*n*n) {
			return fmt.Errorf(
				"clip.vision.spatial_merge_size is %d, and tensor %s has dimensions %v", n, t.Name,
				t.Dims)
		}
	}
	switch projector {
	case "gemma3", "idefics3", "internvl", "llama4":
		size, _ := f.Uint("clip.vision.image_size")
		patch, _ := f.Uint("clip.vision.patch_size")
		if n, ok := f.Uint("clip.vision.projector.scale_factor"); ok && (n == 0 ||
			size/patch%n != 0) {
			return fmt.Errorf(
				"clip.vision.projector.scale_factor %d does not divide the %d patches of a side", n,
				size/patch)
		}
	case "qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger":
		if n, ok := f.Uint("clip.vision.spatial_merge_size"); ok && n != 2 {
			return fmt.Errorf("clip.vision.spatial_merge_size is %d, and a %s merges 2", n,
				projector)
		}
	}
	return nil
}
