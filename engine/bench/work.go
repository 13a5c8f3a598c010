package bench

import (
	"strings"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// workFormula says how [towerWork] counts, for reports.
const workFormula = "per tile: 2·P·3p²·d + blocks·(2n·(4d² + 2d·f) + 4n²·d) + 2·P·Σ(in·out of the projector's layers), " +
	"where P is patches, p their side, n rows of the tower (patches and class token), d its width, f that of the feed-forward layers"

// work is the arithmetic of one tile in FLOP, a multiplication and an addition counted as two: 2mnk for a product of m x k by k x n.
// Norms, softmax and activations are left out; they are below a hundredth.
type work struct {
	embedding, block, projector float64
	rows, hidden, ff            int // of the tower
}

// tile is the work of one tile through a number of blocks, in GFLOP.
func (w work) tile(blocks int) float64 {
	return (w.embedding + float64(blocks)*w.block + w.projector) / 1e9
}

// towerWork counts the work of a tower that package vision knows.
func towerWork(f *gguf.File, info vision.Info) work {
	ff, _ := f.Uint("clip.vision.feed_forward_length")
	rows := info.TileTokens
	if _, class := f.Tensor("v.class_embd"); class {
		rows++
	}
	w := work{rows: rows, hidden: info.Hidden, ff: int(ff)}
	patches, n, d, side := float64(info.TileTokens), float64(rows), float64(info.Hidden), float64(info.PatchSize)
	w.embedding = 2 * patches * 3 * side * side * d
	w.block = 2*n*(4*d*d+2*d*float64(ff)) + 4*n*n*d
	for _, t := range f.Tensors() {
		if strings.HasPrefix(t.Name, "mm.") && strings.HasSuffix(t.Name, ".weight") && len(t.Dims) == 2 {
			w.projector += 2 * patches * float64(t.Elements())
		}
	}
	return w
}
