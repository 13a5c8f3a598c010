package encode

import (
	"fmt"
	"io"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

// Encoding is what encode did. It is the document of "eyelet encode --json", whose names stay as
// they are.
type Encoding struct {
	File     string           `json:"mmproj"`
	Tower    TowerInfo        `json:"tower"`
	Machine  bench.Machine    `json:"machine"`
	LoadMS   float64          `json:"load_ms"`
	Pictures []EncodedPicture `json:"pictures"`
}

// TowerInfo describes a loaded tower.
type TowerInfo struct {
	Family    string `json:"family"`
	Projector string `json:"projector"`
	// of pictures that are not square, "" where the backend keeps it to itself
	Layout      string `json:"layout,omitempty"`
	Backend     string `json:"backend"`
	Precision   string `json:"precision"`
	ImageSize   int    `json:"image_size"` // pixels
	PatchSize   int    `json:"patch_size"`
	TileTokens  int    `json:"tile_tokens"`
	Blocks      int    `json:"blocks"`
	Hidden      int    `json:"hidden"`
	Width       int    `json:"width"` // numbers in an image token's row
	WeightBytes int64  `json:"weight_bytes"`
	Identity    string `json:"identity"` // embeddings of equal identity may stand in for each other
}

// EncodedPicture is one picture and its way to embeddings.
type EncodedPicture struct {
	Name    string        `json:"name"`
	Width   int           `json:"width"` // pixels
	Height  int           `json:"height"`
	Tiles   int           `json:"tiles"`
	Tokens  int           `json:"tokens"`
	Timings EncodeTimings `json:"timings"`
	Out     string        `json:"out,omitempty"` // the file of embeddings
}

// EncodeTimings is the time that each stage took, in milliseconds. The stages of Encode are zero
// where the backend does not tell them apart.
type EncodeTimings struct {
	Read       float64 `json:"read_ms"` // from the system's memory, where the file is by then
	Decode     float64 `json:"decode_ms"`
	Preprocess float64 `json:"preprocess_ms"`
	Embedding  float64 `json:"embedding_ms"` // this and the next two are parts of Encode
	Blocks     float64 `json:"blocks_ms"`
	Projector  float64 `json:"projector_ms"`
	Encode     float64 `json:"encode_ms"`
	Total      float64 `json:"total_ms"`
}

func newEncoding(o *encodeOptions, tower *bench.Tower) *Encoding {
	info := tower.Info()
	return &Encoding{
		File: o.Projector, Machine: bench.ThisMachine(o.Threads),
		LoadMS: float64(tower.Load.Microseconds()) / 1000, Pictures: []EncodedPicture{},
		Tower: TowerInfo{
			Family: info.Family, Projector: info.Projector, Layout: info.Layout,
			Backend: info.Backend, Precision: info.Precision,
			ImageSize: info.ImageSize, PatchSize: info.PatchSize, TileTokens: info.TileTokens,
			Blocks: info.Blocks, Hidden: info.Hidden,
			Width: info.Width, WeightBytes: tower.WeightBytes, Identity: info.Identity,
		},
	}
}

// print describes the tower for people.
func (e *Encoding) print(w io.Writer) error {
	t := cli.NewTable(w)
	tower := e.Tower
	precision := tower.Precision
	if precision == "bf16" && !e.Machine.BF16 && tower.Backend == "native" {
		precision += ", carried out in f32 on this processor"
	}
	fmt.Fprintf(t, "Tower\t%s: %d x %d pixels, patches of %d, %d blocks, %d wide\n",
		cli.Printable(tower.Family), tower.ImageSize, tower.ImageSize, tower.PatchSize,
		tower.Blocks,
		tower.Hidden)
	fmt.Fprintf(t, "Projector\t%s: %d tokens a tile, %d wide\n", cli.Printable(tower.Projector),
		tower.TileTokens, tower.Width)
	fmt.Fprintf(t, "Backend\t%s, %s\n", tower.Backend, precision)
	fmt.Fprintf(t, "Processor\t%s, %s\n", e.Machine.ISA, cli.Plural(e.Machine.Threads, "thread"))
	fmt.Fprintf(t, "Loaded in\t%s, %s of weights\n", cli.MillisecondsText(e.LoadMS),
		cli.BytesText(uint64(tower.WeightBytes)))
	return t.Flush()
}

// print tells a picture's way for people.
func (p *EncodedPicture) print(w io.Writer) error {
	fmt.Fprintf(w, "\n%s: %d x %d pixels, %s, %d image tokens\n", cli.Printable(p.Name), p.Width,
		p.Height, cli.Plural(p.Tiles, "tile"), p.Tokens)
	t := cli.NewTable(w)
	row := func(name string, ms float64) {
		fmt.Fprintf(t, "  %s\t%s\n", name, cli.MillisecondsText(
			ms))
	}
	row("read", p.Timings.Read)
	row("decode", p.Timings.Decode)
	row("preprocess", p.Timings.Preprocess)
	row("encode", p.Timings.Encode)
	if p.Timings.Blocks > 0 {
		row("  embedding", p.Timings.Embedding)
		row("  blocks", p.Timings.Blocks)
		row("  projector", p.Timings.Projector)
	}
	row("total", p.Timings.Total)
	if p.Out != "" {
		fmt.Fprintf(t, "  written to\t%s\n", cli.Printable(p.Out))
	}
	return t.Flush()
}
