package store

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// ollamaStore lays files out as Ollama does.
func ollamaStore(t *testing.T) (root string, files Files) {
	t.Helper()
	root = t.TempDir()
	files = pair(t, "from-ollama")
	blob := func(data []byte, mediaType string) Descriptor {
		d := Descriptor{MediaType: mediaType, Digest: DigestOf(data), Size: int64(len(data))}
		writeFile(t, filepath.Join(root, "blobs", d.Digest.FileName()), string(data))
		return d
	}
	m := &Manifest{SchemaVersion: 2, MediaType: MediaManifestDocker, Config: blob([]byte("{}"),
		MediaConfig), Layers: []Descriptor{
		blob([]byte(readFile(t, files.Model)), MediaModel),
		blob([]byte(readFile(t, files.Projector)), MediaProjector),
		blob([]byte("{{ .Prompt }}"), MediaTemplate),
		blob([]byte("You look closely."), MediaSystem),
		blob([]byte(`{"stop":["</s>"],"temperature":0.25,"num_ctx":2048,"mirostat":0}`),
			MediaParams),
		blob([]byte("Licence text"), MediaLicense),
	}}
	raw := string(encodeManifest(t, m))
	writeFile(t, filepath.Join(root, "manifests", "registry.ollama.ai", "library", "llava", "7b"),
		raw)
	writeFile(t, filepath.Join(root, "manifests", "registry.ollama.ai", "someone", "llava",
		"latest"), raw)
	writeFile(t, filepath.Join(root, "manifests", "site.local", "team", "llava", "x"), raw)
	writeFile(t, filepath.Join(root, "manifests", "registry.ollama.ai", "library", "broken",
		"latest"), "{")
	writeFile(t, filepath.Join(root, "manifests", "stray"), raw)
	return root, files
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOllamasModelsAreUsedInPlaceAndNeverChanged(t *testing.T) {
	root, files := ollamaStore(t)
	before := tree(t, root)
	s, err := Open(Options{Root: filepath.Join(t.TempDir(), "models"), Ollama: root})
	if err != nil {
		t.Fatal(err)
	}
	models, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range models {
		names = append(names, fmt.Sprint(m.Name, " ", m.Source, " ", m.Err == nil))
	}
	if want := "broken:latest ollama false, llava:7b ollama true, site.local/team/llava:x ollama true, someone/llava:latest ollama true"; strings.Join(names, ", ") != want {
		t.Errorf("listed: %v", names)
	}
	r, err := s.Resolve("llava:7b")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.Path, root) || readFile(t, r.Path) != readFile(t, files.Model) ||
		readFile(t, r.Projector) != readFile(t, files.Projector) {
		t.Errorf("%q, %q", r.Path, r.Projector)
	}
	if r.Template != "{{ .Prompt }}" || r.System != "You look closely." ||
		*r.Params.Temperature != 0.25 || *r.Params.Context != 2048 || r.Params.Stop[0] != "</s>" ||
		r.Params.TopK != nil || r.Licenses[0] != "Licence text" {
		t.Errorf("%+v", r)
	}
	if _, err := s.Delete(mustName(t, "llava:7b")); !errors.Is(err, ErrUnsupported) {
		t.Errorf("rm: %v", err)
	}
	for i, get := range []func(to Name) (*Model, error){
		func(to Name) (*Model, error) { return s.Copy(t.Context(), "llava:7b", to, false) },
		func(to Name) (*Model, error) {
			return s.ImportOllama(t.Context(), "llava:7b", to, false, nil)
		},
	} {
		m, err := get(Name{Path: "mine", Tag: fmt.Sprint(i)})
		if err != nil || m.Digest != r.Digest {
			t.Fatalf("%+v, %v", m, err)
		}
		if own, err := s.Resolve(m.Name.String()); err != nil || !strings.HasPrefix(own.Path,
			s.root) || own.System != r.System {
			t.Errorf("%+v, %v", own, err)
		}
	}
	if _, err := s.GC(0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Repair(t.Context(), CheckOptions{}); err != nil {
		t.Fatal(err)
	}
	mustBeWhole(t, s)
	if after := tree(t, root); !maps.Equal(before, after) {
		t.Errorf("Ollama's store was changed: %v", after)
	}
}

func TestAModelOfOllamaThatLacksAFileIsExplained(t *testing.T) {
	root, files := ollamaStore(t)
	s, err := Open(Options{Root: filepath.Join(t.TempDir(), "models"), Ollama: root})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "blobs",
		DigestOf([]byte(readFile(t, files.Projector))).FileName())); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve("llava:7b"); !errors.Is(err, ErrMissing) ||
		!strings.Contains(err.Error(), "llava:7b") {
		t.Errorf("%v", err)
	}
}

func TestFoldersOfOtherPrograms(t *testing.T) {
	root := t.TempDir()
	model := func(path string) { writeModel(t, filepath.Join(root, path), "llama", nil) }
	projector := func(path string) { writeModel(t, filepath.Join(root, path), "clip", nil) }
	model("pub/llava/llava-7b-Q4_K_M.gguf")
	projector("pub/llava/mmproj-llava-7b-f16.gguf")
	writeFile(t, filepath.Join(root, "pub/llava/notes.txt"), "words")
	model("pub/two/one-q4.gguf")
	model("pub/two/two-q4.gguf")
	projector("pub/two/mmproj-one-f16.gguf")
	projector("pub/two/mmproj-two-f16.gguf")
	for ref, want := range map[string]string{
		"pub/llava":                      "llava-7b-Q4_K_M.gguf mmproj-llava-7b-f16.gguf",
		"pub/llava/llava-7b-Q4_K_M.gguf": "llava-7b-Q4_K_M.gguf mmproj-llava-7b-f16.gguf",
		"pub/two/two-q4.gguf":            "two-q4.gguf mmproj-two-f16.gguf",
	} {
		f, err := LMStudio(ref, filepath.Join(root, "none"), root)
		if got := filepath.Base(f.Model) + " " + filepath.Base(f.Projector); err != nil ||
			got != want || f.From != "lmstudio:"+ref {
			t.Errorf("%s: %q, %v", ref, got, err)
		}
	}
	for ref, want := range map[string]error{
		"pub/two": ErrName, "pub/none": ErrNotFound, "pub/llava/none.gguf": ErrNotFound,
		"llava": ErrName, "../x/y": ErrName, "a/b/c/d": ErrName, "/etc/x": ErrName,
	} {
		if f, err := LMStudio(ref, root); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v; want %v", ref, f, err, want)
		}
	}
}

func TestASplitModelOpensByLinks(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		w := gguf.NewWriter("llama")
		w.Set("split.no", uint16(i))
		w.Set("split.count", uint16(2))
		w.Set("split.tensors.count", int32(0))
		if err := w.WriteFile(filepath.Join(dir, fmt.Sprintf("big-%05d-of-00002.gguf",
			i+1))); err != nil {
			t.Fatal(err)
		}
	}
	s := newStore(t)
	list, err := Folder(dir)
	if err != nil || len(list.Models) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	mustImport(t, s, "big", list.Models[0])
	for range 2 { // the second time the links are there
		r, err := s.Resolve("big")
		if err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Open(r.Path)
		if err != nil || len(f.Parts()) != 2 {
			t.Fatalf("%v", err)
		}
		f.Close()
	}
	mustBeWhole(t, s)
	if _, err := s.Delete(mustName(t, "big")); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, s.dir("parts")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestWhatAModelSaysOfItsOriginIsKept(t *testing.T) {
	s := newStore(t)
	model := writeModel(t, filepath.Join(t.TempDir(), "m.gguf"), "llama", map[string]any{
		"general.name": "LLaVA", "general.license": "apache-2.0", "general.author": "A. Author",
		"general.organization": "Lab",
		"general.source.url":   "https://example.org/m", "general.base_model.count": uint32(1),
		"general.base_model.0.repo_url": "https://example.org/base",
	})
	m := mustImport(t, s, "a",
		Files{Model: model, Licenses: []string{writeFile(t, filepath.Join(t.TempDir(), "LICENCE"),
			"words")}, System: "Be kind."})
	want := map[string]string{"title": "LLaVA", "licenses": "apache-2.0", "authors": "A. Author",
		"vendor": "Lab", "source": "https://example.org/m", "models": "https://example.org/base",
		"from": "m.gguf"}
	got := map[string]string{}
	for key, value := range m.Manifest.Annotations {
		got[key[strings.LastIndexByte(key, '.')+1:]] = value
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if r, err := s.Resolve("a"); err != nil || r.Licenses[0] != "words" || r.System != "Be kind." {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAPolicyKeepsUnsignedModelsOut(t *testing.T) {
	root, _ := ollamaStore(t)
	s, err := Open(Options{Root: filepath.Join(t.TempDir(), "models"), Ollama: root})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.dir("policy.json"), `{"require_signature": true, "trusted_keys": ["RWx"]}`)
	_, imported := s.Import(t.Context(), mustName(t, "a"), pair(t, "a"), false, nil)
	_, fromOllama := s.ImportOllama(t.Context(), "llava:7b", mustName(t, "a"), false, nil)
	_, copied := s.Copy(t.Context(), "llava:7b", mustName(t, "a"), false)
	for _, err := range []error{imported, fromOllama, copied} {
		if !errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), "policy.json") {
			t.Errorf("%v", err)
		}
	}
	for _, text := range []string{"", "{", `{"require_signatures": true}`, `[]`} {
		writeFile(t, s.dir("policy.json"), text)
		if _, err := s.Policy(); !errors.Is(err, ErrPolicy) {
			t.Errorf("the policy %q: %v", text, err)
		}
	}
}

func TestPoliciesOfTheMachineAndTheStoreBothHold(t *testing.T) {
	s := newStore(t)
	defer func(path string) { systemPolicy = path }(systemPolicy)
	systemPolicy = writeFile(t, filepath.Join(t.TempDir(), "policy.json"),
		`{"trusted_keys": ["RWa", "RWb"]}`)
	writeFile(t, s.dir("policy.json"),
		`{"require_signature": true, "trusted_keys": ["RWb", "RWc"]}`)
	p, err := s.Policy()
	if err != nil || !p.RequireSignature || strings.Join(p.TrustedKeys, " ") != "RWb" ||
		!strings.Contains(p.From(), systemPolicy) {
		t.Errorf("%+v, %v", p, err)
	}
	writeFile(t, s.dir("policy.json"), `{"trusted_keys": ["RWc"]}`)
	if _, err := s.Policy(); !errors.Is(err, ErrPolicy) {
		t.Errorf("no key in common: %v", err)
	}
}
