package bench

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/quantize"
)

// afterPictures is what scripts/golden/after_pictures.py writes: logits that transformers computed
// in float32, of the built-in model and of its Q4_K_M edition, at each place of right answers to
// questions about pictures.
type afterPictures struct {
	base, other [][]float32
	follow      []llama.Token
	questions   []Question
	figures     map[string]interface{}
}

func readAfterPictures(t *testing.T) *afterPictures {
	t.Helper()
	f, err := gguf.Open("testdata/after_pictures.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := &afterPictures{}
	for key, to := range map[string]any{"questions": &g.questions, "figures": &g.figures} {
		text, _ := f.Str("golden." + key)
		if err := json.Unmarshal([]byte(text), to); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	numbers := func(name string) (list []uint32, width int) {
		x, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		for data := x.Data(); len(data) > 0; data = data[4:] {
			list = append(list, binary.LittleEndian.Uint32(data))
		}
		return list, int(x.Dims[0])
	}
	for name, to := range map[string]*[][]float32{"base": &g.base, "other": &g.other} {
		list, width := numbers(name)
		for ; len(list) > 0; list = list[width:] {
			row := make([]float32, width)
			for i := range row {
				row[i] = math.Float32frombits(list[i])
			}
			*to = append(*to, row)
		}
	}
	follow, _ := numbers("follow")
	for _, n := range follow {
		g.follow = append(g.follow, llama.Token(n))
	}
	return g
}

// show shows logits to a comparison, place by place.
func (g *afterPictures) show(logits [][]float32) func(place) error {
	return func(see place) error {
		for i, row := range logits {
			if err := see(row, g.follow[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

// compareLogits compares two models' logits as the jobs of a matrix do, through a file of the base.
func compareLogits(t *testing.T, g *afterPictures, base, other [][]float32) *Distribution {
	t.Helper()
	path := filepath.Join(t.TempDir(), "base.bin")
	if _, _, err := compareWith(path, true, g.show(base)); err != nil {
		t.Fatal(err)
	}
	d, _, err := compareWith(path, false, g.show(other))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestFiguresAfterPicturesAreNumPysOfTransformersLogits gives transformers' logits to what measures
// after pictures.
func TestFiguresAfterPicturesAreNumPysOfTransformersLogits(t *testing.T) {
	g := readAfterPictures(t)
	figuresAre(t, compareLogits(t, g, g.base, g.other), g.figures)
}

// TestLogitsAfterPicturesAreTransformers computes the same logits, in float32 throughout: weights,
// tower, cache and products. Logits of up to some twenty have a last place of 2e-6, and sums in
// other orders are apart by some of those a layer: the bound is a hundred. The figures follow. The
// divergence that is published does so less closely than the others, because of the 16 bits in
// which the base is kept: a step of those is 2e-4, so that where logits differ by a tenth of it,
// one in ten probabilities of the base is another. Transformers' own float32 is as far from its
// float64 (scripts/golden/after_pictures.py). Of the same logits without those bits the divergence
// agrees.
func TestLogitsAfterPicturesAreTransformers(t *testing.T) {
	withoutAccelerator(t)
	g := readAfterPictures(t)
	dir := t.TempDir()
	f32, err := llama.ParseFileType("F32")
	if err != nil {
		t.Fatal(err)
	}
	convert := func(from, name string, kind llama.FileType) string {
		out := filepath.Join(dir, name)
		f, err := gguf.Open(from)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := quantize.Language(t.Context(), f, out, llama.QuantizeParams{Type: kind,
			AllowRequantize: true}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	q4, err := llama.ParseFileType("Q4_K_M")
	if err != nil {
		t.Fatal(err)
	}
	base := convert(seedModel, "base.gguf", f32)
	other := convert(convert(base, "q4.gguf", q4), "other.gguf", f32)
	own := map[string][][]float32{}
	for _, model := range []string{base, other} {
		own[model] = g.compute(t, model)
	}
	for name, pair := range map[string][2][][]float32{"base": {own[base], g.base},
		"other": {own[other], g.other}} {
		far := 0.0
		if len(pair[0]) != len(pair[1]) {
			t.Fatalf("%s: %d places, transformers %d", name, len(pair[0]), len(pair[1]))
		}
		for i, row := range pair[0] {
			for k, x := range row {
				far = max(far, math.Abs(float64(x)-float64(pair[1][i][k])))
			}
		}
		t.Logf("%s: logits are at most %.2g from transformers'", name, far)
		if !(far < 2e-4) {
			t.Errorf("%s: a logit is %g from transformers'", name, far)
		}
	}
	d := compareLogits(t, g, own[base], own[other])
	near := func(name string, x, want, share float64) {
		t.Helper()
		t.Logf("%s: %.8g, transformers %.8g", name, x, want)
		if !(math.Abs(x-want) <= share*want) {
			t.Errorf("%s: %v, transformers %v", name, x, want)
		}
	}
	figure := func(name string) float64 {
		want, _ := g.figures[name].(float64)
		return want
	}
	near("perplexity", d.Perplexity, figure("perplexity"), 1e-6)
	near("p_change_rms", d.Against.PChangeRMS, figure("p_change_rms"), 2e-4)
	near("kl_mean", d.Against.KLMean, figure("kl_mean"), 1e-3)
	near("kl_mean, of a base in float32", wholeDivergence(own[base], own[other]),
		wholeDivergence(g.base, g.other), 2e-5)
}

// wholeDivergence is the mean KL divergence of logits from a base's that is not rounded.
func wholeDivergence(base, other [][]float32) (mean float64) {
	for i := range base {
		p, q := softmax(base[i]), softmax(other[i])
		for k := range p {
			mean += p[k] * math.Log(p[k]/q[k]) / float64(len(base))
		}
	}
	return mean
}

// compute asks a model the questions, and returns the logits at the places of the right answers.
func (g *afterPictures) compute(t *testing.T, model string) (logits [][]float32) {
	t.Helper()
	err := OnThread(func() error {
		lm, err := llama.LoadModel(t.Context(), model, llama.ModelParams{})
		if err != nil {
			return err
		}
		defer lm.Close()
		tower, err := OpenTower(t.Context(), seedProjector, TowerOptions{Precision: nn.F32})
		if err != nil {
			return err
		}
		defer tower.Close()
		set, err := BuiltinQuestions()
		if err != nil {
			return err
		}
		defer set.Close()
		a, err := newAsker(lm, "mlp", tower.Info().TileTokens, "f32", 2, nil)
		if err != nil {
			return err
		}
		defer a.r.close()
		for _, q := range g.questions {
			rows, err := encodeFile(t.Context(), tower, set, q.Picture)
			if err != nil {
				return err
			}
			if _, err := a.ask(t.Context(), q, rows, func(row []float32, next llama.Token) error {
				if want := g.follow[len(logits)]; next != want {
					return fmt.Errorf("token %d follows, transformers has %d", next, want)
				}
				logits = append(logits, append([]float32(nil), row...))
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return logits
}
