package server

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/models/store"
)

// shelve brings the built-in model into a test server's store.
func (ts *testServer) shelve(t testing.TB, name, system string) {
	t.Helper()
	n, err := store.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ts.store.Import(t.Context(), n, store.Files{Model: seedModel,
		Projector: seedProjector, System: system}, false, nil); err != nil {
		t.Fatal(err)
	}
}

func TestTagsListsModels(t *testing.T) {
	ts := serve(t, func(o *Options) { o.NoBuiltin = true })
	ts.shelve(t, "shelf:v1", "")
	list, err := ts.client(t).List(t.Context())
	if err != nil || len(list.Models) != 2 {
		t.Fatalf("%+v %v", list, err)
	}
	m := list.Models[0]
	if m.Name != "shelf:v1" || m.Model != m.Name || len(m.Digest) != 64 || m.Size < 5<<20 ||
		time.Since(m.ModifiedAt) > time.Hour ||
		m.Details.Family != "llama" || m.Details.Format != "gguf" ||
		m.Details.QuantizationLevel != "Q8_0" || m.Details.ParameterSize == "" ||
		!slices.Contains(m.Details.Families, "clip") {
		t.Errorf("%+v", m)
	}
	if list.Models[1].Name != "seed:latest" {
		t.Errorf("%+v", list.Models[1])
	}
}

func TestPsListsWhatTakesMemory(t *testing.T) {
	ts := serve(t)
	if p, err := ts.client(t).ListRunning(t.Context()); err != nil || len(p.Models) != 0 {
		t.Errorf("%+v %v", p, err)
	}
	if _, _, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed",
		KeepAlive: &api.Duration{Duration: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	p, err := ts.client(t).ListRunning(t.Context())
	if err != nil || len(p.Models) != 1 {
		t.Fatalf("%+v %v", p, err)
	}
	m := p.Models[0]
	if left := time.Until(m.ExpiresAt); m.Name != "seed:latest" || m.Size < 5<<20 ||
		m.ContextLength == 0 || left > time.Hour || left < 59*time.Minute ||
		m.Details.Family != "llama" {
		t.Errorf("%+v", m)
	}
}

func TestShowTellsAllOfAModel(t *testing.T) {
	ts := serve(t)
	ts.shelve(t, "shelf:v1", "Be brief.")
	show, err := ts.client(t).Show(t.Context(), &api.ShowRequest{Model: "shelf:v1"})
	if err != nil {
		t.Fatal(err)
	}
	if show.System != "Be brief." || !strings.Contains(show.Template, "{%") ||
		show.ModelInfo["general.architecture"] != "llama" ||
		show.ProjectorInfo["general.architecture"] != "clip" || !slices.Contains(show.Capabilities,
		"vision") || !slices.Contains(show.Capabilities, "completion") ||
		show.Details.QuantizationLevel != "Q8_0" || len(show.Tensors) != 0 ||
		!strings.Contains(show.Modelfile, "SYSTEM Be brief.") {
		t.Errorf("%+v", show)
	}
	if tokens, ok := show.ModelInfo["tokenizer.ggml.tokens"].([]any); !ok || len(tokens) != 0 {
		t.Errorf("tokens: %v", show.ModelInfo["tokenizer.ggml.tokens"])
	}
	verbose, err := ts.client(t).Show(t.Context(), &api.ShowRequest{Model: "shelf:v1",
		Verbose: true})
	if err != nil || len(verbose.Tensors) < 50 ||
		len(verbose.ModelInfo["tokenizer.ggml.tokens"].([]any)) < 500 {
		t.Errorf("verbose: %d tensors, %v", len(verbose.Tensors), err)
	}
	var status api.StatusError
	if _, err := ts.client(t).Show(t.Context(), &api.ShowRequest{Model: "nothing"}); !errors.As(err,
		&status) || status.StatusCode != 404 {
		t.Errorf("%v", err)
	}
}

func TestParametersAreWrittenAsInAModelfile(t *testing.T) {
	temperature, seed := float32(0.5), int64(7)
	got := parametersText(store.Params{Temperature: &temperature, Seed: &seed,
		Stop: []string{"a", "b\n"}})
	var words []string
	for line := range strings.Lines(got) {
		words = append(words, strings.Join(strings.Fields(line), " "))
	}
	if want := []string{"seed 7", `stop "a"`, `stop "b\n"`, "temperature 0.5"}; !slices.Equal(words,
		want) {
		t.Errorf("%q", got)
	}
}
