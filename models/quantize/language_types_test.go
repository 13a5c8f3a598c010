package quantize

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// writeLanguage writes a language model of one block whose rows have so many elements, all zero.
func writeLanguage(t *testing.T, row uint64, tied bool) *gguf.File {
	t.Helper()
	if err := llama.Init(); err != nil {
		t.Fatal(err)
	}
	w := gguf.NewWriter("llama")
	for key, value := range map[string]any{
		"block_count": uint32(1), "context_length": uint32(64), "embedding_length": uint32(row),
		"feed_forward_length": uint32(row), "attention.head_count": uint32(2),
		"attention.head_count_kv": uint32(2), "attention.layer_norm_rms_epsilon": float32(1e-5),
		"rope.dimension_count": uint32(row / 2), "vocab_size": uint32(64),
	} {
		w.Set("llama."+key, value)
	}
	w.Set("tokenizer.ggml.model", "no_vocab")
	add := func(name string, dims ...uint64) {
		n := uint64(4)
		for _, d := range dims {
			n *= d
		}
		w.AddTensor(name, gguf.F32, dims, make([]byte, n))
	}
	add("token_embd.weight", row, 64)
	add("output_norm.weight", row)
	if !tied {
		add("output.weight", row, 64)
	}
	for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up",
		"ffn_down"} {
		add("blk.0."+name+".weight", row, row)
	}
	add("blk.0.attn_norm.weight", row)
	add("blk.0.ffn_norm.weight", row)
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func mixture(t *testing.T, name string) llama.FileType {
	t.Helper()
	typ, err := llama.ParseFileType(name)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func TestTypesOfTheOutputAndTheEmbeddingFallBackAsRulesDo(t *testing.T) {
	for _, row := range []uint64{48, 96} {
		f := writeLanguage(t, row, false)
		for _, typ := range ggml.Types() {
			if !typ.CanQuantize() || typ.RequiresImatrix() || typ.BlockSize() == 1 {
				continue
			}
			// A rule for another matrix with rows as long shows what libllama takes instead.
			byRule, err := llama.PlanQuantize(t.Context(), f.Path(),
				llama.QuantizeParams{Type: mixture(t, "Q8_0"),
					TensorTypes: []llama.TensorType{{Pattern: "attn_q", Type: typ}}})
			if err != nil { // libllama knows no other type, and does not say for which tensor
				_, named := PlanLanguage(t.Context(), f,
					llama.QuantizeParams{Type: mixture(t, "Q8_0"),
						TensorTypes: []llama.TensorType{{Pattern: "attn_q", Type: typ}}})
				if !errors.Is(named, ErrOptions) || !strings.Contains(named.Error(),
					"blk.0.attn_q.weight") {
					t.Errorf("%v: %v, %v", typ, err, named)
				}
				continue
			}
			if _, err := PlanLanguage(t.Context(), f, llama.QuantizeParams{Type: mixture(t, "Q8_0"),
				TensorTypes: []llama.TensorType{{Pattern: "attn_q", Type: typ}}}); err != nil {
				t.Errorf("%v: %v", typ, err)
			}
			i := slices.IndexFunc(byRule, func(p llama.TensorPlan) bool {
				return p.Name == "blk.0.attn_q.weight"
			})
			p := llama.QuantizeParams{Type: mixture(t, "Q8_0"), OutputType: &typ,
				EmbeddingType: &typ}
			plan, err := PlanLanguage(t.Context(), f, p)
			if err != nil {
				t.Fatalf("%v: %v", typ, err)
			}
			out := filepath.Join(t.TempDir(), "out.gguf")
			if _, err := Language(t.Context(), f, out, p); err != nil {
				t.Fatalf("%v: %v", typ, err)
			}
			made, err := gguf.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range plan.Tensors {
				m, _ := made.Tensor(x.Name)
				if m.Type != x.To {
					t.Errorf("%v, rows of %d: %s is %v, planned %v", typ, row, x.Name, m.Type, x.To)
				}
				if special := x.Name == outputTensor || x.Name == embeddingTensor; special &&
					(x.To != gguf.Type(byRule[i].To) || x.Fallback != (x.To != gguf.Type(typ))) {
					t.Errorf("%v, rows of %d: %s becomes %v (fallback %v), by a rule %v", typ, row,
						x.Name, x.To, x.Fallback, byRule[i].To)
				}
			}
			if err := made.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTypesThatNeedAnImportanceMatrixAreRefusedByName(t *testing.T) {
	f := writeLanguage(t, 256, false)
	q8, iq2, iq1, iq3 := mixture(t, "Q8_0"), ggml.IQ2_XXS, ggml.IQ1_S, ggml.IQ3_XXS
	some := map[string][]float32{"blk.0.attn_q.weight": slices.Repeat([]float32{1}, 256)}
	for name, c := range map[string]struct {
		p    llama.QuantizeParams
		says string
	}{
		"IQ3_XXS": {llama.QuantizeParams{Type: mixture(t, "IQ3_XXS")}, "blk.0.attn_"},
		"IQ3_XS": {llama.QuantizeParams{Type: mixture(t, "IQ3_XS")},
			"IQ3_XXS needs an importance matrix (the mixture IQ3_XS"},
		"Q2_K_S": {llama.QuantizeParams{Type: mixture(t, "Q2_K_S")},
			"needs an importance matrix"},
		"a rule": {llama.QuantizeParams{Type: q8,
			TensorTypes: []llama.TensorType{{Pattern: "ffn_up", Type: iq3}}},
			"blk.0.ffn_up.weight"},
		"the embedding": {llama.QuantizeParams{Type: q8, EmbeddingType: &iq2},
			"token_embd.weight"},
		"the output": {llama.QuantizeParams{Type: q8, OutputType: &iq1}, "output.weight"},
		"a matrix that lacks": {llama.QuantizeParams{Type: mixture(t, "IQ3_XXS"), Imatrix: some},
			"the one given knows nothing of this tensor"},
	} {
		out := filepath.Join(t.TempDir(), "out.gguf")
		_, planned := PlanLanguage(t.Context(), f, c.p)
		_, err := Language(t.Context(), f, out, c.p)
		for _, err := range []error{planned, err} {
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(),
				"=====") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if name != "the embedding" && name != "the output" && !errors.Is(planned, ErrOptions) {
			t.Errorf("%s: %v", name, planned)
		}
	}
}

func TestAMixtureThatNoRowFitsNamesATensor(t *testing.T) {
	f := writeLanguage(t, 96, false)
	if _, err := PlanLanguage(t.Context(), f,
		llama.QuantizeParams{Type: mixture(t, "Q1_0")}); !errors.Is(err, ErrOptions) ||
		!strings.Contains(err.Error(), ".weight: ") {
		t.Errorf("%v", err)
	}
}

func TestACopyKeepsEveryTensor(t *testing.T) {
	f := writeLanguage(t, 96, true)
	r, err := Language(t.Context(), f, filepath.Join(t.TempDir(), "out.gguf"),
		llama.QuantizeParams{Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	made, err := gguf.Open(r.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	for _, want := range f.Tensors() {
		if got, ok := made.Tensor(want.Name); !ok || got.Type != want.Type ||
			string(got.Data()) != string(want.Data()) {
			t.Errorf("%s is %v", want.Name, got)
		}
	}
}

func TestRulesThatContradictEachOtherAreFound(t *testing.T) {
	f := writeLanguage(t, 96, false)
	list := Overlaps(f, []llama.TensorType{{Pattern: "attn", Type: ggml.Q8_0},
		{Pattern: "attn_v", Type: ggml.Q5_0}, {Pattern: `attn_k\.`, Type: ggml.Q8_0}})
	if len(list) != 1 || list[0].Tensor != "blk.0.attn_v.weight" || strings.Join(list[0].Rules,
		" ") != "attn=q8_0 attn_v=q5_0" {
		t.Errorf("%+v", list)
	}
}

func TestTensorsThatAnImportanceMatrixLacksAreListed(t *testing.T) {
	f := writeLanguage(t, 256, false)
	some := map[string][]float32{"blk.0.attn_q.weight": slices.Repeat([]float32{1}, 256)}
	plan, err := PlanLanguage(t.Context(), f,
		llama.QuantizeParams{Type: mixture(t, "Q4_K_M"), Imatrix: some})
	if err != nil {
		t.Fatal(err)
	}
	names := plan.Unweighted(some)
	if !slices.Contains(names, "blk.0.ffn_up.weight") ||
		slices.Contains(names, "blk.0.attn_q.weight") ||
		slices.Contains(names, "blk.0.attn_norm.weight") ||
		slices.Contains(names, embeddingTensor) {
		t.Errorf("%v", names)
	}
}
