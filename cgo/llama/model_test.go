package llama_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

func TestModelDescribesTheBuiltInModel(t *testing.T) {
	m := seedModel(t)
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"NEmbd", m.NEmbd(), 256}, {"NEmbdInp", m.NEmbdInp(), 256}, {"NEmbdOut", m.NEmbdOut(), 256},
		{"NLayer", m.NLayer(), 6}, {"NHead", m.NHead(), 4},
		{"NHeadKV", m.NHeadKV(), 2}, {"NCtxTrain", m.NCtxTrain(), 2048}, {"NSWA", m.NSWA(), 0},
		{"RopeType", m.RopeType(), llama.RopeType(0)},
		{"NPosPerEmbd", m.NPosPerEmbd(), 1}, {"FileType", m.FileType(), "Q8_0"},
		{"HasEncoder", m.HasEncoder(), false}, {"HasDecoder", m.HasDecoder(), true},
		{"IsRecurrent", m.IsRecurrent(), false}, {"IsHybrid", m.IsHybrid(), false},
		{"NParams", m.NParams(), uint64(5278976)}, {"Path", m.Path(), seedPath},
	} {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.what, c.got, c.want)
		}
	}
	if m.Size() < 5e6 || m.Size() > 6e6 {
		t.Errorf("Size is %d", m.Size())
	}
	if !strings.HasPrefix(m.Description(), "llama") {
		t.Errorf("Description is %q", m.Description())
	}
}

func TestModelMetadata(t *testing.T) {
	m := seedModel(t)
	if v, ok := m.Meta("llama.block_count"); !ok || v != "6" {
		t.Errorf("llama.block_count is %q, %v", v, ok)
	}
	if _, ok := m.Meta("no.such.key"); ok {
		t.Error("a key that is not there was found")
	}
	all := m.Metadata()
	if all["general.architecture"] != "llama" || len(all) < 15 {
		t.Errorf("Metadata has %d entries, architecture %q", len(all), all["general.architecture"])
	}
	template, ok := m.ChatTemplate("")
	if whole := all["tokenizer.chat_template"]; !ok || template != whole || len(template) < 200 {
		t.Errorf("the chat template has %d bytes, the metadata %d", len(template), len(whole))
	}
	if _, ok := m.ChatTemplate("tool_use"); ok {
		t.Error("a template that is not there was found")
	}
}

func TestLoadReportsProgressUpToOne(t *testing.T) {
	var fractions []float64
	loadModel(t, seedPath, llama.ModelParams{Progress: func(f float64) {
		growStack(64)
		runtime.GC()
		fractions = append(fractions, f)
	}})
	if len(fractions) < 3 || !slices.IsSorted(fractions) || fractions[len(fractions)-1] != 1 {
		t.Errorf("progress was %v", fractions)
	}
}

// growStack makes the runtime copy the goroutine's stack, and look at every pointer on it, inside a
// callback from C.
func growStack(depth int) byte {
	var frame [2048]byte
	if depth > 0 {
		frame[0] = growStack(depth - 1)
	}
	return frame[depth%len(frame)]
}

func TestLoadStopsWhenItsContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	m, err := llama.LoadModel(ctx, seedPath, llama.ModelParams{LoadMode: llama.LoadRead,
		Progress: func(f float64) {
			if calls++; f > 0.3 {
				cancel()
			}
		}})
	if !errors.Is(err, context.Canceled) || m != nil {
		t.Fatalf("got %v, %v", m, err)
	}
	after := calls
	if _, err := llama.LoadModel(ctx, seedPath, llama.ModelParams{Progress: func(float64) {
		calls++
	}}); !errors.Is(err, context.Canceled) || calls != after {
		t.Errorf("with a context already done: %v", err)
	}
}

func TestLoadModesAgree(t *testing.T) {
	want := fresh(t, tokenize(t, prompt))
	for _, mode := range []llama.LoadMode{llama.LoadAuto, llama.LoadRead, llama.LoadMmap,
		llama.LoadDirectIO} {
		for _, plain := range []bool{false, true} {
			m := loadModel(t, seedPath, llama.ModelParams{LoadMode: mode, NoRepack: plain,
				CheckTensors: plain, GPULayers: llama.NoGPULayers})
			c := newContext(t, m, llama.ContextParams{NCtx: 256})
			same(t, "another load mode", decode(t, c, tokenize(t, prompt), 0, 0), want)
			c.Close()
		}
	}
	cpu := slices.IndexFunc(ggml.Devices(), func(d ggml.Device) bool { return d.Type == ggml.CPU })
	m := loadModel(t, seedPath, llama.ModelParams{Devices: []ggml.Device{ggml.Devices()[cpu]},
		TensorSplit: []float32{1}})
	c := newContext(t, m, llama.ContextParams{NCtx: 256})
	same(t, "an explicit device", decode(t, c, tokenize(t, prompt), 0, 0), want)
}

func TestLoadRefusesWhatIsNoModel(t *testing.T) {
	whole, err := os.ReadFile(seedPath)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	garbage := slices.Concat(whole[:4], []byte(strings.Repeat("\xff\x13\x37", 4096)))
	cases := map[string]string{
		"a missing file":               filepath.Join(dir, "missing.gguf"),
		"a directory":                  dir,
		"an empty file":                write("empty", nil),
		"text":                         write("text", []byte("this is no model at all")),
		"a lone magic":                 write("magic", whole[:4]),
		"garbage after the magic":      write("garbage", garbage),
		"a projector, which is no LLM": "../../models/builtin/mmproj-eyelet-builtin-q8_0.gguf",
		"a path with a NUL":            seedPath + "\x00",
	}
	for _, n := range []int{8, 24, 25, 100, 1000, 10_000, 20_000, 100_000, len(whole) / 2,
		len(whole) - 1} {
		cases["the first "+strings.Repeat("I", len(cases))+" bytes"] =
			write("cut"+strings.Repeat("I", len(cases)), whole[:n])
	}
	for name, path := range cases {
		m, err := llama.LoadModel(context.Background(), path, llama.ModelParams{})
		if err == nil {
			m.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), strings.TrimSuffix(path, "\x00")) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
}

func TestLoadSurvivesFlippedMetadata(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	whole, err := os.ReadFile(seedPath)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "flipped.gguf")
	for at := 4; at < 1200; at += 23 {
		flipped := slices.Clone(whole)
		flipped[at] ^= 0x41
		if err := os.WriteFile(path, flipped, 0o644); err != nil {
			t.Fatal(err)
		}
		if m, err := llama.LoadModel(context.Background(), path, llama.ModelParams{}); err == nil {
			m.Close()
		}
	}
}

func TestOverrides(t *testing.T) {
	m := loadModel(t, seedPath, llama.ModelParams{Overrides: map[string]any{
		"llama.context_length": 64, "tokenizer.ggml.add_bos_token": false,
		"general.name": "renamed", "llama.rope.freq_base": 500.0}})
	if m.NCtxTrain() != 64 {
		t.Errorf("NCtxTrain is %d", m.NCtxTrain())
	}
	if m.Vocab().AddBOS() {
		t.Error("BOS is still added")
	}
	for name, overrides := range map[string]map[string]any{
		"an empty key":                  {"": 1},
		"a key too long":                {strings.Repeat("k", 128): 1},
		"a text too long":               {"general.name": strings.Repeat("v", 128)},
		"a value of another type":       {"general.name": []int{1}},
		"a key of another type":         {"llama.block_count": "six"},
		"no layers":                     {"llama.block_count": 0},
		"too many layers":               {"llama.block_count": 100000},
		"no heads":                      {"llama.attention.head_count": 0},
		"heads that do not divide":      {"llama.attention.head_count": 7},
		"more KV heads than heads":      {"llama.attention.head_count_kv": 64},
		"another width":                 {"llama.embedding_length": 512},
		"an unknown architecture":       {"general.architecture": "nonesuch"},
		"an unknown tokenizer":          {"tokenizer.ggml.model": "nonesuch"},
		"a special token out of range":  {"tokenizer.ggml.bos_token_id": 1 << 30},
		"rope of more than a head":      {"llama.rope.dimension_count": 128},
		"a negative width of attention": {"llama.attention.key_length": -64},
	} {
		m, err := llama.LoadModel(context.Background(), seedPath,
			llama.ModelParams{Overrides: overrides})
		if err == nil { // libllama may ignore it, but must then be able to work with it
			if c, err := llama.NewContext(m, llama.ContextParams{NCtx: 64}); err == nil {
				t.Logf("%s: accepted", name)
				decode(t, c, []llama.Token{1, 5, 9}, 0, 0)
				c.Close()
			}
			m.Close()
		}
	}
}

func TestVocabOnlyTakesNoContext(t *testing.T) {
	m := loadModel(t, seedPath, llama.ModelParams{VocabOnly: true})
	tokens, err := m.Vocab().Tokenize("hello", true, false)
	if err != nil || !slices.Equal(tokens, tokenize(t, "hello")) {
		t.Errorf("tokens %v, %v", tokens, err)
	}
	_, err = llama.NewContext(m, llama.ContextParams{})
	wantError(t, err, nil)
}

func TestVersionAndLimits(t *testing.T) {
	if v := llama.Version(); !strings.Contains(v, ".") {
		t.Errorf("Version is %q", v)
	}
	if llama.MaxSequences() < 64 {
		t.Errorf("MaxSequences is %d", llama.MaxSequences())
	}
}
