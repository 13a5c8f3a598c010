package bench

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// divergenceGolden is what scripts/golden/divergence.py writes.
type divergenceGolden struct {
	Base    [][]float32            `json:"base"`
	Model   [][]float32            `json:"model"`
	Follow  []llama.Token          `json:"follow"`
	Figures map[string]interface{} `json:"figures"`
}

func TestFiguresOfDivergenceAreNumPys(t *testing.T) {
	data, err := os.ReadFile("testdata/divergence.json")
	if err != nil {
		t.Fatal(err)
	}
	var g divergenceGolden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	var c comparison
	var d distribution
	for i, next := range g.Follow {
		d.setLogits(g.Base[i])
		if err := c.add(g.Model[i], &d, next); err != nil {
			t.Fatal(err)
		}
	}
	figuresAre(t, c.result(), g.Figures)
}

// figuresAre holds all figures of a comparison to those of NumPy, which
// scripts/golden/divergence.py computes of the same logits.
func figuresAre(t *testing.T, r *Distribution, figures map[string]interface{}) {
	t.Helper()
	got := map[string]interface{}{}
	for _, part := range []any{r, r.Against} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
	}
	same := func(name string, x, want float64) {
		if !(math.Abs(x-want) <= 1e-9*math.Abs(want)+1e-12) {
			t.Errorf("%s: %v, NumPy %v", name, x, want)
		}
	}
	for name, want := range figures {
		if name != "kl_quantiles" {
			x, ok := got[name].(float64)
			if !ok {
				t.Fatalf("%s is missing", name)
			}
			same(name, x, want.(float64))
			continue
		}
		for i, q := range want.([]interface{}) {
			same(name, r.Against.KLQuantiles[i].Value, q.(float64))
		}
	}
	if len(figures) != 18 {
		t.Errorf("%d figures", len(figures))
	}
}

func TestIntervalsOfQuantilesAreRanks(t *testing.T) {
	sorted := make([]float64, 1001)
	for i := range sorted {
		sorted[i] = float64(i)
	}
	for _, want := range []Quantile{
		{0.5, 500, 469, 531}, // 1.96 times the root of 1001/4 is 31.0
		{0.99, 990, 983, 997},
		{0.999, 999, 997, 1000},
		{1, 1000, 997, 1000},
	} {
		if got := quantileOf(sorted, want.Share); math.Abs(got.Value-want.Value) > 1e-9 ||
			math.Abs(got.Low-want.Low) > 1 || math.Abs(got.High-want.High) > 1 {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if one := quantileOf([]float64{3}, 0.999); one.Value != 3 || one.Low != 3 || one.High != 3 {
		t.Errorf("%+v", one)
	}
}

func TestTheSameProbabilitiesHaveNoRatioAndNoNaN(t *testing.T) {
	var c comparison
	var d distribution
	for range 3 {
		d.setLogits([]float32{1, 1})
		if err := c.add([]float32{1, 1}, &d, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := json.Marshal(c.result()); err != nil {
		t.Error(err)
	}
}
