package convert_test

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// families are the folders of scripts/golden/convert_families.py.
var families = []string{"qwen2-vl", "qwen2-5-vl", "qwen3-vl", "gemma3", "gemma4", "gemma4-e",
	"glm4v", "internvl3", "pixtral", "mistral3", "idefics3"}

// familyFolder unpacks a folder of a family.
func familyFolder(t testing.TB, name string) string {
	t.Helper()
	archive, err := zip.OpenReader(filepath.Join("testdata", "families", name+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, archive); err != nil {
		t.Fatal(err)
	}
	return dir
}

func familyGolden(t testing.TB, name string) *golden {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "families", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	g := new(golden)
	if err := json.Unmarshal(data, g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestFilesOfFamiliesEqualThoseOfLlamaCpp compares every tensor, bit for bit, and every key of both
// files of each family with what llama.cpp's own converter makes of the same folder.
func TestFilesOfFamiliesEqualThoseOfLlamaCpp(t *testing.T) {
	for _, name := range append([]string{"qwen3"}, families...) {
		g := familyGolden(t, name)
		sees := name != "qwen3"
		if g.Model == nil || (g.MMProj != nil) != sees {
			t.Fatalf("%s: no files in the golden", name)
		}
		dir := familyFolder(t, name)
		for _, typ := range []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0} {
			t.Run(name+" "+typ.String(), func(t *testing.T) {
				r := convertFolder(t, dir, typ)
				compareFile(t, openFile(t, r.Model.Path), g.Model, typ)
				if (r.Projector != nil) != sees {
					t.Fatalf("projector: %+v", r.Projector)
				}
				if sees {
					compareFile(t, openFile(t, r.Projector.Path), g.MMProj, typ)
				}
			})
		}
	}
}

// renameTensors gives the tensors of a folder other names, and puts every second of them into a
// second file, with the index that such folders have.
func renameTensors(t *testing.T, dir string, names ...string) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(data)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+size], &header); err != nil {
		t.Fatal(err)
	}
	data = data[8+size:]
	renamer := strings.NewReplacer(names...)
	var parts [2]struct {
		header map[string]any
		data   []byte
	}
	index := map[string]string{}
	renamed := 0
	for i, name := range slices.Sorted(maps.Keys(header)) {
		if name == "__metadata__" {
			continue
		}
		var x struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(header[name], &x); err != nil {
			t.Fatal(err)
		}
		p := &parts[i%2]
		if p.header == nil {
			p.header = map[string]any{}
		}
		to := renamer.Replace(name)
		if to != name {
			renamed++
		}
		from := len(p.data)
		p.data = append(p.data, data[x.Offsets[0]:x.Offsets[1]]...)
		p.header[to] = map[string]any{"dtype": x.DType, "shape": x.Shape,
			"data_offsets": []int{from, len(p.data)}}
		index[to] = fmt.Sprintf("model-%05d-of-00002.safetensors", i%2+1)
	}
	if renamed == 0 && len(names) > 0 {
		t.Fatalf("no tensor has any of the names %q", names)
	}
	for i, p := range parts {
		text, err := json.Marshal(p.header)
		if err != nil {
			t.Fatal(err)
		}
		file := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
		file = append(append(file, text...), p.data...)
		writeFile(t, filepath.Join(dir, fmt.Sprintf("model-%05d-of-00002.safetensors", i+1)), file)
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "model.safetensors.index.json"), text)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// editJSON rewrites a file of a folder.
func editJSON(t *testing.T, path string, edit func(m map[string]any)) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	edit(m)
	if data, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, data)
}

// earlier writes config.json as version 4 of transformers did: rope_theta, rope_scaling and
// torch_dtype for rope_parameters and dtype, and without what equals defaults that differ from one
// version to the next.
func earlier(m map[string]any) {
	m["torch_dtype"] = m["dtype"]
	delete(m, "dtype")
	text := m["text_config"].(map[string]any)
	delete(text, "layer_types")
	rope := text["rope_parameters"].(map[string]any)
	delete(text, "rope_parameters")
	if local, ok := rope["sliding_attention"].(map[string]any); ok {
		text["rope_local_base_freq"] = local["rope_theta"]
		rope = rope["full_attention"].(map[string]any)
	}
	for _, key := range []string{"rope_theta", "partial_rotary_factor"} {
		if value, ok := rope[key]; ok {
			text[key] = value
			delete(rope, key)
		}
	}
	if kind := rope["rope_type"]; rope["mrope_section"] != nil {
		rope["type"] = "mrope"
		delete(rope, "rope_type")
	} else if kind == "default" {
		return
	}
	text["rope_scaling"] = rope
}

// together writes Gemma 4's config.json as earlier releases of version 5 did: the heads of layers
// without a window as two numbers.
func together(m map[string]any) {
	text := m["text_config"].(map[string]any)
	for _, layer := range text["per_layer_config"].(map[string]any) {
		heads := layer.(map[string]any)
		text["global_head_dim"] = heads["head_dim"]
		text["num_global_key_value_heads"] = heads["num_key_value_heads"]
	}
	delete(text, "per_layer_config")
}

// flat is earlier's for Qwen before version 4.52: the language model's numbers stand beside the
// tower's.
func flat(m map[string]any) {
	earlier(m)
	for key, value := range m["text_config"].(map[string]any) {
		if key != "model_type" {
			m[key] = value
		}
	}
	delete(m, "text_config")
	vision := m["vision_config"].(map[string]any)
	for _, key := range []string{"rope_parameters", "model_type", "in_channels"} {
		delete(vision, key)
	}
	vision["in_chans"], vision["spatial_patch_size"] = 3, vision["patch_size"]
}

// TestFoldersOfEveryVersionGiveTheSameFiles has the spellings of names, configurations and
// processors that versions 4 and 5 of transformers wrote for the same models, and weights in one
// file and in two.
func TestFoldersOfEveryVersionGiveTheSameFiles(t *testing.T) {
	inner := []string{"language_model.model.", "model.language_model.", "language_model.lm_head.",
		"lm_head.", "vision_tower.", "model.vision_tower.", "multi_modal_projector.",
		"model.multi_modal_projector."}
	for _, c := range []struct {
		name, family string
		names        []string
		config       func(m map[string]any)
	}{
		{"Qwen2-VL as published", "qwen2-vl", nil, flat},
		{"Qwen2-VL with inner names", "qwen2-vl", []string{"visual.", "model.visual.",
			"model.layers.", "model.language_model.layers.", "model.norm.",
			"model.language_model.norm.", "model.embed_tokens.",
			"model.language_model.embed_tokens."}, earlier},
		{"Qwen2.5-VL as published", "qwen2-5-vl", nil, flat},
		{"Qwen2.5-VL with inner names", "qwen2-5-vl", []string{"visual.", "model.visual.",
			"model.layers.", "model.language_model.layers.", "model.norm.",
			"model.language_model.norm.", "model.embed_tokens.",
			"model.language_model.embed_tokens."}, earlier},
		{"Qwen3-VL as published", "qwen3-vl", nil, earlier},
		{"Gemma 3 as published", "gemma3", []string{"vision_tower.", "vision_tower.vision_model."},
			earlier},
		{"Gemma 3 with inner names", "gemma3",
			append([]string{"vision_tower.", "model.vision_tower.vision_model."}, inner...),
			earlier},
		{"InternVL3 as published", "internvl3", nil, earlier},
		{"InternVL3 with inner names", "internvl3", inner, earlier},
		{"Pixtral as published", "pixtral", nil, earlier},
		{"Pixtral with inner names", "pixtral", inner, earlier},
		{"Mistral 3 as published", "mistral3", nil, earlier},
		{"Mistral 3 with inner names", "mistral3", inner, earlier},
		{"Idefics3 as published", "idefics3", nil, earlier},
		{"GLM-4V as published", "glm4v", nil, earlier},
		{"Gemma 4 as published", "gemma4", nil, together},
		{"Gemma 4 E as published", "gemma4-e", nil, together},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := familyFolder(t, c.family)
			renameTensors(t, dir, c.names...)
			editJSON(t, filepath.Join(dir, "config.json"), c.config)
			processor := filepath.Join(dir, "processor_config.json")
			editJSON(t, processor, func(m map[string]any) {
				images, err := json.Marshal(m["image_processor"])
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, filepath.Join(dir, "preprocessor_config.json"), images)
				delete(m, "image_processor")
			})
			g := familyGolden(t, c.family)
			r := convertFolder(t, dir, gguf.BF16)
			compareFile(t, openFile(t, r.Model.Path), g.Model, gguf.BF16)
			compareFile(t, openFile(t, r.Projector.Path), g.MMProj, gguf.BF16)
		})
	}
}

// TestTowersOpenWhatWasConverted opens every projector as the engine does: with its layout, its
// native tower, and libmtmd beside the language model.
func TestTowersOpenWhatWasConverted(t *testing.T) {
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			r := convertFolder(t, familyFolder(t, name), gguf.F16)
			f := openFile(t, r.Projector.Path)
			rule, err := layout.New(f, layout.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if plan, err := rule.Plan(60, 40); err != nil || plan.Tokens() < 1 {
				t.Errorf("%v, %v", plan, err)
			}
			m := loadModel(t, r.Model.Path)
			tower, err := vision.OpenNative(r.Projector.Path,
				vision.NativeOptions{Precision: nn.F32, Threads: 2})
			switch {
			case err == nil:
				defer tower.Close()
				if width := tower.Info().Width; width != m.NEmbdInp() {
					t.Errorf("rows of %d for a model that takes %d", width, m.NEmbdInp())
				}
			case !strings.HasPrefix(name, "gemma4") || !errors.Is(err, vision.ErrUnknownTower):
				t.Fatal(err) // Gemma 4's with bounds or a scale are libmtmd's
			}
			c, err := mtmd.New(t.Context(), r.Projector.Path, m, mtmd.Params{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		})
	}
}

// TestNumbersOfProcessorsReachTheFiles checks the keys of processors that change how pictures are
// laid out.
func TestNumbersOfProcessorsReachTheFiles(t *testing.T) {
	for _, c := range []struct {
		family string
		change map[string]any
		tokens [2]int // of a picture of 640 x 480, before and after
	}{
		{"qwen2-vl", map[string]any{"min_pixels": 3136, "max_pixels": 64 * 256}, [2]int{1200, 54}},
		{"qwen2-5-vl", map[string]any{"size": map[string]any{"shortest_edge": 3136,
			"longest_edge": 64 * 256}}, [2]int{1200, 54}},
		{"qwen3-vl", map[string]any{"size": map[string]any{"shortest_edge": 640 * 480 * 4,
			"longest_edge": 16777216}}, [2]int{1200, 4800}},
		{"internvl3", map[string]any{"max_patches": 4}, [2]int{52, 20}},
	} {
		t.Run(c.family, func(t *testing.T) {
			for i, want := range c.tokens {
				dir := familyFolder(t, c.family)
				if i == 1 {
					editJSON(t, filepath.Join(dir, "processor_config.json"),
						func(m map[string]any) {
							maps.Copy(m["image_processor"].(map[string]any), c.change)
						})
				}
				l, err := layout.New(openFile(t, convertFolder(t, dir, gguf.F16).Projector.Path),
					layout.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if plan, err := l.Plan(640, 480); err != nil || plan.Tokens() != want {
					t.Errorf("%d tokens, want %d (%v)", plan.Tokens(), want, err)
				}
			}
		})
	}
}

// TestGemmasTokenizerJSONServesWithoutTokenizerModel compares the ids that libllama gives a text
// with either of the two files.
func TestGemmasTokenizerJSONServesWithoutTokenizerModel(t *testing.T) {
	dir := familyFolder(t, "gemma3")
	const text = "<start_of_turn>user\n\n\nHe said:  \"we'll see 3 tigers and l'été\" 漢 <end_of_turn>\n"
	var ids [2][]llama.Token
	for i := range ids {
		m := loadModel(t, convertFolder(t, dir, gguf.F16).Model.Path)
		var err error
		if ids[i], err = m.Vocab().Tokenize(text, true, true); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := os.Remove(filepath.Join(dir, "tokenizer.model")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(ids[0]) < 30 || !slices.Equal(ids[0], ids[1]) {
		t.Errorf("%v with tokenizer.model, %v without", ids[0], ids[1])
	}
}
