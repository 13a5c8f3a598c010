package bench

import (
	"strings"
	"testing"
)

// twoCells are results of two combinations with figures that tests change.
func twoCells() *Results {
	r := &Results{Format: ResultsFormat, Models: []ModelFile{{Name: "a", Bytes: 100}, {Name: "b", Bytes: 50}}, Qualities: map[string]*Quality{}}
	for _, name := range []string{"a", "b"} {
		r.Cells = append(r.Cells, Cell{Model: name, KV: "f16", Threads: 2, Batch: 512, Speed: &Speed{
			PP512: sampleOf([]float64{100, 101, 99, 100, 100.5}), TG128: sampleOf([]float64{20, 20.2, 19.9, 20, 20.1}), PeakBytes: 1000,
		}})
		r.Qualities[name+" | f16"] = &Quality{Text: &Distribution{Perplexity: 10, PerplexityError: 0.1, Against: &Against{KLMean: 0.1, KLMeanError: 0.005, SameTop: 0.9, SameTopError: 0.01}},
			Answers: &Answers{Exact: Interval{Mean: 0.5, Low: 0.4, High: 0.6, N: 100}}}
	}
	return r
}

func TestCompareTellsNoiseFromChanges(t *testing.T) {
	if c := Compare(twoCells(), twoCells()); len(c.Changes) != 0 || c.Same < 10 || len(c.OnlyA)+len(c.OnlyB)+len(c.Notes) != 0 {
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
	want := "+tg128, tokens/s of a | f16 | threads 2 | batch 512; -peak memory of b | f16 | threads 2 | batch 512; -size of the files of b | f16; -KL divergence over the text of b | f16"
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
