package bench

import "github.com/eyelet-engine/eyelet/models/vision"

// workFormula says how [vision.Native.Work] counts, for reports.
const workFormula = "per tile: 2·P·3p²·d + blocks·(2n·(4d² + g·d·f) + 4a·d) + 2·T·Σ(in·out of the projector's layers), " +
	"where P is patches, p their side, n rows of the tower (patches and class token), d its width, f that of the feed-forward layers, of which " +
	"there are g, a the pairs of rows that attend to each other, T tokens"

// work is the arithmetic of one tile in FLOP.
type work struct {
	vision.Work
	blocks, hidden int // of the tower
}

// tile is the work of one tile through a number of blocks, in GFLOP.
func (w work) tile(blocks int) float64 {
	return (w.Embedding + w.Blocks*float64(blocks)/float64(max(w.blocks, 1)) + w.Projector) / 1e9
}
