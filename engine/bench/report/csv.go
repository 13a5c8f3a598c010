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

func csvColumns() []column {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	speed := func(name string, of func(*bench.Speed) (float64, bool)) column {
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
	sampled := func(name string, of func(*bench.Speed) *bench.Sample) []column {
		part := func(suffix string, get func(*bench.Sample) float64) column {
			return speed(name+suffix, func(s *bench.Speed) (float64, bool) {
				if sample := of(s); sample != nil {
					return get(sample), true
				}
				return 0, false
			})
		}
		return []column{
			part("_median", func(s *bench.Sample) float64 { return s.Median }), part("_mean", func(s *bench.Sample) float64 { return s.Mean }),
			part("_std_dev", func(s *bench.Sample) float64 { return s.StdDev }),
		}
	}
	quality := func(name string, of func(*bench.Quality) (float64, bool)) column {
		return column{name, func(v *view, c *bench.Cell) string {
			if q := v.r.Quality(c); q != nil {
				if x, ok := of(q); ok {
					return number(x)
				}
			}
			return ""
		}}
	}
	distribution := func(prefix string, of func(*bench.Quality) *bench.Distribution) []column {
		against := func(name string, get func(*bench.Against) float64) column {
			return quality(prefix+name, func(q *bench.Quality) (float64, bool) {
				if d := of(q); d != nil && d.Against != nil {
					return get(d.Against), true
				}
				return 0, false
			})
		}
		return []column{
			quality(prefix+"perplexity", func(q *bench.Quality) (float64, bool) {
				if d := of(q); d != nil {
					return d.Perplexity, true
				}
				return 0, false
			}),
			against("kl_mean", func(a *bench.Against) float64 { return a.KLMean }), against("kl_median", func(a *bench.Against) float64 { return a.KLMedian }),
			against("kl_99", func(a *bench.Against) float64 { return a.KL99 }), against("same_top", func(a *bench.Against) float64 { return a.SameTop }),
		}
	}
	answer := func(name string, get func(*bench.Answers) float64) column {
		return quality(name, func(q *bench.Quality) (float64, bool) {
			if q.Answers == nil {
				return 0, false
			}
			return get(q.Answers), true
		})
	}
	list := []column{
		{"model", func(_ *view, c *bench.Cell) string { return c.Model }}, {"projector", func(_ *view, c *bench.Cell) string { return c.Projector }},
		{"kv", func(_ *view, c *bench.Cell) string { return c.KV }}, {"threads", func(_ *view, c *bench.Cell) string { return strconv.Itoa(c.Threads) }},
		{"batch", func(_ *view, c *bench.Cell) string { return strconv.Itoa(c.Batch) }}, {"file_bytes", func(v *view, c *bench.Cell) string { return strconv.FormatInt(v.r.Bytes(c), 10) }},
	}
	list = append(list, distribution("text_", func(q *bench.Quality) *bench.Distribution { return q.Text })...)
	list = append(list, distribution("picture_", func(q *bench.Quality) *bench.Distribution { return q.AfterImage })...)
	list = append(list, answer("exact", func(a *bench.Answers) float64 { return a.Exact.Mean }), answer("f1", func(a *bench.Answers) float64 { return a.F1.Mean }),
		answer("anls", func(a *bench.Answers) float64 { return a.ANLS.Mean }))
	list = append(list, sampled("pp512", func(s *bench.Speed) *bench.Sample { return s.PP512 })...)
	list = append(list, sampled("tg128", func(s *bench.Speed) *bench.Sample { return s.TG128 })...)
	list = append(list, sampled("ttft_ms", func(s *bench.Speed) *bench.Sample { return s.TTFTMS })...)
	list = append(list, sampled("decode_image_ms", func(s *bench.Speed) *bench.Sample { return s.DecodeImageMS })...)
	list = append(list, sampled("preprocess_ms", func(s *bench.Speed) *bench.Sample { return s.PreprocessMS })...)
	list = append(list, sampled("encode_ms", func(s *bench.Speed) *bench.Sample { return s.EncodeMS })...)
	list = append(list, sampled("prefill_ms", func(s *bench.Speed) *bench.Sample { return s.PrefillMS })...)
	return append(list,
		speed("load_ms", func(s *bench.Speed) (float64, bool) { return s.LoadMS, true }), speed("peak_bytes", func(s *bench.Speed) (float64, bool) { return float64(s.PeakBytes), true }),
		speed("kv_bytes", func(s *bench.Speed) (float64, bool) { return float64(s.KVBytes), true }), speed("weight_bytes", func(s *bench.Speed) (float64, bool) { return float64(s.WeightBytes), true }),
		speed("tower_bytes", func(s *bench.Speed) (float64, bool) { return float64(s.TowerBytes), true }))
}
