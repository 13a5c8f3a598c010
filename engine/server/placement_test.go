package server

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/models/store"
)

func TestModelsLieWhereTheOperatorOrTheirParametersSay(t *testing.T) {
	layers, device := 3, "Vulkan1"
	params := store.Params{NumGPU: &layers, Device: &device, TensorSplit: store.Shares{1, 2}}
	ts := serve(t)
	spec := ts.models.specOf(engine.ModelSpec{}, params)
	if spec.GPULayers != 3 || spec.Device != device || len(spec.TensorSplit) != 2 {
		t.Errorf("%+v", spec)
	}
	layers = 0
	if spec = ts.models.specOf(engine.ModelSpec{}, params); spec.GPULayers != -1 {
		t.Errorf("%+v", spec)
	}
	own := engine.ModelSpec{Device: "Vulkan2"}
	if spec = ts.models.specOf(own, params); spec.Device != "Vulkan2" || spec.TensorSplit != nil {
		t.Errorf("%+v", spec)
	}
	ts.models.options.Spec.VisionDevice = engine.NoDevice
	if spec = ts.models.specOf(engine.ModelSpec{}, params); spec.Device != "" ||
		spec.GPULayers != 0 || spec.VisionDevice != engine.NoDevice {
		t.Errorf("%+v", spec)
	}
}

func TestARequestSaysHowManyLayersLieOnDevices(t *testing.T) {
	for given, want := range map[string]int{`{}`: -1, `{"num_gpu":0}`: 0, `{"num_gpu":"7"}`: 7,
		`{"num_gpu":-1}`: -1} {
		var options map[string]any
		if err := json.Unmarshal([]byte(given), &options); err != nil {
			t.Fatal(err)
		}
		o := fields.NewOptions()
		if err := o.OfRequest(options); err != nil || o.Layers != want {
			t.Errorf("%s: %d, %v", given, o.Layers, err)
		}
	}
	o := fields.NewOptions()
	if err := o.OfRequest(map[string]any{"num_gpu": 1.5}); err == nil {
		t.Error("one and a half layers")
	}
	ts := serve(t)
	m, err := ts.models.find("seed")
	if err != nil {
		t.Fatal(err)
	}
	if facts, err := ts.models.facts(m.spec.Model); err != nil || facts.layers != 7 {
		t.Errorf("%+v, %v", facts, err)
	}
	usual, _, _ := ts.models.key(m, 0)
	four := 4
	other := *m
	other.layers = &four
	if key, _, err := ts.models.key(&other, 0); err != nil || key == usual {
		t.Errorf("%q, %q, %v", key, usual, err)
	}
	ts.models.options.Spec.Device = engine.NoDevice
	if ts.models.placed(m, 4) != m {
		t.Error("a request is heard where the operator wants no device")
	}
}

func TestParametersThatNameNoDeviceAreRefused(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	create := func(parameters map[string]any) error {
		return c.Create(t.Context(), &api.CreateRequest{Model: "placed:v1", From: "seed",
			Parameters: parameters}, func(api.ProgressResponse) error { return nil })
	}
	for name, value := range map[string]any{"device": "Vulkan7", "vision_device": "Vulkan7",
		"tensor_split": "1,1,1,1,1,1,1", "num_gpu": 2.5} {
		if err := create(map[string]any{name: value}); statusOf(err) != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := create(map[string]any{"device": "Vulkan7"})
	if err == nil || !strings.Contains(err.Error(), `no device "Vulkan7"`) ||
		!strings.Contains(err.Error(), "give ") {
		t.Error(err)
	}
	if err := create(map[string]any{"device": "none", "num_gpu": 0}); err != nil {
		t.Fatal(err)
	}
	r := ts.do(t, "POST", "/api/show", `{"model":"placed:v1"}`)
	var show struct {
		Parameters string
		Placement  *placement.Placement
	}
	if err := json.Unmarshal([]byte(r.text), &show); err != nil || show.Placement == nil ||
		show.Placement.Layers != 7 || len(show.Placement.Devices) != 0 ||
		!strings.Contains(show.Parameters, "num_gpu") {
		t.Errorf("%v %s", err, r.text)
	}
	if _, _, err := chat(t, c, &api.ChatRequest{Model: "placed:v1",
		Messages: []api.Message{{Role: "user", Content: "x"}},
		Options:  map[string]any{"num_predict": 1, "num_gpu": 2}}); err != nil {
		t.Error(err)
	}
}

func TestModelsLieOnDevicesByTheirParameters(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("compiles shaders: set EYELET_SLOW=1")
	}
	const test = "TestOnADeviceModelsLieByTheirParameters"
	out, err := peers.OnLavapipe(t, "^"+test+"$")
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+test+" ")) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestOnADeviceModelsLieByTheirParameters(t *testing.T) {
	name := os.Getenv("EYELET_TEST_DEVICE")
	if name == "" {
		t.Skip("EYELET_TEST_DEVICE names no device")
	}
	ts := serve(t)
	c := ts.client(t)
	files := map[string]string{"model.gguf": upload(t, c, seedModel)}
	answers := map[string]bool{}
	ask := func(model string, options map[string]any) {
		t.Helper()
		options["num_predict"], options["temperature"] = 8, 0
		text, _, err := chat(t, c, &api.ChatRequest{Model: model, Options: options,
			Messages: []api.Message{{Role: "user", Content: "a red circle"}}})
		if err != nil {
			t.Fatal(err)
		}
		answers[text] = true
	}
	for model, parameters := range map[string]map[string]any{
		"cpu:v1": {"num_gpu": 0}, "some:v1": {"num_gpu": 3}, "all:v1": {"device": name},
	} {
		if err := c.Create(t.Context(), &api.CreateRequest{Model: model, Files: files,
			Parameters: parameters}, func(api.ProgressResponse) error { return nil }); err != nil {
			t.Fatal(err)
		}
		ask(model, map[string]any{})
	}
	ask("all:v1", map[string]any{"num_gpu": 2})
	ask("all:v1", map[string]any{"num_gpu": 99}) // which is 7
	ask("all:v1", map[string]any{"num_gpu": 7})
	if len(answers) != 1 {
		t.Errorf("other answers elsewhere: %v", answers)
	}
	var ps psResponse
	r := ts.do(t, "GET", "/api/ps", "")
	if err := json.Unmarshal([]byte(r.text), &ps); err != nil {
		t.Fatal(err)
	}
	lies := map[string][]int{}
	for _, m := range ps.Models {
		n := 0
		for _, d := range m.Devices {
			n += d.Layers
			if d.Device != name || d.Bytes <= 0 || m.SizeVRAM <= 0 {
				t.Errorf("%+v", m)
			}
		}
		lies[m.Name] = append(lies[m.Name], n)
	}
	if len(lies["cpu:v1"]) != 1 || lies["cpu:v1"][0] != 0 || len(lies["some:v1"]) != 1 ||
		lies["some:v1"][0] != 3 || len(lies["all:v1"]) != 3 {
		t.Errorf("%v: %s", lies, r.text)
	}
	m := ts.do(t, "GET", "/metrics", "")
	for _, want := range []string{`num_gpu="2"`, `num_gpu="7"`,
		`,device="` + name + `",digest="`} {
		if m.status != 200 || !strings.Contains(m.text, want) {
			t.Errorf("%d: no %s in %s", m.status, want, m.text)
		}
	}
}
