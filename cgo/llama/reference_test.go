package llama_test

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/kernels/ref"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

type matrix = ref.Matrix[float64]

// reference is a model of the architecture "llama" (Touvron et al. 2023; its mixtures of experts as
// in Jiang et al. 2024) computed plainly in float64, with the weights that its file stores: the
// yardstick of those who round.
type reference struct {
	t    testing.TB
	file *gguf.File

	width, layers, heads, headsKV, head int
	experts, used                       int
	eps, base                           float64
}

func newReference(t testing.TB, path string) *reference {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	number := func(key string) int { n, _ := f.Uint("llama." + key); return int(n) }
	r := &reference{t: t, file: f, width: number("embedding_length"), layers: number("block_count"),
		heads:   number("attention.head_count"),
		headsKV: number("attention.head_count_kv"), head: number("rope.dimension_count"),
		experts: number("expert_count"), used: number("expert_used_count")}
	r.eps, _ = f.Float("llama.attention.layer_norm_rms_epsilon")
	base, _ := f.Float("llama.rope.freq_base")
	r.base = cmp.Or(base, 10000)
	if f.Architecture() != "llama" || r.width == 0 || r.heads == 0 || r.head*r.heads != r.width {
		t.Fatalf("%s is none of the models that are computed in float64", path)
	}
	return r
}

// weights returns a tensor of one or two dimensions, or matrix i of one of three, as rows.
func (r *reference) weights(name string, i int) matrix {
	r.t.Helper()
	tensor, ok := r.file.Tensor(name + ".weight")
	if !ok {
		r.t.Fatalf("there is no tensor %s", name)
	}
	cols, rows := int(tensor.Dims[0]), 1
	if len(tensor.Dims) > 1 {
		rows = int(tensor.Dims[1])
	}
	typ := ggml.Type(tensor.Type)
	size, err := typ.RowSize(rows * cols)
	if err != nil {
		r.t.Fatal(err)
	}
	numbers := make([]float32, rows*cols)
	if err := ggml.Dequantize(typ, tensor.Data()[i*size:][:size], numbers); err != nil {
		r.t.Fatal(err)
	}
	m := ref.NewMatrix[float64](rows, cols)
	for j, x := range numbers {
		m.Data[j] = float64(x)
	}
	return m
}

func (r *reference) linear(x matrix, name string, i int) matrix {
	r.t.Helper()
	w := r.weights(name, i)
	y := ref.NewMatrix[float64](x.Rows, w.Rows)
	ref.Linear(y, x, w, nil)
	return y
}

// norm is root mean square normalisation (Zhang and Sennrich 2019).
func (r *reference) norm(x matrix, name string) matrix {
	r.t.Helper()
	gain := r.weights(name, 0).Data
	y := ref.NewMatrix[float64](x.Rows, x.Cols)
	for i := range x.Rows {
		square := 0.0
		for _, v := range x.Row(i) {
			square += v * v
		}
		f := 1 / math.Sqrt(square/float64(x.Cols)+r.eps)
		for j, v := range x.Row(i) {
			y.Row(i)[j] = v * f * gain[j]
		}
	}
	return y
}

// rotate turns each pair of neighbours in each head by an angle that grows with the position (Su et
// al. 2021).
func (r *reference) rotate(x matrix) {
	for position := range x.Rows {
		row := x.Row(position)
		for i := 0; i < len(row); i += 2 {
			sin, cos := math.Sincos(float64(position) * math.Pow(r.base,
				-float64(i%r.head)/float64(r.head)))
			row[i], row[i+1] = row[i]*cos-row[i+1]*sin, row[i]*sin+row[i+1]*cos
		}
	}
}

func (r *reference) attention(x matrix, layer string) matrix {
	q, k, v := r.linear(x, layer+"attn_q", 0), r.linear(x, layer+"attn_k", 0),
		r.linear(x, layer+"attn_v", 0)
	r.rotate(q)
	r.rotate(k)
	mixed := ref.NewMatrix[float64](x.Rows, r.width)
	scores := make([]float64, x.Rows)
	for h := range r.heads {
		from, shared := h*r.head, h/(r.heads/r.headsKV)*r.head
		for i := range x.Rows {
			seen := ref.MatrixOf(1, i+1, scores[:i+1])
			for j := range seen.Data {
				dot := 0.0
				for d := range r.head {
					dot += q.Row(i)[from+d] * k.Row(j)[shared+d]
				}
				seen.Data[j] = dot / math.Sqrt(float64(r.head))
			}
			ref.Softmax(seen)
			to := mixed.Row(i)[from:][:r.head]
			for j, p := range seen.Data {
				for d := range to {
					to[d] += p * v.Row(j)[shared+d]
				}
			}
		}
	}
	return r.linear(mixed, layer+"attn_output", 0)
}

// gated is SwiGLU (Shazeer 2020) with matrices i of a layer.
func (r *reference) gated(x matrix, gate, up, down string, i int) matrix {
	g, u := r.linear(x, gate, i), r.linear(x, up, i)
	ref.SiLU(g)
	for j := range g.Data {
		g.Data[j] *= u.Data[j]
	}
	return r.linear(g, down, i)
}

// feedForward is one gated network, or a mixture of those that a router gives the most of a row to.
func (r *reference) feedForward(x matrix, layer string) matrix {
	if r.experts == 0 {
		return r.gated(x, layer+"ffn_gate", layer+"ffn_up", layer+"ffn_down", 0)
	}
	shares := r.linear(x, layer+"ffn_gate_inp", 0)
	ref.Softmax(shares)
	sum := ref.NewMatrix[float64](x.Rows, x.Cols)
	for e := range r.experts {
		y := r.gated(x, layer+"ffn_gate_exps", layer+"ffn_up_exps", layer+"ffn_down_exps", e)
		for i := range x.Rows {
			row := shares.Row(i)
			best := slices.Clone(row)
			slices.SortFunc(best, func(a, b float64) int { return cmp.Compare(b, a) })
			best = best[:r.used]
			if row[e] < best[r.used-1] {
				continue
			}
			total := 0.0
			for _, p := range best {
				total += p
			}
			for j, v := range y.Row(i) {
				sum.Row(i)[j] += row[e] / total * v
			}
		}
	}
	return sum
}

// logits returns a row for each of the tokens.
func (r *reference) logits(tokens []llama.Token) matrix {
	r.t.Helper()
	embeddings := r.weights("token_embd", 0)
	x := ref.NewMatrix[float64](len(tokens), r.width)
	for i, token := range tokens {
		copy(x.Row(i), embeddings.Row(int(token)))
	}
	for l := range r.layers {
		layer := fmt.Sprintf("blk.%d.", l)
		ref.Add(x, r.attention(r.norm(x, layer+"attn_norm"), layer))
		ref.Add(x, r.feedForward(r.norm(x, layer+"ffn_norm"), layer))
	}
	x = r.norm(x, "output_norm")
	if _, ok := r.file.Tensor("output.weight"); !ok { // the embeddings serve twice
		return r.linear(x, "token_embd", 0)
	}
	return r.linear(x, "output", 0)
}

// deviation is how far logits are from exact ones.
type deviation struct {
	rms float64 // of their differences, each row's mean taken off, as it changes no probability
	// mean Kullback-Leibler divergence of the probabilities from the exact ones, in nats
	kl   float64
	rows int
}

// add takes in the rows of a chunk.
func (d *deviation) add(got [][]float32, exact matrix) {
	for i, row := range got {
		want := exact.Row(i)
		norm, wantNorm := logSum(row), logSum64(want)
		mean, square := 0.0, 0.0
		for j, w := range want {
			diff := float64(row[j]) - w
			mean, square = mean+diff, square+diff*diff
			d.kl += math.Exp(w-wantNorm) * (w - wantNorm - float64(row[j]) + norm)
		}
		n := float64(len(want))
		d.rms += square/n - mean/n*mean/n
		d.rows++
	}
}

// finish makes sums means.
func (d deviation) finish() deviation {
	n := float64(d.rows)
	return deviation{rms: math.Sqrt(d.rms / n), kl: d.kl / n, rows: d.rows}
}

func logSum64(logits []float64) float64 {
	top, sum := slices.Max(logits), 0.0
	for _, x := range logits {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}

// The yardstick is checked itself: with weights in float32, ggml alone differs from it by float32's
// rounding and by that of keys and values, which stay in float32 here.
func TestTheReferenceIsTheModel(t *testing.T) {
	ggml.EnableAccelerator(false)
	defer ggml.EnableAccelerator(true)
	mixture := mixtures(t)["F32"]
	for name, path := range map[string]string{"dense": widened(t, seedPath),
		"mixture of experts": mixture} {
		t.Run(name, func(t *testing.T) {
			m := loadModel(t, path, plain())
			tokens := tokenize(t, prompt+" "+prompt)
			rows := rowsOf(t, m, llama.ContextParams{NCtx: 256, ExactCache: true,
				FlashAttention: llama.FlashOff}, tokens)
			var d deviation
			d.add(rows, newReference(t, path).logits(tokens))
			d = d.finish()
			t.Logf("%d rows: logits off by %.2e, KL %.2e", d.rows, d.rms, d.kl)
			if !(d.rms < 1e-4) || !(d.kl < 1e-8) {
				t.Errorf("logits are off by %g, and probabilities by a divergence of %g", d.rms,
					d.kl)
			}
		})
	}
}

// widened returns a copy of a model with its weights in float32.
func widened(t testing.TB, path string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "f32.gguf")
	if err := llama.Quantize(t.Context(), path, out, llama.QuantizeParams{Type: fileType(t, "F32"),
		AllowRequantize: true}); err != nil {
		t.Fatal(err)
	}
	return out
}

// rowsOf reads tokens at once and returns the logits of each.
func rowsOf(t testing.TB, m *llama.Model, p llama.ContextParams, tokens []llama.Token) [][]float32 {
	t.Helper()
	c := newContext(t, m, p)
	defer c.Close()
	b := newBatch(t, len(tokens), 1)
	for i, token := range tokens {
		if err := b.Add(token, llama.Pos(i), true, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Decode(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	rows := make([][]float32, len(tokens))
	for i := range rows {
		rows[i] = logits(t, c, i)
	}
	return rows
}
