package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/quantize"
)

// halfPrecision is the built-in language model in F16.
func halfPrecision(t *testing.T) string {
	t.Helper()
	f, err := gguf.Open(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	typ, err := llama.ParseFileType("F16")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "f16.gguf")
	if _, err := quantize.Language(t.Context(), f, out, llama.QuantizeParams{Type: typ,
		AllowRequantize: true}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestModelsAreMadeSmaller(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	files := map[string]string{"model.gguf": upload(t, c, halfPrecision(t)),
		"mmproj.gguf": upload(t, c, seedProjector)}
	create := func(q *api.CreateRequest) (said []api.ProgressResponse) {
		t.Helper()
		err := c.Create(t.Context(), q, func(p api.ProgressResponse) error {
			said = append(said, p)
			return nil
		})
		if err != nil || len(said) == 0 || said[len(said)-1].Status != "success" {
			t.Fatalf("%+v %v", said, err)
		}
		return said
	}
	create(&api.CreateRequest{Model: "half", Files: files, System: "Look."})
	said := fmt.Sprint(create(&api.CreateRequest{Model: "eight", From: "half", Quantize: "q8_0"}))
	if !strings.Contains(said, "quantizing F16 model to Q8_0") ||
		!strings.Contains(said, "verifying conversion") {
		t.Error(said)
	}
	create(&api.CreateRequest{Model: "four", Files: files, Quantize: "q4_K_M"})
	create(&api.CreateRequest{Model: "same", From: "eight", Quantize: "Q8_0"})
	size := map[string]int64{}
	for name, level := range map[string]string{"half": "F16", "eight": "Q8_0", "four": "Q4_K_M",
		"same": "Q8_0"} {
		m, err := ts.models.find(name)
		if err != nil || m.config.FileType != level || m.spec.Projector == "" {
			t.Fatalf("%s: %+v %v", name, m, err)
		}
		size[name] = m.size
		text, _, err := chat(t, c, &api.ChatRequest{Model: name,
			Messages: []api.Message{look(picture(t, "shape-4.png"),
				"What color is the background?")}})
		if err != nil || name != "four" && text != "cyan" || text == "" {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	if !(size["four"] < size["eight"] && size["eight"] < size["half"]) {
		t.Error(size)
	}
	if m, _ := ts.models.find("eight"); m.system() != "Look." {
		t.Errorf("its texts are lost: %q", m.system())
	}
	for name, body := range map[string]string{
		"no type":                                `"from":"half","quantize":"q9"`,
		"a type that needs an importance matrix": `"from":"half","quantize":"iq2_xxs"`,
		"a number":                               `"from":"half","quantize":"7"`,
		"what is quantized":                      `"from":"eight","quantize":"q4_0"`,
		"the built-in model":                     `"from":"builtin","quantize":"q4_K_M"`,
	} {
		r := ts.do(t, "POST", "/api/create", `{"model":"bad","stream":false,`+body+`}`)
		if r.status != 400 || strings.Contains(r.text, "--") {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	if left, err := os.ReadDir(filepath.Join(ts.store.Root(), "partial")); err != nil ||
		len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}
}
