package bench

import (
	"errors"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine"
)

// adviceResults are a base and three others: one as close as the next larger, one fast and poor.
func adviceResults() *Results {
	r := &Results{Setup: Setup{BaseModel: "f16", BaseKV: "f16"}, Qualities: map[string]*Quality{}}
	for _, x := range []struct {
		name   string
		bytes  int64
		kl, e  float64
		tokens float64 // a second
	}{
		{"f16", 8 << 30, 0, 0, 5}, {"q8_0", 4 << 30, 0.0010, 0.0002, 10}, {"q6_k", 3 << 30, 0.0012,
			0.0002, 13}, {"q4_k_m", 2 << 30, 0.02, 0.001, 20},
		{"q4_0", 2<<30 - 1, 0.06, 0.001, 20.5}, {"q2_k", 1 << 30, 0.4, 0.01, 30},
	} {
		r.Models = append(r.Models, ModelFile{Name: x.name, Bytes: x.bytes})
		r.Cells = append(r.Cells, Cell{Model: x.name, KV: "f16", Threads: 2, Batch: 512,
			Speed: &Speed{PP512: sampleOf([]float64{100}), TG128: sampleOf([]float64{x.tokens}),
				PeakBytes: x.bytes + 100<<20}})
		q := &Quality{Text: &Distribution{Perplexity: 9}}
		if x.kl > 0 {
			q.Text.Against = &Against{KLMean: x.kl, KLMeanError: x.e, SameTop: 0.9}
		}
		r.Qualities[x.name+" | f16"] = q
	}
	return r
}

func TestAdviceServesTheWish(t *testing.T) {
	for _, c := range []struct {
		memory int64
		wish   Wish
		want   string
		says   string
	}{
		{16 << 30, Faithful, "f16", "it is the base"},
		{6 << 30, Faithful, "q6_k", "less than the error of the difference"},
		{5 << 29, Faithful, "q4_k_m", "3 of 6 combinations take more memory"},
		{16 << 30, Fast, "q4_k_m", "less than runs differ by"},
		{16 << 30, Small, "q4_0", "2.0 GiB"},
		{3 << 29, Fast, "q2_k", "no combination keeps its divergence below 0.1"},
	} {
		a, err := Advise(adviceResults(), c.memory, c.wish)
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(a.Reasons, "; "); a.Model != c.want ||
			!strings.Contains(all, c.says) {
			t.Errorf("%s in %d: %s, %s", c.wish, c.memory, a.Model, all)
		}
	}
	// A mean's error that a few places make large does not hide that most places are further off.
	far := adviceResults()
	for name, median := range map[string]float64{"q8_0": 1e-5, "q6_k": 1e-4, "q4_k_m": 1e-3} {
		a := far.Qualities[name+" | f16"].Text.Against
		a.KLMeanError = 0.02
		a.KLQuantiles = []Quantile{{Share: 0.5, Value: median, Low: 0.9 * median,
			High: 1.1 * median}}
	}
	if a, err := Advise(far, 6<<30, Faithful); err != nil || a.Model != "q8_0" {
		t.Errorf("medians that lie apart: %+v, %v", a, err)
	}
	// What nobody can tell is as good as the base.
	near := adviceResults()
	near.Qualities["q6_k | f16"].Text.Against.KLMean = 0.0005
	if a, err := Advise(near, 16<<30, Faithful); err != nil || a.Model != "q6_k" ||
		!strings.Contains(strings.Join(a.Reasons, "; "), "below 0.001 nobody can tell") {
		t.Errorf("a negligible divergence: %+v, %v", a, err)
	}
	for _, c := range []struct {
		memory int64
		wish   Wish
		says   string
	}{{1 << 29, Small, "the least takes 1.1 GiB: q2_k"}, {1 << 40, "cheap", "wish"}} {
		if _, err := Advise(adviceResults(), c.memory, c.wish); !errors.Is(err,
			engine.ErrRequest) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v", err)
		}
	}
	r := adviceResults()
	for i := range r.Cells {
		r.Cells[i].Speed = nil
	}
	if _, err := Advise(r, 1<<40, Fast); !errors.Is(err, engine.ErrRequest) {
		t.Errorf("fast without speeds: %v", err)
	}
	if a, err := Advise(r, 16<<30, Small); err != nil || !a.Estimated || a.Model != "q4_0" {
		t.Errorf("%+v, %v", a, err)
	}
}
