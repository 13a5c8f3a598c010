package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// Alone, a text has too few rows for the accelerator, and among others enough: the same path must
// compute both. What is left of the difference comes of sums in float32 whose order differs, and is
// to be far less than what rounding does to a vector at all, which the distance from ggml's vectors
// shows.
func TestATextHasTheSameVectorAloneAndAmongOthers(t *testing.T) {
	peers.RequireAccelerator(t)
	var texts []string
	for i := range 16 {
		texts = append(texts,
			strings.TrimSpace(strings.Repeat(fmt.Sprintf("a red circle and %d blue squares ", i),
				1+i%7)))
	}
	ggml.EnableAccelerator(false)
	ggmls := mustEmbed(t, open(t), texts...)
	ggml.EnableAccelerator(true)
	m := open(t)
	ggml.ReadAcceleratorCounters(true)
	together := mustEmbed(t, m, texts...)
	if ggml.ReadAcceleratorCounters(true).Calls == 0 {
		t.Error("the accelerator computed nothing")
	}
	alone, rounding := 0.0, 0.0
	for i, text := range texts {
		v := mustEmbed(t, m, text)
		if v.Tokens[0] != together.Tokens[i] {
			t.Fatalf("%d tokens alone, %d among others", v.Tokens[0], together.Tokens[i])
		}
		alone += (1 - cosine(v.Vectors[0], together.Vectors[i])) / float64(len(texts))
		rounding += (1 - cosine(ggmls.Vectors[i], together.Vectors[i])) / float64(len(texts))
	}
	t.Logf("mean 1 - cosine: %.1e between alone and among others, %.1e between the accelerator and ggml", alone, rounding)
	if !(alone <= rounding/4) {
		t.Errorf("alone and among others, vectors are %g apart, and the accelerator's and ggml's %g: want a quarter of it at most", alone, rounding)
	}
}
