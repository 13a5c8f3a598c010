// Package mmproj reads projector files ("mmproj") for libmtmd: what they hold, whether the library
// can compute with it, since it aborts the process over numbers and tensors that do not fit, and
// mended copies of files that it would compute otherwise than the model was trained.
package mmproj

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// MaxWidth bounds the rows of a projector, far above any model's.
const MaxWidth = 1 << 16

// HasSound reports whether a projector file has an encoder of sounds.
func HasSound(f *gguf.File) bool {
	has, _ := f.Bool("clip.has_audio_encoder")
	return has
}

// HasVision reports whether a projector file has a vision tower. Files from before the keys have
// one.
func HasVision(f *gguf.File) bool {
	has, ok := f.Bool("clip.has_vision_encoder")
	return has || !ok && !HasSound(f)
}

// checkKind wants the file to be a projector.
func checkKind(f *gguf.File) error {
	if arch := f.Architecture(); arch != "clip" {
		return fmt.Errorf(
			"a model of the architecture %q, not a vision projector; give the mmproj file", arch)
	}
	return nil
}

// Family names a vision tower. Behind LLaVA's projectors stands one of two families, of which CLIP
// has a class token.
func Family(f *gguf.File, projector string) string {
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

// Width returns the width of the projector's rows as well as the file tells it, 0 if it
// does not.
func Width(f *gguf.File) int {
	if w := f.ProjectorWidth(); w > 0 && w <= MaxWidth {
		return w
	}
	n, _ := f.Uint("clip.vision.projection_dim") // of old files that of CLIP's own projection
	if n > MaxWidth {
		return 0
	}
	return int(n)
}

// Identity names a tower by its kind and a hash of the file: another file in the same place makes
// other embeddings.
func Identity(ctx context.Context, f *gguf.File, projector string) (string, error) {
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
