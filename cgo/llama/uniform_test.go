package llama_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// A row of a uniform batch is computed to the same bits alone and beside others: guesses of what
// follows change no number of an answer.
func TestUniformRowsAreTheSameAloneAndTogether(t *testing.T) {
	peers.RequireAccelerator(t)
	models := map[string]*llama.Model{"Q8_0": seedModel(t)}
	for _, name := range []string{"Q4_0", "Q4_K_M"} {
		path := filepath.Join(t.TempDir(), name+".gguf")
		if err := llama.Quantize(context.Background(), seedPath, path,
			llama.QuantizeParams{Type: fileType(t, name), AllowRequantize: true}); err != nil {
			t.Fatal(err)
		}
		models[name] = loadModel(t, path, llama.ModelParams{NoRepack: name == "Q4_0"})
	}
	for name, m := range models {
		for _, forced := range []string{"", "integers"} { // small products are ggml's else
			t.Run(fmt.Sprintf("%s %s", name, forced), func(t *testing.T) {
				if forced != "" {
					ggml.ForceAccelerator(1, forced)
					defer ggml.ForceAccelerator(0, "")
				}
				sameAloneAndTogether(t, m)
			})
		}
	}
}

// sameAloneAndTogether reads some tokens, and then others one by one and together. The cache has
// 256 cells more once there are 256.
func sameAloneAndTogether(t *testing.T, m *llama.Model) {
	most := ggml.FewRows()
	for _, before := range []int{40, 250} {
		c := newContext(t, m, llama.ContextParams{NCtx: 512})
		b := newBatch(t, 256, 1)
		add := func(n int, output bool) {
			t.Helper()
			if err := b.Add(llama.Token(20+37*n%1000), llama.Pos(n), output, 0); err != nil {
				t.Fatal(err)
			}
		}
		for n := range before {
			add(n, n == before-1)
		}
		if err := c.Decode(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		var alone [][]float32
		rows := func(first, n int) {
			t.Helper()
			b.Clear()
			for i := range n {
				add(before+first+i, true)
			}
			if err := c.DecodeUniform(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		for i := range most {
			rows(i, 1)
			alone = append(alone, logits(t, c, 0))
		}
		for _, n := range []int{2, 3, most / 2, most - 1, most} {
			if err := c.Memory().SeqRemove(0, llama.Pos(before), -1); err != nil {
				t.Fatal(err)
			}
			rows(0, n)
			for i := range n {
				for k, x := range logits(t, c, i) {
					if math.Float32bits(x) != math.Float32bits(alone[i][k]) {
						t.Fatalf("%d tokens before: logit %d of row %d of %d is %v, alone %v", before,
							k, i, n, x, alone[i][k])
					}
				}
			}
		}
	}
}
