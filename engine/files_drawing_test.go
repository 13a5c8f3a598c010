package engine

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

func TestFilesThatDrawAreNoLanguageModels(t *testing.T) {
	w := gguf.NewWriter("sd1")
	for _, name := range []string{"model.diffusion_model.input_blocks.0.0.weight",
		"first_stage_model.x", "cond_stage_model.x"} {
		w.AddTensor(name, gguf.F32, []uint64{1}, make([]byte, 4))
	}
	path := filepath.Join(t.TempDir(), "sd.gguf")
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if err := modelspec.CheckFile(path); !errors.Is(err, ErrMismatch) ||
		!strings.Contains(err.Error(), "draws pictures") {
		t.Error(err)
	}
}
