package convert_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/convert"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/safetensors"
)

// copyFolder copies a golden folder, where its files can be changed.
func copyFolder(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// replace replaces a text in a file.
func replace(t *testing.T, path, old, new string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("no %q in %s", old, path)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)),
		0o600); err != nil {
		t.Fatal(err)
	}
}

// poke sets the first element of a tensor of float32.
func poke(t *testing.T, path, name string, value float32) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensor, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, offset, _ := tensor.Reader().Outer()
	binary.LittleEndian.PutUint32(data[offset:], math.Float32bits(value))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFoldersThatCannotBeConvertedAreErrorsAndLeaveNothing(t *testing.T) {
	const embedding = "model.embed_tokens.weight"
	tests := []struct {
		name, folder string
		typ          gguf.Type
		spoil        func(dir string)
		want         error
		says         string
	}{
		{"a layer too few", "llama3", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", `"num_hidden_layers": 2`, `"num_hidden_layers": 3`)
		},
			convert.ErrWeights, "no tensor layers.2.input_layernorm.weight of the language model, which a LlamaForCausalLM (llama) needs"},
		{"a layer too many", "llama3", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", `"num_hidden_layers": 2`, `"num_hidden_layers": 1`)
		},
			convert.ErrWeights, `tensor "model.layers.1.`},
		{"another width", "llama3", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", `"hidden_size": 32`, `"hidden_size": 64`)
		},
			convert.ErrWeights, `tensor "model.embed_tokens.weight" has the shape [363 32], and config.json calls for [363 64]`},
		{"another vocabulary", "llama3", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", `"vocab_size": 363`, `"vocab_size": 364`)
		},
			convert.ErrWeights, "[364 32]"},
		{"a vocabulary smaller than the tokenizer's", "llama3", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", `"vocab_size": 363`, `"vocab_size": 300`)
		},
			hf.ErrInvalid, "vocab_size is 300"},
		{"no biases", "llama3", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", "LlamaForCausalLM", "Qwen2ForCausalLM")
			replace(t, dir+"/config.json", `"llama3"`, `"default"`)
		}, convert.ErrWeights, "no tensor layers.0.self_attn.q_proj.bias of the language model"},
		{"another grid of patches", "llava15", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", `"image_size": 28`, `"image_size": 35`)
			replace(t, dir+"/preprocessor_config.json", `"shortest_edge": 28`,
				`"shortest_edge": 35`)
			replace(t, dir+"/preprocessor_config.json", `"do_center_crop": true`,
				`"do_center_crop": false`)
		}, convert.ErrWeights, "position_embedding"},
		{"pictures of another size than the tower's", "llava15", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", `"image_size": 28`, `"image_size": 35`)
		},
			hf.ErrUnsupported, "where the tower takes pictures of 35"},
		{"no block that is read", "llava15", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", `"vision_feature_layer": -2`,
				`"vision_feature_layer": 0`)
		},
			convert.ErrWeights, "vision_feature_layer names the embedding"},
		{"no newline", "llava15", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", "LlavaForConditionalGeneration",
				"LlavaNextForConditionalGeneration")
			replace(t, dir+"/preprocessor_config.json", "CLIPImageProcessor",
				"LlavaNextImageProcessor")
		}, convert.ErrWeights, "no tensor image_newline"},
		{"a newline that no one needs", "llava16", gguf.F16, func(dir string) {
			replace(t, dir+"/config.json", "LlavaNextForConditionalGeneration",
				"LlavaForConditionalGeneration")
			replace(t, dir+"/preprocessor_config.json", "LlavaNextImageProcessor",
				"CLIPImageProcessor")
		}, convert.ErrWeights, `"image_newline" is no part of a LlavaForConditionalGeneration`},
		{"a tensor under two names", "llama3", gguf.F16, func(dir string) {
			const old = `"model.layers.0.input_layernorm.weight"`
			replace(t, dir+"/model.safetensors", old, fmt.Sprintf("%-*s", len(old),
				`"model.text_model.norm.weight"`))
		}, convert.ErrWeights, "are the same part of the model"},
		{"no preprocessor", "llava15", gguf.F16, func(dir string) {
			if err := os.Remove(dir + "/preprocessor_config.json"); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrNotExist, "neither preprocessor_config.json nor processor_config.json"},
		{"no weights", "llama3", gguf.F16, func(dir string) {
			if err := os.Remove(dir + "/model.safetensors"); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrNotExist, "neither model.safetensors nor model.safetensors.index.json"},
		{"a part missing", "llava15", gguf.F16, func(dir string) {
			if err := os.Remove(dir + "/model-00002-of-00003.safetensors"); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrNotExist, "model-00002-of-00003.safetensors, which model.safetensors.index.json lists"},
		{"weights cut short", "llama3", gguf.F16, func(dir string) {
			if err := os.Truncate(dir+"/model.safetensors", 60000); err != nil {
				t.Fatal(err)
			}
		}, safetensors.ErrTruncated, "model.safetensors"},
		{"integers for weights", "qwen2", gguf.F16, func(dir string) {
			replace(t, dir+"/model.safetensors", `"F32"`, `"I32"`)
		},
			convert.ErrWeights, "is of type I32"},
		{"a value too large for halves", "qwen2", gguf.F16, func(dir string) {
			poke(t, dir+"/model.safetensors", embedding, -1e5)
		}, nil,
			"-100000, which does not fit F16; convert to BF16"},
		{"a value too large for 8 bits", "qwen2", gguf.Q8_0, func(dir string) {
			poke(t, dir+"/model.safetensors", embedding, 1e30)
		}, nil, embedding},
		{"no number for 8 bits", "qwen2", gguf.Q8_0, func(dir string) {
			poke(t, dir+"/model.safetensors", embedding, float32(math.NaN()))
		}, nil, embedding},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, out := copyFolder(t, tt.folder), t.TempDir()
			tt.spoil(dir)
			_, err := convert.Run(context.Background(), convert.Options{Dir: dir,
				Model: filepath.Join(out, "out.gguf"), Type: tt.typ})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) ||
				!strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v that says %q", err, tt.want, tt.says)
			}
			mustBeEmpty(t, out)
		})
	}
}

// A processor that does not cut pictures makes one view of them.
func TestPicturesAreCutAsTheProcessorSays(t *testing.T) {
	for split, views := range map[string]int{"true": 0, "false": 1} {
		dir, out := copyFolder(t, "smolvlm"), t.TempDir()
		replace(t, dir+"/preprocessor_config.json", `"do_resize": true`,
			`"do_resize": true, "do_image_splitting": `+split)
		projector := filepath.Join(out, "mmproj.gguf")
		if _, err := convert.Run(t.Context(), convert.Options{Dir: dir, Model: filepath.Join(out,
			"out.gguf"), Projector: projector, Type: gguf.F16}); err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Open(projector)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l, err := layout.New(f, layout.Options{})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := l.Plan(640, 480)
		if err != nil || views == 1 && len(plan.Views) != 1 || views == 0 && len(plan.Views) < 5 {
			t.Errorf("do_image_splitting %s: %d views, %v", split, len(plan.Views), err)
		}
	}
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
}

func TestAnInterruptionLeavesNothing(t *testing.T) {
	// Stopped at the first bytes, and in the second file.
	for _, after := range []float64{0, 0.9} {
		out := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		_, err := convert.Run(ctx, convert.Options{Dir: "testdata/llava15",
			Model: filepath.Join(out, "out.gguf"), Type: gguf.F16,
			Progress: func(done, total int64) {
				if float64(done) > after*float64(total) {
					cancel()
				}
			}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		mustBeEmpty(t, out)
		cancel()
	}
}

func TestAFileThatCannotBeWrittenLeavesNothing(t *testing.T) {
	out := t.TempDir()
	for _, o := range []convert.Options{
		{Model: filepath.Join(out, "out.gguf"), Projector: filepath.Join(out, "missing",
			"tower.gguf")},
		{Model: filepath.Join(out, "missing", "out.gguf"), Projector: filepath.Join(out,
			"tower.gguf")},
	} {
		o.Dir, o.Type = "testdata/llava15", gguf.F16
		if _, err := convert.Run(context.Background(), o); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
		mustBeEmpty(t, out)
	}
}

func TestFilesThatAreThereStay(t *testing.T) {
	for _, name := range []string{"out.gguf", "mmproj-out.gguf"} {
		out := t.TempDir()
		path := filepath.Join(out, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		o := convert.Options{Dir: "testdata/llava15", Model: filepath.Join(out, "out.gguf"),
			Type: gguf.F16}
		if _, err := convert.Run(context.Background(), o); !errors.Is(err, convert.ErrExists) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%v", err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "x" {
			t.Errorf("%s holds %q (%v)", name, data, err)
		}
		o.Force = true
		if _, err := convert.Run(context.Background(), o); err != nil {
			t.Error(err)
		}
		openFile(t, path)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for want, o := range map[string]convert.Options{
		"type Q4_K": {Dir: "testdata/llama3", Model: "x.gguf", Type: gguf.Q4_K},
		"no path":   {Dir: "testdata/llama3", Type: gguf.F16},
		"both the model and the": {Dir: "testdata/llama3", Model: "x.gguf",
			Projector: "./x.gguf", Type: gguf.F16},
		"is a file; give the":       {Dir: "testdata/llama3.json", Model: "x.gguf", Type: gguf.F16},
		"no such file or directory": {Dir: "testdata/none", Model: "x.gguf", Type: gguf.F16},
	} {
		if _, err := convert.Run(context.Background(), o); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error that says %q", o, err, want)
		}
	}
}

func TestProgressReachesTheEnd(t *testing.T) {
	var last, whole int64
	r, err := convert.Run(context.Background(), convert.Options{Dir: "testdata/llava16",
		Model: filepath.Join(t.TempDir(), "out.gguf"), Type: gguf.Q8_0,
		Progress: func(done, total int64) {
			if done < last || done > total || total != whole && whole != 0 {
				t.Errorf("%d of %d after %d of %d", done, total, last, whole)
			}
			last, whole = done, total
		}})
	if err != nil || last != whole || whole == 0 {
		t.Errorf("%d of %d, %v", last, whole, err)
	}
	if info, err := os.Stat(r.Model.Path); err != nil || info.Size() != r.Model.Bytes ||
		r.Projector == nil || r.Model.Parameters < 40000 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestTokenizerJSONServesWithoutTokenizerModel compares a Llama tokenizer that is
// there as tokenizer.json alone with tokenizer.model, from which it was made.
// llama.cpp's converter gives its tokens equal scores, with which llama.cpp
// merges from left to right and not as the model was trained.
func TestTokenizerJSONServesWithoutTokenizerModel(t *testing.T) {
	g := readGolden(t, "llama-spm")
	dir := copyFolder(t, "llama-spm")
	if err := os.Remove(filepath.Join(dir, "tokenizer.model")); err != nil {
		t.Fatal(err)
	}
	r := convertFolder(t, dir, gguf.F16)
	f := openFile(t, r.Model.Path)
	tokens, _ := f.Strings("tokenizer.ggml.tokens")
	if want := plainStrings(g.Model.Metadata["tokenizer.ggml.tokens"].Value); !slices.Equal(tokens,
		want) {
		t.Errorf("tokens %q, want %q", tokens, want)
	}
	types, _ := f.Ints("tokenizer.ggml.token_type")
	if got, want := fmt.Sprint(types),
		fmt.Sprint(g.Model.Metadata["tokenizer.ggml.token_type"].Value); got != want {
		t.Errorf("types %s, want %s", got, want)
	}
	// SentencePiece numbers the pieces that merges make in the order of its scores, and puts
	// letters behind them.
	scores, _ := f.Floats("tokenizer.ggml.scores")
	merged := 0
	for id := 1; id < len(tokens); id++ {
		if types[id-1] == int64(hf.Normal) && types[id] == int64(hf.Normal) &&
			utf8.RuneCountInString(tokens[id]) > 1 {
			if merged++; scores[id] >= scores[id-1] {
				t.Errorf("%q has the score %v, and %q before it %v", tokens[id], scores[id],
					tokens[id-1], scores[id-1])
			}
		}
	}
	if merged < 30 {
		t.Errorf("%d tokens that merges make", merged)
	}
	ids, err := loadModel(t, r.Model.Path).Vocab().Tokenize(g.Answers.Text, false, true)
	if err != nil || fmt.Sprint(ids) != fmt.Sprint(g.Answers.IDs) {
		t.Errorf("%v, want %v (%v)", ids, g.Answers.IDs, err)
	}
}

func plainStrings(list any) (out []string) {
	for _, s := range list.([]any) {
		out = append(out, s.(string))
	}
	return out
}

func TestAProjectorWithoutBiasesGetsZeros(t *testing.T) {
	dir := copyFolder(t, "llava15")
	replace(t, dir+"/config.json", `"projector_hidden_act"`,
		`"multimodal_projector_bias": false, "projector_hidden_act"`)
	files, err := filepath.Glob(dir + "/model*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			name := fmt.Sprintf(`"multi_modal_projector.linear_%d.bias"`, i+1)
			// which converters pass over
			other := fmt.Sprintf("%-*s", len(name), fmt.Sprintf(`"%d.rotary_emb.inv_freq"`, i))
			data = bytes.ReplaceAll(data, []byte(name), []byte(other))
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := convertFolder(t, dir, gguf.F16)
	f, err := gguf.Open(r.Projector.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"mm.0.bias", "mm.2.bias"} {
		b, ok := f.Tensor(name)
		if !ok || b.Type != gguf.F32 || b.Elements() != 32 {
			t.Fatalf("%s: %+v", name, b)
		}
		data := b.Data()
		if len(bytes.Trim(data, "\x00")) != 0 {
			t.Errorf("%s: % x", name, data)
		}
	}
}
