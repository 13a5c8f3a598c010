package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/models/store"
)

// metrics are what GET /metrics tells, in Prometheus' format. Counters of a model begin anew when
// it is loaded again.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	times    *prometheus.HistogramVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "eyelet_http_requests_total",
				Help: "Requests that have been answered."}, []string{"route", "status"}),
		times: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "eyelet_http_request_seconds",
			Help:    "Time from a request's header to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}, []string{"route"}),
	}
	m.registry.MustRegister(m.requests, m.times, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &modelCollector{s},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "eyelet_http_requests_running",
			Help: "Requests under way."}, func() float64 { return float64(s.busy.Load()) }))
	return m
}

// observe counts an answered request. The route is a pattern of the mux, so that paths of clients
// make no series of their own.
func (m *metrics) observe(route string, status int, d time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.times.WithLabelValues(route).Observe(d.Seconds())
}

// serveMetrics answers GET /metrics.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	s.limitWrite(w)
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}

// modelCollector reads the counters of loaded models when somebody asks.
type modelCollector struct{ s *Server }

// modelMetric is a figure of a model.
type modelMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*sched.Stats) float64
}

// describe makes a metric of a model. A name alone would not tell it apart: while a model is made
// anew under its name, both can be loaded.
func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("eyelet_"+name, help, []string{"model", "digest", "context"}, nil)
}

func counter(name, help string, value func(*sched.Stats) float64) modelMetric {
	return modelMetric{describe(name, help), prometheus.CounterValue, value}
}

func gauge(name, help string, value func(*sched.Stats) float64) modelMetric {
	return modelMetric{describe(name, help), prometheus.GaugeValue, value}
}

var modelMetrics = []modelMetric{
	counter("submitted_total", "Requests that the scheduler was given.",
		func(s *sched.Stats) float64 { return float64(s.Submitted) }),
	counter("completed_total", "Requests whose answer is complete.", func(s *sched.Stats) float64 {
		return float64(s.Completed)
	}),
	counter("cancelled_total", "Requests whose client gave up.", func(s *sched.Stats) float64 {
		return float64(s.Cancelled)
	}),
	counter("failed_total", "Requests that failed.", func(s *sched.Stats) float64 {
		return float64(s.Failed)
	}),
	gauge("waiting", "Requests in the queue.", func(s *sched.Stats) float64 {
		return float64(s.Waiting)
	}),
	gauge("reading", "Requests whose prompt is being computed.", func(s *sched.Stats) float64 {
		return float64(s.Reading)
	}),
	gauge("writing", "Answers that are being written.", func(s *sched.Stats) float64 {
		return float64(s.Writing)
	}),
	counter("decodes_total", "Decodes of tokens.", func(s *sched.Stats) float64 {
		return float64(s.Turns)
	}),
	counter("tokens_total", "Tokens of answers.", func(s *sched.Stats) float64 {
		return float64(s.Tokens)
	}),
	counter("prompt_tokens_total", "Tokens of prompts, those of pictures included.",
		func(s *sched.Stats) float64 { return float64(s.PromptItems) }),
	counter("cached_prompt_tokens_total", "Tokens of prompts that were computed before.",
		func(s *sched.Stats) float64 { return float64(s.CachedItems) }),
	counter("preempted_total", "Times that a request gave its cells to others and was resumed later.",
		func(s *sched.Stats) float64 { return float64(s.Preempted) }),
	counter("guessed_tokens_total", "Tokens that were computed ahead.",
		func(s *sched.Stats) float64 { return float64(s.Guessed) }),
	counter("guessed_right_tokens_total", "Tokens that were computed ahead and came to be.",
		func(s *sched.Stats) float64 { return float64(s.Right) }),
	gauge("cells", "Cells of the KV cache.", func(s *sched.Stats) float64 {
		return float64(s.Cells.Cells)
	}),
	gauge("cells_running", "Cells of running requests.", func(s *sched.Stats) float64 {
		return float64(s.Cells.Running)
	}),
	gauge("cells_cached", "Cells of finished requests that are kept for others.",
		func(s *sched.Stats) float64 { return float64(s.Cells.Cached) }),
	counter("pictures_encoded_total", "Pictures that the vision tower has encoded.",
		func(s *sched.Stats) float64 { return float64(s.Media.Finished) }),
	counter("tower_steps_beside_total",
		"Steps of the vision tower that ended while tokens were computed on devices.",
		func(s *sched.Stats) float64 { return float64(s.EncodedBeside) }),
	counter("pictures_saved_total",
		"Pictures that need not be encoded, for their embeddings were there.", func(
			s *sched.Stats) float64 {
			return float64(s.Media.SavedMemory + s.Media.SavedDisk + s.Media.SavedInFlight)
		}),
	counter("encoding_seconds_total", "Time of the vision tower.", func(s *sched.Stats) float64 {
		return s.Media.Encoding.Seconds()
	}),
}

var modelHistograms = []struct {
	desc  *prometheus.Desc
	value func(*sched.Stats) *sched.Histogram
}{
	{describe("queue_seconds", "Time in the queue."), func(s *sched.Stats) *sched.Histogram {
		return &s.Queue
	}},
	{describe("ttft_seconds", "Time to the first token, from the end of the preparations on."),
		func(s *sched.Stats) *sched.Histogram { return &s.TTFT }},
	{describe("itl_seconds", "Time between two tokens of an answer."),
		func(s *sched.Stats) *sched.Histogram { return &s.ITL }},
}

var (
	modelMemory = describe("model_memory_bytes",
		"Memory of this machine that a loaded model is counted with.")
	modelDevice = prometheus.NewDesc("eyelet_model_device_bytes",
		"What of a loaded model lies on a device, about.", []string{"model", "device", "server"},
		nil)
)

// Describe implements [prometheus.Collector].
func (c *modelCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range modelMetrics {
		out <- m.desc
	}
	for _, h := range modelHistograms {
		out <- h.desc
	}
	out <- modelMemory
	out <- modelDevice
}

// Collect implements [prometheus.Collector].
func (c *modelCollector) Collect(out chan<- prometheus.Metric) {
	for _, l := range c.s.models.loaded() {
		if l.State != pool.Ready {
			continue
		}
		stats, ok := c.s.pool.Stats(l.Status.Name)
		if !ok {
			continue // unloaded meanwhile
		}
		labels := []string{l.name, store.Digest(l.digest).Short(),
			strconv.Itoa(l.Status.Info.Context)}
		out <- prometheus.MustNewConstMetric(modelMemory, prometheus.GaugeValue, float64(l.Bytes),
			labels...)
		for _, d := range l.Status.Info.Devices {
			out <- prometheus.MustNewConstMetric(modelDevice, prometheus.GaugeValue,
				float64(d.Bytes), l.name, d.Device, d.Server)
		}
		for _, m := range modelMetrics {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&stats), labels...)
		}
		for _, h := range modelHistograms {
			v := h.value(&stats)
			out <- prometheus.MustNewConstHistogram(h.desc, v.Count, v.Sum.Seconds(), buckets(v),
				labels...)
		}
	}
}

// buckets makes cumulative counts by upper bound, in seconds, of a histogram. The last bucket has
// no bound.
func buckets(h *sched.Histogram) map[float64]uint64 {
	out := map[float64]uint64{}
	n := uint64(0)
	for i, count := range h.Buckets[:len(h.Buckets)-1] {
		n += count
		out[h.Bound(i).Seconds()] = n
	}
	return out
}
