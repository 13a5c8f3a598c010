package report

import (
	"strconv"

	"github.com/eyelet-engine/eyelet/engine/bench"
)

// column is one of results.csv.
type column struct {
	name string
	of   func(*view, *bench.Cell) string
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// csvColumns are all columns: what the cell is, its quality, its speed.
func csvColumns() []column {
	list := []column{
		{"model", func(_ *view, c *bench.Cell) string {
			return c.Model
		}}, {"projector", func(_ *view, c *bench.Cell) string {
			return c.Projector
		}},
		{"kv", func(_ *view, c *bench.Cell) string {
			return c.KV
		}}, {"threads", func(_ *view, c *bench.Cell) string {
			return strconv.Itoa(c.Threads)
		}},
		{"batch", func(_ *view, c *bench.Cell) string {
			return strconv.Itoa(c.Batch)
		}}, {"file_bytes", func(v *view, c *bench.Cell) string {
			return strconv.FormatInt(v.r.Bytes(c), 10)
		}},
		{"model_bits_per_weight", func(v *view, c *bench.Cell) string {
			return bitsOf(v.r.Models, c.Model)
		}}, {"projector_bits_per_weight",
			func(v *view, c *bench.Cell) string { return bitsOf(v.r.Projectors, c.Projector) }},
	}
	return append(append(list, qualityColumns()...), speedColumns()...)
}

// bitsOf is empty where they are not known.
func bitsOf(files []bench.ModelFile, name string) string {
	for _, f := range files {
		if f.Name == name && f.Parameters > 0 {
			return number(f.BitsPerWeight())
		}
	}
	return ""
}

func qualityColumns() []column {
	list := distributionColumns("text_", func(q *bench.Quality) *bench.Distribution {
		return q.Text
	})
	list = append(list, distributionColumns("picture_", func(q *bench.Quality) *bench.Distribution {
		return q.AfterImage
	})...)
	for _, x := range []struct {
		name string
		of   func(*bench.Answers) float64
	}{
		{"exact", func(a *bench.Answers) float64 {
			return a.Exact.Mean
		}}, {"f1", func(a *bench.Answers) float64 { return a.F1.Mean }},
		{"anls", func(a *bench.Answers) float64 { return a.ANLS.Mean }},
	} {
		list = append(list, qualityColumn(x.name, func(q *bench.Quality) (float64, bool) {
			if q.Answers == nil {
				return 0, false
			}
			return x.of(q.Answers), true
		}))
	}
	return list
}

// qualityColumn is empty for cells without a quality, or where of says so.
func qualityColumn(name string, of func(*bench.Quality) (float64, bool)) column {
	return column{name, func(v *view, c *bench.Cell) string {
		if q := v.r.Quality(c); q != nil {
			if x, ok := of(q); ok {
				return number(x)
			}
		}
		return ""
	}}
}

func distributionColumns(prefix string, of func(*bench.Quality) *bench.Distribution) []column {
	list := []column{qualityColumn(prefix+"perplexity", func(q *bench.Quality) (float64, bool) {
		if d := of(q); d != nil {
			return d.Perplexity, true
		}
		return 0, false
	})}
	for _, x := range []struct {
		name string
		of   func(*bench.Against) float64
	}{
		{"kl_mean", func(a *bench.Against) float64 {
			return a.KLMean
		}}, {"kl_mean_error", func(a *bench.Against) float64 {
			return a.KLMeanError
		}},
		{"kl_median", klAt(0.5)}, {"kl_90", klAt(0.9)}, {"kl_95", klAt(0.95)},
		{"kl_99", klAt(0.99)}, {"kl_999", klAt(0.999)}, {"kl_max", klAt(1)},
		{"perplexity_ratio", func(a *bench.Against) float64 {
			return a.PerplexityRatio
		}}, {"perplexity_ratio_error", func(a *bench.Against) float64 {
			return a.PerplexityRatioError
		}},
		{"ln_perplexity_correlation", func(a *bench.Against) float64 { return a.Correlation }},
		{"p_change", func(a *bench.Against) float64 {
			return a.PChange
		}}, {"p_change_error", func(a *bench.Against) float64 {
			return a.PChangeError
		}},
		{"p_change_rms", func(a *bench.Against) float64 {
			return a.PChangeRMS
		}}, {"p_change_rms_error", func(a *bench.Against) float64 {
			return a.PChangeRMSError
		}},
		{"same_top", func(a *bench.Against) float64 {
			return a.SameTop
		}}, {"same_top_error", func(a *bench.Against) float64 {
			return a.SameTopError
		}},
	} {
		list = append(list, qualityColumn(prefix+x.name, func(q *bench.Quality) (float64, bool) {
			if d := of(q); d != nil && d.Against != nil {
				return x.of(d.Against), true
			}
			return 0, false
		}))
	}
	return list
}

// klAt takes a quantile, or what results of versions that had few of them have in its place.
func klAt(share float64) func(*bench.Against) float64 {
	return func(a *bench.Against) float64 {
		for _, q := range a.KLQuantiles {
			if q.Share == share {
				return q.Value
			}
		}
		return map[float64]float64{0.5: a.KLMedian, 0.99: a.KL99, 1: a.KLMax}[share]
	}
}

func speedColumns() (list []column) {
	for _, x := range []struct {
		name string
		of   func(*bench.Speed) *bench.Sample
	}{
		{"pp512", func(s *bench.Speed) *bench.Sample {
			return s.PP512
		}}, {"tg128", func(s *bench.Speed) *bench.Sample { return s.TG128 }},
		{"ttft_ms", func(s *bench.Speed) *bench.Sample {
			return s.TTFTMS
		}}, {"decode_image_ms", func(s *bench.Speed) *bench.Sample {
			return s.DecodeImageMS
		}},
		{"preprocess_ms", func(s *bench.Speed) *bench.Sample {
			return s.PreprocessMS
		}}, {"encode_ms", func(s *bench.Speed) *bench.Sample {
			return s.EncodeMS
		}},
		{"prefill_ms", func(s *bench.Speed) *bench.Sample { return s.PrefillMS }},
	} {
		for _, part := range []struct {
			suffix string
			of     func(*bench.Sample) float64
		}{
			{"_median", func(s *bench.Sample) float64 {
				return s.Median
			}}, {"_mean", func(s *bench.Sample) float64 { return s.Mean }},
			{"_std_dev", func(s *bench.Sample) float64 { return s.StdDev }},
		} {
			list = append(list, speedColumn(x.name+part.suffix,
				func(s *bench.Speed) (float64, bool) {
					if sample := x.of(s); sample != nil {
						return part.of(sample), true
					}
					return 0, false
				}))
		}
	}
	for _, x := range []struct {
		name string
		of   func(*bench.Speed) float64
	}{
		{"load_ms", func(s *bench.Speed) float64 {
			return s.LoadMS
		}}, {"peak_bytes", func(s *bench.Speed) float64 {
			return float64(s.PeakBytes)
		}},
		{"kv_bytes", func(s *bench.Speed) float64 {
			return float64(s.KVBytes)
		}}, {"weight_bytes", func(s *bench.Speed) float64 {
			return float64(s.WeightBytes)
		}},
		{"tower_bytes", func(s *bench.Speed) float64 { return float64(s.TowerBytes) }},
	} {
		list = append(list, speedColumn(x.name, func(s *bench.Speed) (float64, bool) {
			return x.of(s), true
		}))
	}
	return list
}

// speedColumn is empty for cells whose speed was not measured, or where of says so.
func speedColumn(name string, of func(*bench.Speed) (float64, bool)) column {
	return column{name, func(_ *view, c *bench.Cell) string {
		if c.Speed == nil {
			return ""
		}
		if x, ok := of(c.Speed); ok {
			return number(x)
		}
		return ""
	}}
}
