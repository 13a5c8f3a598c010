package hf

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// ofAKind tells whether an error is of the documented kinds.
func ofAKind(err error) bool {
	return errors.Is(err, ErrInvalid) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrLimit)
}

// FuzzConfig checks that no config.json crashes the reader, and that what is
// read keeps its bounds.
func FuzzConfig(f *testing.F) {
	for _, file := range []string{llava15, llava16, llama3, smolvlm, qwen25vl, gemma3VL, gemma4VL,
		glm4VL, "{}", "null"} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig("fuzz", data)
		if err != nil {
			if !ofAKind(err) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		x := &c.Text
		if x.Vocab < 1 || x.Vocab > maxVocab || x.Hidden < 1 || x.Heads < 1 || x.KVHeads < 1 ||
			x.HeadDim < 2 || x.Heads*x.HeadDim > maxWidth ||
			x.Layers < 1 || x.Layers > maxLayers || x.Rope.Theta <= 0 {
			t.Fatalf("%+v", c)
		}
		if v := c.Vision; v != nil {
			if v.PatchSize < 1 || v.ImageSize != 0 && v.PatchSize > v.ImageSize ||
				v.Hidden%v.Heads != 0 || len(v.Pinpoints)%2 != 0 ||
				(v.Features == nil) != (v.ScaleFactor > 0) {
				t.Fatalf("%+v", v)
			}
			for _, k := range v.Features {
				if k < 0 || k > v.Layers {
					t.Fatalf("%+v", v)
				}
			}
		}
	})
}

// FuzzTokenizer checks that no files crash the reader, and that a tokenizer that
// is read is whole.
func FuzzTokenizer(f *testing.F) {
	for _, name := range []string{"llama-spm", "llama3", "qwen2", "smolvlm"} {
		dir := filepath.Join("../convert/testdata", name)
		files := make([][]byte, 3)
		for i, file := range []string{"tokenizer.model", "tokenizer.json",
			"tokenizer_config.json"} {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil && file != "tokenizer.model" {
				f.Fatal(err)
			}
			files[i] = data
		}
		f.Add(files[0], files[1], files[2], []byte(`{"x":7}`))
		f.Add([]byte{}, files[1], files[2], []byte(nil))
	}
	f.Add(bpeModel(onePiece("a", 0, 1)),
		[]byte(`{"model":{"vocab":{"a":0},"merges":["a b"],"byte_fallback":true}}`),
		[]byte(`{"bos_token":"a"}`), []byte(nil))
	f.Fuzz(func(t *testing.T, sentencePiece, tokenizer, config, added []byte) {
		files := &tokenizerFiles{dir: "fuzz", config: config, added: added, templateJSON: added,
			templateJinja: added}
		if len(sentencePiece) > 0 {
			files.sentencePiece = sentencePiece
		}
		if len(tokenizer) > 0 {
			files.json = tokenizer
		}
		if files.sentencePiece == nil && files.json == nil {
			return
		}
		const n = 400
		c := &Config{Text: Text{ModelType: "llama", Vocab: n, SpecialID: map[string]int{"eos": 2}}}
		tok, err := files.tokenizer(c)
		if err != nil {
			if !ofAKind(err) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if len(tok.Tokens) != n || len(tok.Types) != n || tok.Model == "llama" &&
			len(tok.Scores) != n {
			t.Fatalf("%d tokens, %d types, %d scores", len(tok.Tokens), len(tok.Types),
				len(tok.Scores))
		}
		for id, text := range tok.Tokens {
			if !utf8.ValidString(text) || tok.Types[id] < Normal || tok.Types[id] > Byte {
				t.Fatalf("token %d: %q of type %d", id, text, tok.Types[id])
			}
		}
		for kind, id := range tok.Special {
			if id < 0 || id >= n {
				t.Fatalf("%s is token %d", kind, id)
			}
		}
	})
}

func FuzzPreprocessor(f *testing.F) {
	for _, text := range []string{
		`{"image_mean":[0.5,0.25,0.125],"image_std":[1,2,3],"size":{"longest_edge":7}}`,
		`{"size":336,"crop_size":[336,336],"do_rescale":false}`,
		`{"image_processor":{"do_normalize":false,"rescale_factor":0.5,"resample":3,"image_grid_pinpoints":[[336,672]]}}`,
		`{"min_pixels":5,"size":{"longest_edge":77},"min_patches":2,"patch_size":{"height":28,"width":28},"merge_size":2,"image_seq_length":256}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := write(t, map[string]string{"processor_config.json": string(data)})
		for _, c := range []*Config{smolVLM, llava15B, llavaNext, qwenVL, gemmaVL, internVL,
			pixtralVL, gemma4P, glm4P} {
			p, err := ReadPreprocessor(dir, c)
			if err != nil {
				if !ofAKind(err) {
					t.Fatalf("an error of no kind: %v", err)
				}
				continue
			}
			for i := range 3 {
				if !(p.Std[i] > 0) || math.IsInf(p.Std[i], 0) || math.IsNaN(p.Mean[i]) ||
					math.IsInf(p.Mean[i], 0) {
					t.Fatalf("%+v", p)
				}
			}
		}
	})
}
