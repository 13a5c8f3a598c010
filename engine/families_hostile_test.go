package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
)

// Metadata of the projectors that llama.cpp's converter writes, one number changed at a time: an
// error or some answer, never the end of the process. Without EYELET_SLOW=1 two families stand for
// all.
func TestHostileProjectorsOfTheBenchDoNotAbortTheProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector, and nothing in it is concurrent")
	}
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, g := range all {
		if os.Getenv("EYELET_SLOW") == "" && g.Name != "qwen2-5-vl" && g.Name != "mistral3" {
			continue
		}
		t.Run(g.Name, func(t *testing.T) {
			model, projector, err := g.Write(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "hostile.gguf")
			question := Request{Messages: []Message{User(Picture(scene(t, 0, 60, 40)),
				Text("What is this?"))}, MaxTokens: 1}
			tried, refused := 0, 0
			for key, values := range hostileValues(t, projector) {
				for _, v := range values {
					rewrite(t, projector, path, map[string]any{key: v}, nil)
					tried++
					t.Logf("%s = %v", key, v)
					for _, encoder := range []string{EncoderAuto, EncoderMtmd} {
						m, err := e.Load(t.Context(), ModelSpec{Model: model, Projector: path,
							Context: 4096, Encoder: encoder})
						if err != nil {
							refused++
							continue
						}
						_, _ = collect(t.Context(), m, question)
						m.Close()
					}
				}
			}
			t.Logf("%d files, %d refusals", tried, refused)
		})
	}
}

// libggml ends the process over these numbers of a language model.
func TestNumbersOfRowsAndPositionsAreCheckedBeforeLoading(t *testing.T) {
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, g := range all {
		if g.Name != "qwen3-vl" {
			continue
		}
		model, _, err := g.Write(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []map[string]any{
			{"qwen3vl.n_deepstack_layers": uint32(3)},
			{"qwen3vl.rope.dimension_sections": []int32{11, 11, 10, 0}},
			{"qwen3vl.rope.dimension_sections": []int32{0, 0, 0, 0}},
			{"qwen3vl.rope.dimension_sections": []int32{-8, 8, 8, 0}},
		} {
			path := rewrite(t, model, filepath.Join(t.TempDir(), "hostile.gguf"), change, nil)
			if _, err := e.Load(t.Context(), ModelSpec{Model: path}); !errors.Is(err,
				ErrModelFile) {
				t.Errorf("%v: %v, want ErrModelFile", change, err)
			}
		}
	}
}
