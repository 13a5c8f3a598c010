package vision

import (
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// hyperparameters are what the metadata tells about a tower. All fields go into
// the identity hash.
type hyperparameters struct {
	Layout               Layout
	Family               string // "clip" or "siglip"
	Projector            string // "mlp", "linear" or "janus_pro"
	Activation           string // of the blocks: a key of activations
	ImageSize, PatchSize int
	Hidden, FF, Heads    int
	Features             []int // depths that the projector reads, in blocks
	Eps                  float64
	Mean, Std            [3]float32
	Tiling               tiling
}

// patches is the number of patches of one tile. Pixels beyond the last whole patch are
// not seen: SigLIP's 384 pixels make 27 patches of 14 in a row, and 6 are left.
func (hp *hyperparameters) patches() int {
	across := hp.ImageSize / hp.PatchSize
	return across * across
}

// depth is the number of blocks that are run: none beyond what the projector reads.
func (hp *hyperparameters) depth() int { return slices.Max(hp.Features) }

// Bounds that no tower comes near. They keep the work space of a hostile file, which
// grows with the square of the number of patches, below 300 MB.
const (
	maxSide    = 1 << 14
	maxWidth   = 1 << 16
	maxBlocks  = 1 << 10
	maxPatches = 1 << 13
)

// readHyperparameters reads and checks the metadata. The keys are llama.cpp's
// (tools/mtmd/clip-impl.h).
func readHyperparameters(f *gguf.File, order Layout) (*hyperparameters, error) {
	hp := &hyperparameters{Layout: order, Eps: 1e-5}
	if err := hp.readKind(f); err != nil {
		return nil, err
	}
	blocks, err := hp.readSizes(f)
	if err != nil {
		return nil, err
	}
	if eps, ok := f.Float("clip.vision.attention.layer_norm_epsilon"); ok {
		if !(eps > 0 && eps < 1) {
			return nil, fmt.Errorf("clip.vision.attention.layer_norm_epsilon = %v", eps)
		}
		hp.Eps = eps
	}
	if err := hp.readNormalisation(f); err != nil {
		return nil, err
	}
	if err := hp.readFeatures(f, blocks); err != nil {
		return nil, err
	}
	if err := hp.refuseOtherTensors(f); err != nil {
		return nil, err
	}
	hp.Tiling, err = readTiling(f)
	return hp, err
}

// readSizes reads the numbers that shapes are made of, and returns that of the blocks
// stored.
func (hp *hyperparameters) readSizes(f *gguf.File) (blocks int, err error) {
	for _, k := range []struct {
		key   string
		limit uint64
		dst   *int
	}{
		{"clip.vision.image_size", maxSide, &hp.ImageSize},
		{"clip.vision.patch_size", maxSide, &hp.PatchSize},
		{"clip.vision.embedding_length", maxWidth, &hp.Hidden},
		{"clip.vision.feed_forward_length", maxWidth, &hp.FF},
		{"clip.vision.attention.head_count", maxWidth, &hp.Heads},
		{"clip.vision.block_count", maxBlocks, &blocks},
	} {
		n, ok := f.Uint(k.key)
		if !ok {
			return 0, fmt.Errorf("no %s", k.key)
		}
		if n == 0 || n > k.limit {
			return 0, fmt.Errorf("%s = %d", k.key, n)
		}
		*k.dst = int(n)
	}
	switch {
	case hp.PatchSize > hp.ImageSize:
		return 0, fmt.Errorf("patches of %d pixels in an image of %d", hp.PatchSize, hp.ImageSize)
	case hp.patches() > maxPatches:
		return 0, fmt.Errorf("%d patches; at most %d are supported", hp.patches(), maxPatches)
	case hp.Hidden%hp.Heads != 0:
		return 0, fmt.Errorf("%d attention heads do not divide a width of %d", hp.Heads, hp.Hidden)
	}
	return blocks, nil
}

func (hp *hyperparameters) readNormalisation(f *gguf.File) error {
	for _, k := range []struct {
		key string
		dst *[3]float32
	}{{"clip.vision.image_mean", &hp.Mean}, {"clip.vision.image_std", &hp.Std}} {
		v, ok := f.Floats(k.key)
		if !ok || len(v) != 3 {
			return fmt.Errorf("%s is not three numbers", k.key)
		}
		for c := range v {
			if !(v[c] >= -1e3 && v[c] <= 1e3) {
				return fmt.Errorf("%s = %v", k.key, v)
			}
			k.dst[c] = float32(v[c])
		}
	}
	if slices.ContainsFunc(hp.Std[:], func(s float32) bool { return s < 1e-6 }) {
		return fmt.Errorf("clip.vision.image_std = %v", hp.Std)
	}
	return nil
}

// readFeatures finds the depths of the hidden states that the projector reads:
// clip.vision.feature_layer, in the numbering of transformers' hidden_states (k is
// the state after k blocks), else the end of the stored blocks, of which converters
// drop those that no one reads.
func (hp *hyperparameters) readFeatures(f *gguf.File, blocks int) error {
	const key = "clip.vision.feature_layer"
	var layers []int64
	if v, ok := f.Ints(key); ok {
		layers = v
	} else if v, ok := f.Int(key); ok {
		layers = []int64{v}
	}
	if len(layers) == 0 {
		hp.Features = []int{blocks}
		if hp.Layout == LibmtmdFault && hp.Projector != "janus_pro" {
			hp.Features[0]--
		}
		return nil
	}
	if len(layers) > 16 {
		return fmt.Errorf("%s names %d layers", key, len(layers))
	}
	for _, k := range layers {
		if k < 0 || k > int64(blocks) {
			return fmt.Errorf("%s = %v in a tower of %d blocks", key, layers, blocks)
		}
		hp.Features = append(hp.Features, int(k))
	}
	return nil
}
