package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store/storetest"
)

// old makes a file look as if nobody has written to it for a while.
func old(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
}

func TestABadFileOfAFolderKeepsNoOtherFromBeingFound(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	good := writeModel(t, at("good.gguf"), "llama", nil)
	whole := readFile(t, good)
	writeFile(t, at("half.gguf"), whole[:len(whole)/2])
	writeFile(t, at("empty.gguf"), "")
	writeFile(t, at("damaged.gguf"), whole[:8]+strings.Repeat("\xff", 40))
	writeFile(t, at("pointer.gguf"),
		"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 5\n")
	writeFile(t, at("page.gguf"), "<!DOCTYPE html><html>not found</html>")
	writeFile(t, at("zeros.gguf"), strings.Repeat("\x00", 4096))
	writeFile(t, at("words.gguf"), "hello, world")
	writeFile(t, at("._good.gguf"), "hidden")
	writeFile(t, at("split-00001-of-00003.gguf"), whole)
	writeFile(t, at("split-00003-of-00003.gguf"), whole)
	for _, err := range []error{os.Mkdir(at("folder.gguf"), 0o755), os.Symlink("nowhere.gguf",
		at("dangling.gguf")),
		os.Symlink("loop.gguf", at("loop.gguf")), os.Symlink("good.gguf", at("link.gguf")),
		syscall.Mkfifo(at("pipe.gguf"), 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"half", "empty", "damaged", "pointer", "page", "zeros", "words",
		"split-00001-of-00003", "split-00003-of-00003"} {
		old(t, at(name+".gguf"))
	}
	list, err := Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	var models []string
	for _, m := range list.Models {
		models = append(models, filepath.Base(m.Model))
	}
	if !slices.Equal(models, []string{"good.gguf", "link.gguf"}) {
		t.Errorf("models: %v", models)
	}
	want := map[string]string{
		"half.gguf": "truncated", "empty.gguf": "an empty file", "damaged.gguf": "",
		"pointer.gguf": "a Git LFS pointer", "page.gguf": "a web page",
		"zeros.gguf": "begins with zeros", "words.gguf": "not a GGUF file",
		"split-00001-of-00003.gguf": "part 2 of 3 is missing",
		"folder.gguf":               "a folder, no file",
		"dangling.gguf":             `a link to "nowhere.gguf", which is not there`,
		"loop.gguf":                 "a link that leads back to itself",
		"pipe.gguf":                 "no regular file",
	}
	for _, u := range list.Unusable {
		reason, ok := want[filepath.Base(u.Path)]
		if !ok || !strings.Contains(u.Reason, reason) || strings.Contains(u.Reason, dir) ||
			!errors.Is(u.Err, ErrUnusable) {
			t.Errorf("%s: %q, %v", u.Path, u.Reason, u.Err)
		}
		if u.Growing {
			t.Errorf("%s is called growing", u.Path)
		}
		delete(want, filepath.Base(u.Path))
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
}

func TestAFileThatMayNotBeReadIsListed(t *testing.T) {
	dir := t.TempDir()
	writeModel(t, filepath.Join(dir, "good.gguf"), "llama", nil)
	secret := writeModel(t, filepath.Join(dir, "secret.gguf"), "llama", nil)
	if err := os.Chmod(secret, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	storetest.Unprivileged(t, func() {
		list, err := Folder(dir)
		if err != nil || len(list.Models) != 1 || len(list.Unusable) != 1 ||
			!strings.Contains(list.Unusable[0].Reason, "permission denied") {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestAFileThatIsStillGrowingIsUsedOnceItIsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	whole := readFile(t, writeModel(t, filepath.Join(t.TempDir(), "m.gguf"), "llama", nil))
	writeFile(t, path, whole[:len(whole)-3])
	r := NewFolderReader(dir)
	list, err := r.Read()
	if err != nil || len(list.Models) != 0 || len(list.Unusable) != 1 || !list.Unusable[0].Growing {
		t.Fatalf("%+v, %v", list, err)
	}
	writeFile(t, path, whole)
	if list, err = r.Read(); err != nil || len(list.Models) != 1 || len(list.Unusable) != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if list, err = r.Read(); err != nil || len(list.Models) != 0 || len(r.seen) != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, err := Folder(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// writeProjector writes a projector whose rows have a width.
func writeProjector(t *testing.T, path string, width int) {
	t.Helper()
	w := gguf.NewWriter("clip")
	w.Set("clip.projector_type", "mlp")
	w.AddTensor("mm.2.weight", gguf.F32, []uint64{2, uint64(width)}, make([]byte, 8*width))
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
}

func TestAProjectorGoesToTheModelOfItsName(t *testing.T) {
	for _, c := range []struct{ files, want string }{
		{"llava.gguf llava-v2.gguf mmproj-llava.gguf mmproj-llava-v2.gguf",
			"llava>mmproj-llava llava-v2>mmproj-llava-v2"},
		{"llava.gguf llava-v2.gguf mmproj-llava-v2.gguf", "llava> llava-v2>mmproj-llava-v2"},
		{"llava.gguf llava-v2.gguf mmproj-llava.gguf", "llava>mmproj-llava llava-v2>mmproj-llava"},
		{"llava-7b-Q4_K_M.gguf llava-7b-Q8_0.gguf mmproj-llava-7b-f16.gguf",
			"llava-7b-Q4_K_M>mmproj-llava-7b-f16 llava-7b-Q8_0>mmproj-llava-7b-f16"},
		{"llava-7b-Q4_K_M.gguf llava-7b-mmproj-f16.gguf llava-7b-mmproj-Q8_0.gguf",
			"llava-7b-Q4_K_M>llava-7b-mmproj-f16"},
		{"Llava-V1.5-7B.Q4_K_M.gguf llava-v1.5-7b-mmproj-model-f16.gguf",
			"Llava-V1.5-7B.Q4_K_M>llava-v1.5-7b-mmproj-model-f16"},
		{"llama-text.gguf mmproj-llava.gguf", "llama-text>"},
		{"a.gguf mmproj-axe.gguf", "a>"},
		{"ggml-model-q4_k.gguf mmproj-model-f16.gguf", "ggml-model-q4_k>mmproj-model-f16"},
		{"bakllava-q4_0.gguf mmproj.gguf", "bakllava-q4_0>mmproj"},
		{"bakllava-q4_0.gguf bakllava-q8_0.gguf mmproj-F16.gguf mmproj-F32.gguf",
			"bakllava-q4_0>mmproj-F16 bakllava-q8_0>mmproj-F16"},
		{"one-q4_0.gguf two-q4_0.gguf mmproj.gguf", "one-q4_0> two-q4_0>"},
		{"one-q4_0.gguf two-q4_0.gguf mmproj-one-f16.gguf mmproj-two-f16.gguf",
			"one-q4_0>mmproj-one-f16 two-q4_0>mmproj-two-f16"},
		{"narrow=8.gguf mmproj-narrow=16.gguf", "narrow=8>"},
		{"wide=16.gguf mmproj-wide=16.gguf", "wide=16>mmproj-wide=16"},
		{"text=8.gguf mmproj=16.gguf", "text=8>"},
	} {
		dir := t.TempDir()
		for _, name := range strings.Fields(c.files) {
			width := 0
			fmt.Sscanf(name[strings.IndexByte(name, '=')+1:], "%d", &width)
			switch path := filepath.Join(dir, name); {
			case !strings.Contains(name, "mmproj"):
				keys := map[string]any{}
				if width > 0 {
					keys["llama.embedding_length"] = uint32(width)
				}
				writeModel(t, path, "llama", keys)
			case width > 0:
				writeProjector(t, path, width)
			default:
				writeModel(t, path, "clip", nil)
			}
		}
		list, err := Folder(dir)
		if err != nil {
			t.Fatal(err)
		}
		stem := func(path string) string {
			if path == "" {
				return ""
			}
			return strings.TrimSuffix(filepath.Base(path), ".gguf")
		}
		var got []string
		for _, m := range list.Models {
			got = append(got, stem(m.Model)+">"+stem(m.Projector))
		}
		want := strings.Fields(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.files, got, want)
		}
	}
}

func TestNumbersOfParametersAsOthersWriteThem(t *testing.T) {
	p, err := ParseParams(
		[]byte(`{"top_k": 5.0, "num_ctx": "4096", "temperature": "0.5", "seed": "9007199254740993", "num_predict": "-1", "stop": "END", "min_p": null, "use_mmap": true}`))
	if err != nil || *p.TopK != 5 || *p.Context != 4096 || *p.Temperature != 0.5 ||
		*p.Seed != 9007199254740993 || *p.MaxTokens != -1 || p.Stop[0] != "END" || p.MinP != nil {
		t.Errorf("%+v, %v", p, err)
	}
	for _, text := range []string{`{"top_k": 5.5}`, `{"num_ctx": "many"}`, `{"seed": []}`,
		`{"top_p": "NaN"}`, `{"stop": {"a": 1}}`, `{"num_ctx": 1e300}`, `[]`,
		`{"num_gpu": 1.5}`, `{"device": 7}`, `{"tensor_split": "3,x"}`, `{"tensor_split": [-1]}`,
		`{"tensor_split": "Inf"}`, `{"tensor_split": ""}`} {
		if _, err := ParseParams([]byte(text)); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %v", text, err)
		}
	}
	placed, err := ParseParams([]byte(`{"num_gpu": "-1", "tensor_split": [3, 1], "device": "a"}`))
	if err != nil || *placed.NumGPU != -1 || !slices.Equal(placed.TensorSplit, Shares{3, 1}) ||
		*placed.Device != "a" || placed.VisionDevice != nil {
		t.Errorf("%+v, %v", placed, err)
	}
	device := "Vulkan0"
	full := Params{Stop: []string{"a"}, Device: &device, TensorSplit: Shares{3, 0.5}}
	data, err := json.Marshal(full)
	if back, backErr := ParseParams(data); err != nil || backErr != nil ||
		!reflect.DeepEqual(back, full) {
		t.Errorf("%+v, %v, %v", back, err, backErr)
	}
}

func TestAHostWithAPortInOllamasManifests(t *testing.T) {
	root, _ := ollamaStore(t)
	raw := readFile(t, filepath.Join(root, "manifests", "registry.ollama.ai", "library", "llava",
		"7b"))
	writeFile(t, filepath.Join(root, "manifests", "localhost:5000", "library", "llava", "13b"), raw)
	s, err := Open(Options{Root: filepath.Join(t.TempDir(), "models"), Ollama: root})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve("localhost:5000/library/llava:13b")
	if err != nil || r.System != "You look closely." {
		t.Fatalf("%+v, %v", r, err)
	}
	copied, err := s.Copy(t.Context(), "localhost:5000/library/llava:13b",
		mustName(t, "localhost:5000/team/mine:x"), false)
	if err != nil {
		t.Fatal(err)
	}
	if own, err := s.Resolve("localhost:5000/team/mine:x"); err != nil ||
		own.Digest != copied.Digest || own.Source != SourceStore {
		t.Errorf("%+v, %v", own, err)
	}
	mustBeWhole(t, s)
}

func TestLeftoversOfKilledImportsGoWithTheNextOne(t *testing.T) {
	s := newStore(t)
	left := writeFile(t, s.tempName(), "half a model")
	folder := filepath.Join(s.dir("partial"), "quantize-1.tmp")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "model.gguf"), "half a model")
	part := writeFile(t, s.partialPath(DigestOf([]byte("x"))), "a beginning")
	open, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
	if _, err := os.Stat(part); err != nil {
		t.Errorf("the beginning of a blob of known digest is gone: %v", err)
	}
	// While a session is open, a temporary file may be its own.
	mine := writeFile(t, s.tempName(), "being written")
	other, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("a file that is being written is gone: %v", err)
	}
	if err := errors.Join(open.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
}
