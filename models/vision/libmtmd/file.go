package libmtmd

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// family names the tower. Behind LLaVA's projectors stands one of two families, of which CLIP has a
// class token.
func family(f *gguf.File, projector string) string {
	_, class := f.Tensor("v.class_embd")
	switch projector {
	case "mlp", "linear", "janus_pro":
		if class {
			return "clip"
		}
		return "siglip"
	}
	return projector
}

// checkNumbers refuses metadata over which libggml or libmtmd abort the process, beyond what
// vision.CheckTower knows: epsilons that are no positive number, and numbers of patches to merge
// into one token that do not come out even.
func checkNumbers(f *gguf.File, projector string) error {
	if err := checkEpsilons(f); err != nil {
		return err
	}
	switch projector {
	case "qwen2.5vl_merger": // the others do without the key
		width := f.ProjectorWidth()
		if n, _ := f.Uint("clip.vision.projection_dim"); width > 0 && n != uint64(width) {
			return fmt.Errorf("clip.vision.projection_dim is %d, and the projector makes rows of %d", n, width)
		}
	case "pixtral":
		width, _ := f.Uint("clip.vision.embedding_length")
		n, _ := f.Uint("clip.vision.spatial_merge_size")
		if t, ok := f.Tensor("mm.patch_merger.weight"); ok && (n > 1<<8 || len(t.Dims) != 2 ||
			t.Dims[0] != width*n*n) {
			return fmt.Errorf("clip.vision.spatial_merge_size is %d, and tensor %s has dimensions %v", n, t.Name, t.Dims)
		}
	}
	switch projector {
	case "gemma3", "idefics3", "internvl", "llama4":
		size, _ := f.Uint("clip.vision.image_size")
		patch, _ := f.Uint("clip.vision.patch_size")
		if n, ok := f.Uint("clip.vision.projector.scale_factor"); ok && (n == 0 ||
			size/patch%n != 0) {
			return fmt.Errorf("clip.vision.projector.scale_factor %d does not divide the %d patches of a side", n, size/patch)
		}
	case "qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger":
		if n, ok := f.Uint("clip.vision.spatial_merge_size"); ok && n != 2 {
			return fmt.Errorf("clip.vision.spatial_merge_size is %d, and a %s merges 2", n,
				projector)
		}
	}
	return nil
}

// checkEpsilons refuses epsilons of norms that are no positive number.
func checkEpsilons(f *gguf.File) error {
	for _, kv := range f.Keys() {
		if x, ok := kv.Value.Float(); ok && strings.HasSuffix(kv.Key, "epsilon") &&
			(math.IsNaN(x) || math.IsInf(x, 0) || x < 0) {
			return fmt.Errorf("%s is %v", kv.Key, x)
		}
	}
	return nil
}

// embeddingWidth returns the width of the projector's rows as well as the file tells it, 0 if it
// does not.
func embeddingWidth(f *gguf.File) int {
	if w := f.ProjectorWidth(); w > 0 && w <= maxWidth {
		return w
	}
	n, _ := f.Uint("clip.vision.projection_dim") // of old files that of CLIP's own projection
	if n > maxWidth {
		return 0
	}
	return int(n)
}

// identity names a tower by its kind and a hash of the file: another file in the same place makes
// other embeddings.
func identity(ctx context.Context, f *gguf.File, projector string) (string, error) {
	sum := sha256.New()
	for _, part := range f.Parts() {
		if err := hashFile(ctx, sum, part); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("mtmd %s %x", projector, sum.Sum(nil)), nil
}

// hashFile adds a file's bytes to a hash, until ctx is done.
func hashFile(ctx context.Context, sum io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.CopyN(sum, f, 1<<24); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
