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
	if _, err := number("image_size", patch, 1<<16); err != nil {
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
		return fmt.Errorf("vision: clip.vision.attention.head_count %d does not divide the width %d", heads, width)
	}
	if t, ok := f.Tensor("v.patch_embd.weight"); ok && len(t.Dims) == 4 && (t.Dims[0] != patch ||
		t.Dims[1] != patch || t.Dims[3] != width) {
		return fmt.Errorf("vision: tensor %s has dimensions %v, which do not fit patches of %d and a width of %d", t.Name, t.Dims, patch, width)
	}
	if t, ok := f.Tensor("v.position_embd.weight"); ok && t.Dims[0] != width {
		return fmt.Errorf("vision: tensor %s has dimensions %v, which do not fit a width of %d",
			t.Name, t.Dims, width)
	}
	for i := range blocks {
		for _, norm := range []string{"ln1", "ln2"} {
			if t, ok := f.Tensor(fmt.Sprintf("v.blk.%d.%s.weight", i, norm)); ok &&
				t.Dims[0] != width {
				return fmt.Errorf("vision: tensor %s has dimensions %v, which do not fit a width of %d", t.Name, t.Dims, width)
			}
		}
	}
	return nil
}
