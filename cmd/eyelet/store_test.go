package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/encode"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/models"
	"github.com/eyelet-engine/eyelet/models/store"
)

// computer is the machine of a user with a home of their own: a store, other programs' folders.
type computer struct {
	home string
	env  []string
}

func newMachine(t *testing.T) *computer {
	t.Helper()
	home := t.TempDir()
	return &computer{home: home, env: []string{"HOME=" + home, "EYELET_CACHE=" + cacheDir,
		"TMPDIR=" + os.TempDir(), "PATH=" + os.Getenv("PATH"), "TERM=xterm"}}
}

func (m *computer) eyelet(t *testing.T, args ...string) outcome {
	t.Helper()
	return invocation{args: args, env: m.env}.run(t)
}

// must runs a command that has to go well, and returns what it printed.
func (m *computer) must(t *testing.T, args ...string) string {
	t.Helper()
	o := m.eyelet(t, args...)
	if o.code != 0 {
		t.Fatalf("%v: %+v", args, o)
	}
	return o.stdout
}

func (m *computer) store() string {
	return filepath.Join(m.home, ".local", "share", "eyelet", "models")
}

// list returns the names and sources that the computer lists.
func (m *computer) list(t *testing.T) map[string]models.ListedModel {
	t.Helper()
	var items []models.ListedModel
	strictly(t, m.must(t, "list", "--json"), &items)
	byName := map[string]models.ListedModel{}
	for _, item := range items {
		byName[item.Name] = item
	}
	return byName
}

const (
	circle         = demo + "/orange-circle.png"
	circleQuestion = "What color is the circle?"
)

func TestAModelIsImportedListedShownRunCopiedAndRemoved(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	m := newMachine(t)
	m.must(t, "import", seedModel, "--mmproj", seedProjector, "--name", "seed:q8")
	item, ok := m.list(t)["seed:q8"]
	if !ok || item.Source != "store" || !item.Vision || item.Quantization != "Q8_0" ||
		item.Parameters != "5.3M" || item.Error != "" {
		t.Errorf("%+v", item)
	}
	for _, args := range [][]string{
		{"run", "seed:q8", "--image", circle, circleQuestion},
		{"run", "--model", "seed:q8", "--image", circle, circleQuestion},
		{"run", "-m", item.Digest[:19], "--image", circle, circleQuestion},
		{"run", "builtin", "--image", circle, circleQuestion},
		{"run", "-m", "eyelet-builtin", "--image", circle, circleQuestion},
	} {
		m.eyelet(t, args...).mustSay(t, "orange")
	}
	if out := m.must(t, "show", "seed:q8"); !strings.Contains(out, "seed:q8") ||
		!strings.Contains(out, item.Digest) || !strings.Contains(out, "general.name") {
		t.Errorf("show: %s", out)
	}
	if out := m.must(t, "show", "--json", "seed:q8"); !strings.Contains(out, `"stored": {`) ||
		!strings.Contains(out, item.Digest) {
		t.Errorf("show --json: %.300s", out)
	}
	var e encode.Encoding
	strictly(t, m.must(t, "encode", "--json", "--mmproj", "seed:q8", circle), &e)
	if len(e.Pictures) != 1 || e.Pictures[0].Tokens != 64 {
		t.Errorf("%+v", e)
	}
	m.must(t, "cp", "seed:q8", "team/seed")
	m.must(t, "rm", "seed:q8")
	m.eyelet(t, "run", "team/seed", "--image", circle, circleQuestion).mustSay(t, "orange")
	var r models.StoreReport
	strictly(t, m.must(t, "store", "check", "--json"), &r)
	if !r.OK || r.Models != 1 || r.Blobs != 3 || r.Store != m.store() {
		t.Errorf("%+v", r)
	}
	m.must(t, "rm", "team/seed")
	m.must(t, "store", "gc", "--all")
	if files := contents(t, filepath.Join(m.store(), "blobs")); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
}

func TestADamagedStoreIsReportedAndRepaired(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	m := newMachine(t)
	m.must(t, "import", seedModel, "--name", "text")
	entries, err := os.ReadDir(filepath.Join(m.store(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(m.store(), "blobs", e.Name())
		if info, err := e.Info(); err != nil || info.Size() < 1<<20 {
			continue
		}
		data := []byte(readFile(t, path))
		data[len(data)/2] ^= 1
		writeFile(t, path, string(data))
	}
	o := m.eyelet(t, "store", "check")
	if o.code != cli.ExitFailure || !strings.Contains(o.stdout, "text:latest cannot be used") ||
		!strings.Contains(o.stdout, "--repair") {
		t.Errorf("%+v", o)
	}
	if out := m.must(t, "store", "check", "--repair"); !strings.Contains(out,
		"text:latest is removed") {
		t.Error(out)
	}
	if out := m.must(t, "store", "check"); !strings.Contains(out, "whole") {
		t.Error(out)
	}
}

// goTemplate is the built-in model's in Ollama's language.
const goTemplate = "USER: {{ .Prompt }} ASSISTANT:{{ .Response }}</s>"

// ollama lays the built-in model out as Ollama would have it, with parameters and a template.
func (m *computer) ollama(t *testing.T, name, params, template string) string {
	t.Helper()
	root := filepath.Join(m.home, ".ollama", "models")
	blob := func(data, mediaType string) string {
		d := store.DigestOf([]byte(data))
		writeFile(t, filepath.Join(root, "blobs", d.FileName()), data)
		return `{"mediaType":"` + mediaType + `","digest":"` + string(d) + `","size":` +
			strconv.Itoa(len(data)) + `}`
	}
	manifest := `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":` + blob("{}", store.MediaConfig) + `,"layers":[` +
		strings.Join([]string{
			blob(readFile(t, seedModel), store.MediaModel), blob(readFile(t, seedProjector),
				store.MediaProjector),
			blob(params, store.MediaParams), blob(template, store.MediaTemplate),
		}, ",") + `]}`
	writeFile(t, filepath.Join(root, "manifests", "registry.ollama.ai", "library", name, "latest"),
		manifest)
	return root
}

// A stored model is asked through the template that it is stored with, in either language, unless a
// flag gives another.
func TestAStoredTemplateIsUsed(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	for name, template := range map[string]string{
		"go":    "USER: {{ .Prompt }} background? ASSISTANT:",
		"jinja": "{% for m in messages %}USER: {{ m.content }} background? {% endfor %}ASSISTANT:",
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.ollama(t, "fixed", "{}", template)
			m.eyelet(t, "run", "fixed", "--image", circle, "What color is the").mustSay(t, "cyan")
			m.eyelet(t, "run", "fixed", "--chat-template", "vicuna", "--image", circle,
				"What is in this picture?").mustSay(t, "an orange circle on a cyan background")
		})
	}
}

func TestOllamasModelsRunInPlaceWithTheirParameters(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	m := newMachine(t)
	root := m.ollama(t, "bakllava", `{"num_predict":3,"temperature":0,"stop":["background"]}`,
		goTemplate)
	before := contents(t, root)
	if item := m.list(t)["bakllava:latest"]; item.Source != "ollama" || !item.Vision {
		t.Errorf("%+v", item)
	}
	m.eyelet(t, "run", "bakllava", "--image", circle, "What is in this picture?").mustSay(t,
		"an orange")
	// Flags come before the manifest.
	m.eyelet(t, "run", "bakllava", "--image", circle, "--max-tokens", "100",
		"What is in this picture?").mustSay(t, "an orange circle on a cyan ")
	m.eyelet(t, "run", "bakllava", "--image", circle, "--max-tokens", "100", "--stop", "xyz",
		"What is in this picture?").mustSay(t, "an orange circle on a cyan background")
	m.eyelet(t, "rm", "bakllava").mustFail(t, cli.ExitInput, "Ollama")
	m.must(t, "import", "ollama:bakllava", "--name", "mine")
	m.must(t, "store", "gc", "--all")
	after := contents(t, root)
	for path, sum := range before {
		if after[path] != sum {
			t.Errorf("%s was changed", path)
		}
	}
	if len(after) != len(before) {
		t.Error("Ollama's folder has other files than before")
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	m.eyelet(t, "run", "mine", "--image", circle, "What is in this picture?").mustSay(t,
		"an orange")
}

func TestLMStudiosModelsAreImported(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	m := newMachine(t)
	dir := filepath.Join(m.home, ".lmstudio", "models", "someone", "seed-GGUF")
	writeFile(t, filepath.Join(dir, "seed-Q8_0.gguf"), readFile(t, seedModel))
	writeFile(t, filepath.Join(dir, "mmproj-seed-f16.gguf"), readFile(t, seedProjector))
	m.must(t, "import", "lmstudio:someone/seed-GGUF")
	m.eyelet(t, "run", "seed-q8_0", "--image", circle, circleQuestion).mustSay(t, "orange")
	m.must(t, "import", dir, "--name", "folder")
	if item := m.list(t)["folder:latest"]; item.Digest == "" {
		t.Errorf("%v", m.list(t))
	}
}

func TestMistakesWithTheStoreAreExplained(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	m := newMachine(t)
	m.must(t, "import", seedModel, "--name", "text")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "x.gguf"), "words")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "SOURCE is missing", []string{"import"}},
		{3, "none.gguf", []string{"import", filepath.Join(dir, "none.gguf")}},
		{3, "GGUF", []string{"import", filepath.Join(dir, "x.gguf")}},
		{3, "not a GGUF file", []string{"import", dir}},
		{3, "holds no GGUF file", []string{"import", t.TempDir()}},
		{3, "projector", []string{"import", seedProjector, "--name", "p"}},
		{2, "../x", []string{"import", seedModel, "--name", "../x"}},
		{3, "--replace", []string{"import", seedModel, "--mmproj", seedProjector, "--name",
			"text"}},
		{3, "builtin", []string{"import", seedModel, "--name", "builtin"}},
		{3, "Ollama has no none", []string{"import", "ollama:none"}},
		{2, "PUBLISHER/MODEL", []string{"import", "lmstudio:none"}},
		{3, "eyelet list", []string{"run", "none:7b", "Q?"}},
		{3, "eyelet list", []string{"run", "--model", "none", "Q?"}},
		{3, "eyelet list", []string{"run", "--model", "sha256:0123456789", "Q?"}},
		{4, "text:latest has no projector", []string{"run", "text", "--image", circle, "Q?"}},
		{4, "text:latest has no projector", []string{"encode", "--mmproj", "text", circle}},
		{3, "none", []string{"rm", "none"}},
		{2, "a b", []string{"rm", "a b"}},
		{2, "NAME is missing", []string{"rm"}},
		{2, "NEW is missing", []string{"cp", "text"}},
		{3, "none", []string{"cp", "none", "x"}},
		{2, "frobnicate", []string{"store", "frobnicate"}},
	} {
		t.Run(strings.Join(c.args[:min(len(c.args), 3)], " "), func(t *testing.T) {
			m.eyelet(t, c.args...).mustFail(t, c.code, c.want)
		})
	}
}
