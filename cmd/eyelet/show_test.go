package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/models"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// command runs the command line in this process.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

const (
	seedModel     = "../../models/builtin/eyelet-builtin-q8_0.gguf"
	seedProjector = "../../models/builtin/mmproj-eyelet-builtin-q8_0.gguf"
)

// The figures are those with which the model was trained and exported.
func TestShowJSONDescribesTheSeedModel(t *testing.T) {
	peers.WithoutRaceDetector(t)
	code, out, errs := command(t, "show", "--json", seedModel)
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d, stderr %q", code, errs)
	}
	var got struct {
		Size         int64
		Architecture string
		FileType     string `json:"file_type"`
		Parameters   uint64
		Parts        []string
		Metadata     []struct {
			Key, Type   string
			ElementType string `json:"element_type"`
			Value       any
		}
		Types   []models.TypeSummary
		Tensors []models.TensorItem
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	if got.Size != info.Size() || got.Architecture != "llama" || got.FileType != "Q8_0" ||
		len(got.Parts) != 1 {
		t.Errorf("size %d, architecture %q, file type %q, parts %v", got.Size, got.Architecture,
			got.FileType, got.Parts)
	}
	values := map[string]any{}
	for _, item := range got.Metadata {
		values[item.Key] = item.Value
	}
	for key, want := range map[string]any{"llama.embedding_length": 256.0, "llama.block_count": 6.0,
		"tokenizer.ggml.add_bos_token": true} {
		if values[key] != want {
			t.Errorf("%s = %v, want %v", key, values[key], want)
		}
	}
	tokens, _ := values["tokenizer.ggml.tokens"].([]any)
	if len(tokens) != 1088 {
		t.Errorf("%d tokens, want all 1088", len(tokens))
	}
	// 6 layers of 9 tensors, embeddings, output norm and output.
	if len(got.Tensors) != 57 {
		t.Errorf("%d tensors", len(got.Tensors))
	}
	var elements uint64
	var tensors int
	for _, typ := range got.Types {
		elements, tensors = elements+typ.Elements, tensors+typ.Tensors
	}
	if elements != got.Parameters || tensors != len(got.Tensors) {
		t.Errorf("types sum up to %d elements in %d tensors, not %d in %d", elements, tensors,
			got.Parameters, len(got.Tensors))
	}
}

func TestShowPrintsTablesThatFit(t *testing.T) {
	peers.WithoutRaceDetector(t)
	for _, path := range []string{seedModel, seedProjector} {
		code, out, errs := command(t, "show", path)
		if code != 0 || errs != "" {
			t.Fatalf("exit code %d, stderr %q", code, errs)
		}
		for line := range strings.Lines(out) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 120 && !strings.HasPrefix(line,
				"File ") {
				t.Errorf("a line of %d characters: %s", n, line)
			}
		}
		for _, want := range []string{"Architecture", "general.name", "Q8_0", "share"} {
			if !strings.Contains(out, want) {
				t.Errorf("the output of %s lacks %q", path, want)
			}
		}
		if strings.Contains(out, ".weight") {
			t.Error("tensors are listed without --tensors")
		}
	}
	_, out, _ := command(t, "show", "--tensors", seedModel)
	if !strings.Contains(out, "blk.5.ffn_down.weight") {
		t.Error("--tensors lists no tensors")
	}
}

func TestShowKeepsHostileTextFromTheTerminal(t *testing.T) {
	peers.WithoutRaceDetector(t)
	path := filepath.Join(t.TempDir(), "hostile.gguf")
	w := gguf.NewWriter("llama")
	w.Set("general.name", "\x1b]0;owned\a\r\nFile  trusted.gguf")
	w.Set("llama.embedding_length", uint32(8))
	w.Set("list", []string{strings.Repeat("\x1b[2J", 10000), "b"})
	w.Set("empty", []uint32{})
	w.Set("long", strings.Repeat("ü", 100000))
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	code, out, errs := command(t, "show", "--tensors", path)
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d, stderr %q", code, errs)
	}
	if strings.ContainsAny(out, "\x1b\a\r") || strings.Contains(out, "\nFile  trusted") {
		t.Errorf("control characters reach the terminal: %q", out)
	}
	if len(out) > 4000 {
		t.Errorf("long values are not cut: %d bytes", len(out))
	}
}

func TestShowRefusesBadFiles(t *testing.T) {
	peers.WithoutRaceDetector(t)
	dir := t.TempDir()
	content, err := os.ReadFile(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name string
		path string
	}{
		{"a missing file", filepath.Join(dir, "missing.gguf")},
		{"a directory", dir},
		{"an empty file", write("empty.gguf", nil)},
		{"text", write("text.gguf", []byte("this is no model, but a longer text"))},
		{"a model cut in its metadata", write("cut.gguf", content[:5000])},
		{"a model cut in its tensors", write("cut-late.gguf", content[:len(content)-1])},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, out, errs := command(t, "show", test.path)
			if code != cli.ExitInput || out != "" {
				t.Errorf("exit code %d, stdout %q", code, out)
			}
			if !strings.HasPrefix(errs, "eyelet: ") || strings.Count(errs, "\n") != 1 ||
				!strings.Contains(errs, test.path) || !strings.Contains(errs, "; ") {
				t.Errorf("stderr %q: want one line that names %s and a remedy", errs, test.path)
			}
		})
	}
}

func TestShowRefusesWhatRunRefuses(t *testing.T) {
	peers.WithoutRaceDetector(t)
	dir := t.TempDir()
	write := func(name, arch string, keys map[string]any) string {
		w := gguf.NewWriter(arch)
		for key, value := range keys {
			w.Set(key, value)
		}
		path := filepath.Join(dir, name)
		if err := w.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sums := map[string]string{}
	for name, value := range map[string]float32{"good": 1, "nan": float32(math.NaN()), "minus": -1,
		"huge": 1e35} {
		w := gguf.NewWriter("")
		w.Set("general.type", "imatrix")
		for suffix, x := range map[string]float32{"in_sum2": value, "counts": 1} {
			w.AddTensor("blk.0.attn_q.weight."+suffix, gguf.F32, []uint64{1},
				binary.LittleEndian.AppendUint32(nil, math.Float32bits(x)))
		}
		sums[name] = filepath.Join(dir, name+".gguf")
		if err := w.WriteFile(sums[name]); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{
		sums["nan"], sums["minus"], sums["huge"],
		write("none.gguf", "", map[string]any{"general.type": "imatrix"}),
		write("width.gguf", "llama", nil),
		write("epsilon.gguf", "llama", map[string]any{"llama.embedding_length": uint32(8),
			"llama.attention.layer_norm_rms_epsilon": float32(-1)}),
		write("rotation.gguf", "llama", map[string]any{"llama.embedding_length": uint32(8),
			"llama.rope.dimension_count": uint32(3)}),
		write("tower.gguf", "clip",
			map[string]any{"clip.vision.attention.layer_norm_epsilon": float32(-1)}),
		write("tokens.gguf", "llama", map[string]any{"llama.embedding_length": uint32(8),
			"tokenizer.ggml.tokens": []string{"a", "", "b", "a"}}),
	} {
		code, out, errs := command(t, "show", path)
		if code != 3 || !strings.Contains(out, "Format") ||
			!strings.Contains(errs, filepath.Base(path)) {
			t.Errorf("%s: exit code %d, %q, %q", path, code, out, errs)
		}
		var got struct{ Problem string }
		if _, out, _ := command(t, "show", "--json", path); json.Unmarshal([]byte(out),
			&got) != nil || got.Problem == "" {
			t.Errorf("%s: %s", path, out)
		}
	}
	for _, path := range []string{
		sums["good"],
		write("adapter.gguf", "llama", map[string]any{"general.type": "adapter"}),
		write("unnamed.gguf", "llama", map[string]any{"llama.embedding_length": uint32(8),
			"tokenizer.ggml.tokens": []string{"a", "", "b", ""}}),
	} {
		if code, _, errs := command(t, "show", path); code != 0 {
			t.Errorf("%s: exit code %d, %q", path, code, errs)
		}
	}
}
