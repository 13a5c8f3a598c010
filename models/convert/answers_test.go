package convert_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// tolerance is the most that a number may differ from transformers' float32 in an
// F32 file: logits here are of the size of 1, and a float32 has seven digits.
const tolerance = 2e-5

// coarse is the tolerance where libmtmd encodes, which rounds pixels and other
// intermediate values to float16: three digits.
const coarse = 2e-3

func largestDifference(t *testing.T, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	most := 0.0
	for i := range want {
		most = max(most, math.Abs(float64(got[i]-want[i])))
	}
	return most
}

func loadModel(t *testing.T, path string) *llama.Model {
	t.Helper()
	m, err := llama.LoadModel(context.Background(), path, llama.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestModelsAnswerAsTransformersDo runs the converted models on libllama, after
// the tokens of a picture where they see any, and compares tokens, image tokens
// and logits with those of transformers in float32.
func TestModelsAnswerAsTransformersDo(t *testing.T) {
	ggml.EnableAccelerator(false) // which rounds to bfloat16: this is about what was converted
	t.Cleanup(func() { ggml.EnableAccelerator(true) })
	for _, name := range folders {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			r := convertFolder(t, filepath.Join("testdata", name), gguf.F32)
			m := loadModel(t, r.Model.Path)
			ids, err := m.Vocab().Tokenize(g.Answers.Text, false, true)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]llama.Token, len(g.Answers.IDs))
			for i, id := range g.Answers.IDs {
				want[i] = llama.Token(id)
			}
			if !slices.Equal(ids, want) {
				t.Errorf("tokens %v, want %v", ids, want)
			}
			compare := func(what string, got, want []float32, most float64) {
				d := largestDifference(t, got, want)
				t.Logf("%s differ by up to %.2g", what, d)
				if d > most {
					t.Errorf("%s differ by more than %g", what, most)
				}
			}
			compare("logits after transformers' image tokens", logits(t, m, g.Answers.ImageTokens,
				want), g.Answers.Logits, tolerance)
			if g.Answers.ImageTokens == nil {
				return
			}
			rows, most := seen(t, name, r.Projector.Path), tolerance
			if name == "smolvlm" {
				// The golden has no rows of the small copy of the picture, which come last.
				rows, most = rows[:min(len(rows), len(g.Answers.ImageTokens))], coarse
			}
			compare("image tokens", rows, g.Answers.ImageTokens, most)
			compare("logits", logits(t, m, rows, want), g.Answers.Logits, most)
		})
	}
}

// seen are the image tokens of the picture that the golden has, by the encoder
// that runs this family.
func seen(t *testing.T, name, projector string) []float32 {
	t.Helper()
	if name == "smolvlm" {
		tower, err := libmtmd.Open(t.Context(), projector, libmtmd.Options{Threads: 2,
			NoAccelerator: true})
		if err != nil {
			t.Fatal(err)
		}
		return imageTokens(t, tower, "square.png")
	}
	tower, err := vision.OpenNative(projector, vision.NativeOptions{Precision: nn.F32, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	return imageTokens(t, tower, map[string]string{"llava15": "picture.png",
		"llava16": "wide.png"}[name])
}

// imageTokens encodes a picture and closes the tower.
func imageTokens(t *testing.T, tower vision.Encoder, picture string) []float32 {
	t.Helper()
	defer tower.Close()
	data, err := os.ReadFile(filepath.Join("testdata", picture))
	if err != nil {
		t.Fatal(err)
	}
	rgb, err := imaging.Decode(data, imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := vision.Preprocess(context.Background(), tower, rgb)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := vision.Encode(context.Background(), tower, in)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// logits runs the model over rows of embeddings, after a first token, and then
// over tokens, and returns the logits after the last.
func logits(t *testing.T, m *llama.Model, rows []float32, tokens []llama.Token) []float32 {
	t.Helper()
	c, err := llama.NewContext(m, llama.ContextParams{NCtx: 512, Threads: 2, TypeK: ggml.F32,
		TypeV: ggml.F32, ExactCache: true, FlashAttention: llama.FlashOff})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	decode := func(b *llama.Batch, err error) {
		t.Helper()
		if err == nil {
			err = c.Decode(context.Background(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
	}
	pos := llama.Pos(0)
	if rows != nil {
		b := llama.NewTokenBatch(1, 1)
		decode(b, b.Add(m.Vocab().BOS(), pos, false, 0))
		width := m.NEmbd()
		b = llama.NewEmbeddingBatch(len(rows)/width, 1, width, 1)
		for row := range slices.Chunk(rows, width) {
			pos++
			if err = b.AddEmbedding(row, []llama.Pos{pos}, false, 0); err != nil {
				break
			}
		}
		decode(b, err)
		pos++
	}
	b := llama.NewTokenBatch(len(tokens), 1)
	for i, token := range tokens {
		if err = b.Add(token, pos+llama.Pos(i), i == len(tokens)-1, 0); err != nil {
			break
		}
	}
	decode(b, err)
	out, err := c.Logits(len(tokens) - 1)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(out) // of the context's memory
}

// TestLibmtmdOpensTheProjectors checks that llama.cpp's own encoder reads the
// files: the keys and tensors that it needs are there.
func TestLibmtmdOpensTheProjectors(t *testing.T) {
	for _, name := range []string{"smolvlm", "llava15", "llava16"} {
		for _, typ := range []gguf.Type{gguf.F16, gguf.Q8_0} {
			t.Run(name+" "+typ.String(), func(t *testing.T) {
				r := convertFolder(t, filepath.Join("testdata", name), typ)
				m := loadModel(t, r.Model.Path)
				c, err := mtmd.New(context.Background(), r.Projector.Path, m,
					mtmd.Params{Threads: 2})
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
			})
		}
	}
}
