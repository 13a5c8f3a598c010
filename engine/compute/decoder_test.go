package compute

import (
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// A batch that is uniform behind one of its size that was not has an entry more than was asked for,
// which neither the last cell of a cache nor a full batch may be refused for.
func TestUniformEntriesTakeTheLastCell(t *testing.T) {
	lm, err := llama.LoadModel(t.Context(), "../../models/builtin/eyelet-builtin-q8_0.gguf",
		llama.ModelParams{GPULayers: llama.NoGPULayers})
	if err != nil {
		t.Fatal(err)
	}
	defer lm.Close()
	for _, batch := range []int{2, 64} {
		lc, err := llama.NewContext(lm, llama.ContextParams{NCtx: 256, NBatch: batch,
			NUBatch: batch, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		d := NewDecoder(lc)
		d.Few = 16
		cells := lc.NCtx()
		for pos := 0; pos < cells; {
			n := min(2, cells-pos)
			if pos < cells-4 {
				n = min(batch, cells-4-pos)
			}
			var entries []sched.Entry
			for i := range n {
				entries = append(entries, sched.Entry{Token: 5, Pos: llama.Pos(pos + i),
					Output: true, Uniform: pos == cells-2})
			}
			if err := d.Decode(t.Context(), entries); err != nil {
				t.Fatalf("batches of %d, position %d of %d: %v", batch, pos, cells, err)
			}
			pos += n
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		lc.Close()
	}
}
