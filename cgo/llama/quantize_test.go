package llama_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

func fileType(t testing.TB, name string) llama.FileType {
	t.Helper()
	ft, err := llama.ParseFileType(name)
	if err != nil {
		t.Fatal(err)
	}
	return ft
}

func TestQuantizeWritesAModelThatLoads(t *testing.T) {
	out := filepath.Join(t.TempDir(), "q4.gguf")
	var dones []int
	var last string
	err := llama.Quantize(context.Background(), seedPath, out,
		llama.QuantizeParams{Type: fileType(t, "q4_0"), AllowRequantize: true, Threads: 2,
			Progress: func(done, total int, tensor string) {
				if total != 57 {
					t.Errorf("%d tensors in all", total)
				}
				dones, last = append(dones, done), tensor
			}})
	if err != nil {
		t.Fatal(err)
	}
	if len(dones) != 57 || !slices.IsSorted(dones) || dones[56] != 57 || last == "" {
		t.Errorf("progress %v, last %q", dones, last)
	}
	m := loadModel(t, out, llama.ModelParams{})
	if m.FileType() != "Q4_0" || m.Size() >= seedModel(t).Size() {
		t.Errorf("type %s, %d bytes", m.FileType(), m.Size())
	}
	c := newContext(t, m, llama.ContextParams{NCtx: 256})
	tokens := tokenize(t, prompt)
	if got := decode(t, c, tokens, 0, 0); !(distance(got, fresh(t, tokens)) < 10) {
		t.Errorf("logits differ by %v", distance(got, fresh(t, tokens)))
	}
	c.Close()
}

func TestQuantizeOptionsReachTheTensors(t *testing.T) {
	out := filepath.Join(t.TempDir(), "mixed.gguf")
	f16, q6 := ggml.F16, ggml.Q6_K
	err := llama.Quantize(context.Background(), seedPath, out,
		llama.QuantizeParams{Type: fileType(t, "Q5_0"), AllowRequantize: true, OutputType: &q6,
			EmbeddingType: &f16,
			TensorTypes: []llama.TensorType{{Pattern: `ffn_up`, Type: ggml.Q8_0},
				{Pattern: `blk\.2\.ffn`, Type: ggml.Q4_1}, {Pattern: `blk\.2\.ffn_gate`,
					Type: ggml.Q5_1}}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]gguf.Type{"output.weight": gguf.Q6_K,
		"token_embd.weight": gguf.F16, "blk.2.ffn_up.weight": gguf.Q4_1,
		"blk.2.ffn_gate.weight": gguf.Q5_1, "blk.1.ffn_up.weight": gguf.Q8_0,
		"blk.1.ffn_down.weight": gguf.Q5_0} {
		if tensor, ok := f.Tensor(name); !ok || tensor.Type != want {
			t.Errorf("%s is %v, want %v", name, tensor.Type, want)
		}
	}
}

func TestAPlanIsWhatQuantizeDoes(t *testing.T) {
	q6 := ggml.Q6_K
	p := llama.QuantizeParams{Type: fileType(t, "Q4_K_M"), AllowRequantize: true,
		EmbeddingType: &q6,
		TensorTypes:   []llama.TensorType{{Pattern: `blk\.2\.ffn_up`, Type: ggml.Q4_1}}}
	out := filepath.Join(t.TempDir(), "out.gguf")
	plans, err := llama.PlanQuantize(context.Background(), seedPath, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := llama.Quantize(context.Background(), seedPath, out, p); err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{seedPath, out} {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if len(plans) != len(f.Tensors()) {
			t.Fatalf("%d plans for %d tensors", len(plans), len(f.Tensors()))
		}
		for _, plan := range plans {
			want := []ggml.Type{plan.From, plan.To}[i]
			if tensor, ok := f.Tensor(plan.Name); !ok || ggml.Type(tensor.Type) != want {
				t.Errorf("%s of %s is %v, planned %v", plan.Name, path, tensor.Type, want)
			}
		}
	}
	_, err = llama.PlanQuantize(context.Background(), seedPath, llama.QuantizeParams{Type: 4711})
	wantError(t, err, nil)
	_, err = llama.PlanQuantize(context.Background(), seedPath+"x", p)
	wantError(t, err, nil)
}

func TestQuantizeWithAnImportanceMatrix(t *testing.T) {
	f, err := gguf.Open(seedPath)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	imatrix := map[string][]float32{}
	for _, tensor := range f.Tensors() {
		if len(tensor.Dims) == 2 && tensor.Name == "blk.0.attn_q.weight" {
			imatrix[tensor.Name] = slices.Repeat([]float32{1}, int(tensor.Dims[0]))
		}
	}
	out := filepath.Join(t.TempDir(), "iq2.gguf")
	p := llama.QuantizeParams{Type: fileType(t, "Q4_0"), AllowRequantize: true, Imatrix: imatrix,
		// the searches for IQ2 are slow: one tensor will do
		TensorTypes: []llama.TensorType{{Pattern: `blk\.0\.attn_q`, Type: ggml.IQ2_XXS}}}
	if err := llama.Quantize(context.Background(), seedPath, out, p); err != nil {
		t.Fatal(err)
	}
	loadModel(t, out, llama.ModelParams{})
	imatrix["blk.0.attn_q.weight"] = []float32{1, 2, 3}
	wantError(t, llama.Quantize(context.Background(), seedPath, out+"2", p), nil)
	imatrix["blk.0.attn_q.weight"] = slices.Repeat([]float32{float32(math.NaN())}, 256)
	wantError(t, llama.Quantize(context.Background(), seedPath, out+"2", p), nil)
	for _, w := range []float32{-1, 2 * llama.MaxImportance} {
		imatrix["blk.0.attn_q.weight"] = slices.Repeat([]float32{w}, 256)
		wantError(t, llama.Quantize(context.Background(), seedPath, out+"2", p), nil)
	}
}

func TestQuantizeStopsWhenItsContextIsDone(t *testing.T) {
	dir := t.TempDir()
	for _, stop := range []int{1, 10, 56} {
		ctx, cancel := context.WithCancel(context.Background())
		reached := 0
		err := llama.Quantize(ctx, seedPath, filepath.Join(dir, "out.gguf"),
			llama.QuantizeParams{Type: fileType(t, "Q4_0"), AllowRequantize: true,
				Progress: func(done, _ int, _ string) {
					if reached = done; done == stop {
						cancel()
					}
				}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("stopped at %d: %v", stop, err)
		}
		if reached > stop+2 {
			t.Errorf("stopped at %d, it went on to %d", stop, reached)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantError(t, llama.Quantize(ctx, seedPath, filepath.Join(dir, "out.gguf"),
		llama.QuantizeParams{Type: fileType(t, "Q4_0")}), context.Canceled)
}

func TestQuantizeRefusesWhatItCannotDo(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	copied := filepath.Join(t.TempDir(), "copy.gguf")
	whole, err := os.ReadFile(seedPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.gguf")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	q4 := fileType(t, "Q4_0")
	unknown := ggml.Type(4711)
	removed := ggml.Type(4)
	for name, c := range map[string]struct {
		in, out string
		p       llama.QuantizeParams
	}{
		"a quantized source": {seedPath, out, llama.QuantizeParams{Type: q4}},
		"the same file": {copied, copied, llama.QuantizeParams{Type: q4,
			AllowRequantize: true}},
		"the same file by another path": {copied, filepath.Dir(copied) + "/./copy.gguf",
			llama.QuantizeParams{Type: q4, AllowRequantize: true}},
		"a folder as output": {seedPath, dir, llama.QuantizeParams{Type: q4,
			AllowRequantize: true}},
		"a folder that is not there": {seedPath, filepath.Join(dir, "no", "out"),
			llama.QuantizeParams{Type: q4, AllowRequantize: true}},
		"a missing source": {out + "x", out, llama.QuantizeParams{Type: q4}},
		"a truncated source": {cut, out, llama.QuantizeParams{Type: q4,
			AllowRequantize: true}},
		"an unknown file type": {seedPath, out, llama.QuantizeParams{Type: 4711,
			AllowRequantize: true}},
		"a file type that was removed": {seedPath, out, llama.QuantizeParams{Type: 4,
			AllowRequantize: true}},
		"too many threads": {seedPath, out, llama.QuantizeParams{Type: q4,
			AllowRequantize: true, Threads: 1 << 20}},
		"negative threads": {seedPath, out, llama.QuantizeParams{Type: q4,
			AllowRequantize: true, Threads: -1}},
		"an unknown type of the output": {seedPath, out, llama.QuantizeParams{Type: q4,
			AllowRequantize: true, OutputType: &unknown}},
		"a removed type of embeddings": {seedPath, out, llama.QuantizeParams{Type: q4,
			AllowRequantize: true, EmbeddingType: &removed}},
		"an unknown type of a tensor": {seedPath, out, llama.QuantizeParams{Type: q4,
			AllowRequantize: true, TensorTypes: []llama.TensorType{{Pattern: "x", Type: unknown}}}},
		"a pattern that is no regexp": {seedPath, out, llama.QuantizeParams{Type: q4,
			AllowRequantize: true, TensorTypes: []llama.TensorType{{Pattern: "(",
				Type: ggml.Q8_0}}}},
		"an empty pattern": {seedPath, out, llama.QuantizeParams{Type: q4,
			AllowRequantize: true, TensorTypes: []llama.TensorType{{Pattern: "",
				Type: ggml.Q8_0}}}},
		"a tensor type without imatrix": {seedPath, out, llama.QuantizeParams{Type: q4,
			AllowRequantize: true, TensorTypes: []llama.TensorType{{Pattern: "attn_q",
				Type: ggml.IQ2_XXS}}}},
		"everything without imatrix": {seedPath, out,
			llama.QuantizeParams{Type: fileType(t, "IQ1_S"), AllowRequantize: true}},
		"an imatrix mixture without one": {seedPath, out,
			llama.QuantizeParams{Type: fileType(t, "IQ2_M"), AllowRequantize: true}},
	} {
		if err := llama.Quantize(context.Background(), c.in, c.out, c.p); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestEveryFileTypeQuantizesOrIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	for _, name := range llama.FileTypes() {
		if strings.HasPrefix(name, "IQ") && !strings.HasPrefix(name, "IQ4") {
			continue // refused without an importance matrix, or too slow to search
		}
		out := filepath.Join(t.TempDir(), "out.gguf")
		err := llama.Quantize(context.Background(), seedPath, out,
			llama.QuantizeParams{Type: fileType(t, name), AllowRequantize: true})
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		loadModel(t, out, llama.ModelParams{}).Close()
		os.Remove(out)
	}
}

func TestFileTypeNames(t *testing.T) {
	for short, full := range map[string]string{"q3_k": "Q3_K_M", "Q4_K": "Q4_K_M", "q5_K": "Q5_K_M",
		"15": "Q4_K_M", "7": "Q8_0"} {
		if fileType(t, short) != fileType(t, full) {
			t.Errorf("%s is not %s", short, full)
		}
	}
	for _, name := range []string{"4", "4711", "-1", "q6_k_m"} {
		if _, err := llama.ParseFileType(name); err == nil {
			t.Errorf("%s was found", name)
		}
	}
	if _, err := llama.ParseFileType("Q4_K_XXL"); err == nil {
		t.Error("an unknown name was found")
	}
	if s := fileType(t, "q4_k_m").String(); s != "Q4_K - Medium" {
		t.Errorf("Q4_K_M is %q", s)
	}
	if !slices.IsSorted(llama.FileTypes()) || len(llama.FileTypes()) < 30 {
		t.Errorf("names %v", llama.FileTypes())
	}
}
