package vision

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision/visiontest"
)

// BenchmarkViTL336 encodes tiles with a CLIP ViT-L/14 at 336 pixels (LLaVA 1.5's tower) and loads
// it.
func BenchmarkViTL336(b *testing.B) {
	path := filepath.Join(b.TempDir(), "mmproj.gguf")
	if err := visiontest.ViTL336.WriteFile(path, gguf.F16); err != nil {
		b.Fatal(err)
	}
	for _, precision := range []nn.Precision{nn.F32, nn.BF16, nn.Int8, nn.Int16} {
		b.Run(fmt.Sprintf("load %v", precision), func(b *testing.B) {
			for b.Loop() {
				openNative(b, path, NativeOptions{Precision: precision}).Close()
			}
		})
		for _, tiles := range []int{1, 5} {
			b.Run(fmt.Sprintf("%v/%d tiles", precision, tiles), func(b *testing.B) {
				n := openNative(b, path, NativeOptions{Precision: precision})
				in := &Input{}
				for range tiles {
					in.Tiles = append(in.Tiles, visiontest.Picture(336))
				}
				in.Tokens = tiles * n.Info().TileTokens
				for b.Loop() {
					if _, err := Encode(b.Context(), n, in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
