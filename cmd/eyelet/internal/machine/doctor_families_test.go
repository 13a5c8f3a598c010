package machine

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

func TestDoctorNotesFamiliesThatAreNotExact(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("EYELET_MODELS", filepath.Join(dir, "models"))
	t.Setenv("OLLAMA_MODELS", filepath.Join(dir, "none"))
	model, projector, err := builtin.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	check := func() (list []Check) {
		d := &Diagnosis{OK: true, progress: io.Discard}
		d.checkFamilies()
		if !d.OK {
			t.Error("a note made the diagnosis bad")
		}
		return d.Checks
	}
	if list := check(); len(list) != 0 {
		t.Errorf("without models: %+v", list)
	}
	s, err := cli.OpenStore()
	if err != nil {
		t.Fatal(err)
	}
	add := func(ref, projector string) {
		t.Helper()
		name, err := store.ParseName(ref)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Import(t.Context(), name, store.Files{Model: model, Projector: projector},
			false, nil); err != nil {
			t.Fatal(err)
		}
	}
	add("exact", projector)
	if list := check(); len(list) != 1 || list[0].Status != "ok" ||
		!strings.Contains(list[0].Detail, "(1)") {
		t.Errorf("an exact family: %+v", list)
	}
	other := filepath.Join(dir, "other.gguf")
	w := gguf.NewWriter("clip")
	w.Set("clip.has_vision_encoder", true)
	w.Set("clip.projector_type", "adapter")
	w.AddTensor("v.patch_embd.weight", gguf.F32, []uint64{1}, make([]byte, 4))
	if err := w.WriteFile(other); err != nil {
		t.Fatal(err)
	}
	add("doubtful", other)
	list := check()
	if len(list) != 1 || list[0].Status != "note" || !strings.Contains(list[0].Detail, "1 of 2") ||
		!strings.Contains(list[0].Detail, "doubtful") || strings.Contains(list[0].Detail,
		"exact,") {
		t.Errorf("a family that is not compared: %+v", list)
	}
}
