package bench

import (
	"strings"
	"testing"
)

// twoCells are results of two combinations with figures that tests change.
func twoCells() *Results {
	r := &Results{Format: ResultsFormat, Models: []ModelFile{{Name: "a", Bytes: 100},
		{Name: "b", Bytes: 50}}, Qualities: map[string]*Quality{}}
	for _, name := range []string{"a", "b"} {
		r.Cells = append(r.Cells, Cell{Model: name, KV: "f16", Threads: 2, Batch: 512,
			Speed: &Speed{
				PP512: sampleOf([]float64{100, 101, 99, 100, 100.5}),
				TG128: sampleOf([]float64{20, 20.2, 19.9, 20, 20.1}), PeakBytes: 1000,
			}})
		r.Qualities[name+" | f16"] = &Quality{Text: &Distribution{Perplexity: 10,
			PerplexityError: 0.1, Against: &Against{KLMean: 0.1, KLMeanError: 0.005, SameTop: 0.9,
				SameTopError: 0.01}},
			Answers: &Answers{Exact: Interval{Mean: 0.5, Low: 0.4, High: 0.6, N: 100}}}
	}
	return r
}

// withRuns gives all cells several runs, each some share faster than the one before; the
// repetitions of a run hardly differ.
func withRuns(r *Results, steps ...float64) *Results {
	for i := range r.Cells {
		s := r.Cells[i].Speed
		first := s.TG128.Mean
		for _, step := range steps {
			x := first * step
			s.add(&Speed{TG128: sampleOf([]float64{x, 1.001 * x, 0.999 * x})})
		}
	}
	return r
}

func TestCompareKnowsWhatRunsDifferBy(t *testing.T) {
	faster := func(share float64) *Results {
		r := twoCells()
		for i := range r.Cells {
			r.Cells[i].Speed.TG128 = sampleOf([]float64{20 * share, 20.01 * share, 19.99 * share,
				20 * share, 20 * share})
		}
		return r
	}
	for _, c := range []struct {
		name    string
		a, b    *Results
		changes int
	}{
		{"8.7 % between single runs", faster(1), faster(1.087), 0},
		{"25 % between single runs", faster(1), faster(1.25), 2},
		{"8.7 % between runs that differ by 6 %", withRuns(faster(1), 1.06, 0.98),
			withRuns(faster(1.087), 1.06, 0.98), 0},
		{"8.7 % between runs that differ by half a hundredth", withRuns(faster(1), 1.005, 0.995),
			withRuns(faster(1.087), 1.005, 0.995), 2},
	} {
		got := Compare(c.a, c.b)
		if len(got.Changes) != c.changes {
			t.Errorf("%s: %+v", c.name, got.Changes)
		}
		for _, s := range got.BetweenRuns {
			if s.Figure == "tg128, tokens/s" && s.Measured != (c.a.Cells[0].Speed.Runs > 1) {
				t.Errorf("%s: %+v", c.name, s)
			}
		}
	}
	// What cells share is compared once.
	a, b := faster(1), faster(1.25)
	for _, r := range []*Results{a, b} {
		r.Cells[1].Speed.shareTokens(&r.Cells[0])
	}
	if got := Compare(a, b); len(got.Changes) != 1 {
		t.Errorf("%+v", got.Changes)
	}
}

func TestCompareTellsNoiseFromChanges(t *testing.T) {
	if c := Compare(twoCells(), twoCells()); len(c.Changes) != 0 || c.Same < 10 ||
		len(c.OnlyA)+len(c.OnlyB)+len(c.Notes) != 0 {
		t.Errorf("%+v", c)
	}
	b := twoCells()
	b.Cells[0].Speed.TG128 = sampleOf([]float64{24, 24.1, 23.9, 24, 24.2})    // faster
	b.Cells[0].Speed.PP512 = sampleOf([]float64{95, 130, 80, 99, 118})        // noise
	b.Cells[1].Speed.TG128 = sampleOf([]float64{20.3, 20.2, 20.25, 20.3, 20}) // a hundredth
	b.Cells[1].Speed.PeakBytes = 1500
	b.Models[1].Bytes = 51
	q := b.Qualities["b | f16"]
	q.Text.Perplexity, q.Text.Against.KLMean, q.Answers.Exact.Mean = 10.1, 0.2, 0.52
	b.Host.Llama = "0.8"
	c := Compare(twoCells(), b)
	var got []string
	for _, x := range c.Changes {
		sign := "-"
		if x.Better {
			sign = "+"
		}
		got = append(got, sign+x.Figure+" of "+x.Cell)
	}
	want := "+tg128, tokens/s of a | f16 | threads 2 | batch 512; -peak memory, MiB of b | f16 | threads 2 | batch 512; -size of the files, MiB of b | f16; -KL divergence over the text of b | f16"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "libllama") {
		t.Errorf("%v", c.Notes)
	}
	b.Cells = b.Cells[:1]
	b.Cells[0].Model = "c"
	if c := Compare(twoCells(), b); len(c.OnlyA) != 2 || len(c.OnlyB) != 1 {
		t.Errorf("%+v", c)
	}
}
