package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/models/diffusion/diffusiontest"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// drawing writes the file of a model that draws.
func drawing(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sd15.safetensors")
	if err := diffusiontest.WriteTiny(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestModelsThatDrawAreImportedAndResolved(t *testing.T) {
	s, path := newStore(t), drawing(t)
	licence := filepath.Join(t.TempDir(), "LICENSE")
	if err := os.WriteFile(licence, []byte("CreativeML Open RAIL-M"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := s.Import(t.Context(), mustName(t, "sd15"),
		Files{Model: path, Licenses: []string{licence}}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind() != KindDraw || m.Vision() {
		t.Errorf("its kind is %s", m.Kind())
	}
	c, err := m.Config()
	if err != nil || c.ModelFormat != "safetensors" || c.ModelFamily != "sd1" ||
		c.FileType != "F16" {
		t.Errorf("%+v, %v", c, err)
	}
	r, err := s.Resolve("sd15")
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind() != KindDraw || len(r.Licenses) != 1 {
		t.Errorf("%s, %d licences", r.Kind(), len(r.Licenses))
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(r.Path); err != nil || string(got) != string(want) {
		t.Errorf("the file is not what was imported: %v", err)
	}
	if by, err := s.Resolve("sha256:" + strings.TrimPrefix(filepath.Base(r.Path),
		"sha256-")[:12]); err != nil || by.Name != r.Name {
		t.Errorf("by the digest of its file: %v", err)
	}
	report, err := s.Check(t.Context(), CheckOptions{})
	if err != nil || len(report.Problems) > 0 || report.Unused > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestModelsThatDrawTakeNoProjector(t *testing.T) {
	s, files := newStore(t), pair(t, "x")
	files.Model = drawing(t)
	if _, err := s.Import(t.Context(), mustName(t, "sd15"), files, false, nil); !errors.Is(err,
		ErrKind) {
		t.Errorf("with a projector: %v", err)
	}
	if _, err := s.Import(t.Context(), mustName(t, "sd15"), Files{Model: files.Model,
		System: "be brief"}, false, nil); !errors.Is(err, ErrKind) {
		t.Errorf("with a system prompt: %v", err)
	}
}

func TestManifestsHoldOneDrawing(t *testing.T) {
	s := newStore(t)
	m, err := s.Import(t.Context(), mustName(t, "sd15"), Files{Model: drawing(t)}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	again := *m.Manifest
	again.Layers = append(again.Layers, again.Layers[0])
	if err := again.check(); err == nil {
		t.Error("two files that draw are taken")
	}
	mixed := *m.Manifest
	language := mixed.Layers[0]
	language.MediaType = MediaModel
	mixed.Layers = append(mixed.Layers[:1:1], language)
	if err := mixed.check(); err == nil {
		t.Error("a file that draws beside one that answers is taken")
	}
}

func TestFoldersSayWhatDraws(t *testing.T) {
	dir := t.TempDir()
	w := gguf.NewWriter("")
	for _, name := range []string{"model.diffusion_model.input_blocks.0.0.weight",
		"first_stage_model.x", "cond_stage_model.x"} {
		w.AddTensor(name, gguf.F32, []uint64{1}, make([]byte, 4))
	}
	if err := w.WriteFile(filepath.Join(dir, "sd.gguf")); err != nil {
		t.Fatal(err)
	}
	list, err := Folder(dir)
	if err != nil || len(list.Models) != 0 || len(list.Unusable) != 1 ||
		!strings.Contains(list.Unusable[0].Reason, "draws pictures") {
		t.Errorf("%+v, %v", list, err)
	}
}
